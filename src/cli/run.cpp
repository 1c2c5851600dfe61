// armvisor run: builds a machine and runs it to its end.
#include <signal.h>
#include <unistd.h>

#include <optional>

#include "base/log.h"
#include "base/log_once.h"
#include "base/output_file.h"
#include "cli/run_machine.h"
#include "cli/sandbox_option.h"
#include "devices/backends/terminal.h"
#include "machine/loader.h"
#include "vmm/sandbox_rules.h"
#include "vmm/signals.h"

namespace armvisor::cli {
namespace {

/// Before any thread exists: the machine reads its signals from a descriptor, and writing to a closed pipe is an
/// error, not a signal.
void set_up_signals() {
  vmm::block_watched_signals();
  signal(SIGPIPE, SIG_IGN);
}

/// 64 + N for a guest that ends the machine with status N, so that it cannot be taken for one of ours; 0 for 0.
ExitStatus guest_status(u32 status) {
  return status == 0 ? ExitStatus::PoweredOff : static_cast<ExitStatus>(static_cast<u32>(ExitStatus::Guest) + status);
}

ExitStatus status_of(vmm::EndReason reason) {
  switch (reason) {
    case vmm::EndReason::PoweredOff: return ExitStatus::PoweredOff;
    case vmm::EndReason::Reset: return ExitStatus::Reset;
    case vmm::EndReason::Crashed:
      say("the guest crashed: its exception vectors cannot be executed");
      return ExitStatus::Crashed;
    case vmm::EndReason::Panicked: say("the guest's kernel panicked"); return ExitStatus::Crashed;
    case vmm::EndReason::Differs: return ExitStatus::Differs;
    case vmm::EndReason::TimedOut: say("the time given with --timeout is over"); return ExitStatus::TimedOut;
    case vmm::EndReason::Interrupted: return ExitStatus::Interrupted;
    case vmm::EndReason::GuestTimedOut:
    case vmm::EndReason::Stalled:
    case vmm::EndReason::Finished:
    case vmm::EndReason::GuestExit:
    case vmm::EndReason::ProgramExit: break;
  }
  return ExitStatus::Internal;
}

[[noreturn]] void force_end() {
  devices::restore_terminal();
  _exit(static_cast<int>(ExitStatus::Interrupted));
}

Result<ExitStatus> dump_fdt(RunRequest request) {
  AV_TRY_ASSIGN(OutputFile file, OutputFile::open("--dump-dtb", request.dump_dtb));
  AV_TRY(file.differs_from(machine::input_files(request.vm.boot)));
  AV_TRY_ASSIGN(const auto vm, vmm::Vm::create(std::move(request.vm)));
  const Status written = vm->write_fdt(std::move(file));
  if (const auto reason = vm->ended_early()) return status_of(*reason);
  AV_TRY(written);
  return ExitStatus::PoweredOff;
}

/// Where counters go at the end; nothing: standard error.
Result<std::optional<OutputFile>> open_stats(const RunRequest& request) {
  if (!request.stats || request.stats->file.empty()) return std::optional<OutputFile>();
  AV_TRY_ASSIGN(OutputFile file, OutputFile::open("--stats", request.stats->file));
  AV_TRY(file.differs_from(machine::input_files(request.vm.boot)));
  return std::optional<OutputFile>(std::move(file));
}

Status write_stats(bool json, std::optional<OutputFile> file, vmm::Vm& vm) {
  const vmm::Stats stats = vm.stats();
  const std::string text =
      json ? measure::json_report(stats.snapshot, stats.marks) : measure::text_report(stats.snapshot, stats.marks);
  if (file) return vm.write(*std::move(file), text);
  print_text(text);
  return {};
}

}  // namespace

Result<ExitStatus> run_machine(RunRequest request) {
  set_log_level(request.log);
  set_up_signals();
  devices::guard_terminal();
  request.vm.force_end = force_end;
  if (!request.dump_dtb.empty()) return dump_fdt(std::move(request));
  AV_TRY_ASSIGN(auto stats_file, open_stats(request));
  if (request.stats) request.vm.sandbox.outputs.push_back(request.stats->file);
  if (!request.vm.sandbox.end) request.vm.sandbox.end = end_sandboxed;
  AV_TRY(vmm::begin_sandbox(request.vm));
  AV_TRY_ASSIGN(const auto vm, vmm::Vm::create(std::move(request.vm)));
  const Result<vmm::EndReason> end = vm->run();
  log_repeats();
  AV_TRY_ASSIGN(const vmm::EndReason reason, end);
  if (request.stats) AV_TRY(write_stats(request.stats->json, std::move(stats_file), *vm));
  const ExitStatus status = reason == vmm::EndReason::GuestExit     ? guest_status(vm->guest_status())
                            : reason == vmm::EndReason::ProgramExit ? program_status(vm->guest_status())
                                                                    : status_of(reason);
  vm->drain();
  return status;
}

namespace {

Result<ExitStatus> run_arguments(const Arguments& arguments) {
  AV_TRY_ASSIGN(const RunOptions options, parse_run_options(arguments));
  if (options.help) return help({"run"});
  AV_TRY_ASSIGN(RunRequest request, run_request(options));
  return run_machine(std::move(request));
}

}  // namespace

ExitStatus run(const Arguments& arguments) {
  auto result = run_arguments(arguments);
  vmm::forget_watched_signals();
  vmm::unblock_watched_signals();
  return result ? *result : report(result.error());
}

}  // namespace armvisor::cli
