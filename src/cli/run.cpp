// armvisor run: builds a machine and runs it to its end.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <span>

#include "base/fd.h"
#include "base/host_error.h"
#include "base/log_once.h"
#include "base/write_all.h"
#include "cli/run_options.h"
#include "vmm/terminal.h"

namespace armvisor::cli {
namespace {

/// Before any thread exists: the machine reads its signals from a descriptor, and writing to a closed pipe is an
/// error, not a signal.
void set_up_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) sigaddset(&set, s);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
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
      std::fprintf(stderr, "armvisor: the guest crashed: its exception vectors cannot be executed\n");
      return ExitStatus::Crashed;
    case vmm::EndReason::Differs: return ExitStatus::Differs;
    case vmm::EndReason::TimedOut:
      std::fprintf(stderr, "armvisor: the time given with --timeout is over\n");
      return ExitStatus::TimedOut;
    case vmm::EndReason::Interrupted: return ExitStatus::Interrupted;
    case vmm::EndReason::GuestExit: break;
  }
  return ExitStatus::Internal;
}

[[noreturn]] void force_end() {
  vmm::restore_terminal();
  _exit(static_cast<int>(ExitStatus::Interrupted));
}

Status write_file(const std::string& option, const std::string& path, std::span<const u8> data) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!fd || !write_all(fd.get(), data))
    return host_error(option + ": expected to write " + path, errno, "check the path and its permissions");
  return {};
}

Status print_stats(const RunRequest::StatsOutput& output, const vmm::Stats& stats) {
  const std::string text = output.json ? measure::json_report(stats.snapshot, stats.marks)
                                       : measure::text_report(stats.snapshot, stats.marks);
  if (!output.file.empty())
    return write_file("--stats", output.file, {reinterpret_cast<const u8*>(text.data()), text.size()});
  std::fputs(text.c_str(), stderr);
  return {};
}

Result<ExitStatus> run_machine(const Arguments& arguments) {
  AV_TRY_ASSIGN(const RunOptions options, parse_run_options(arguments));
  if (options.help) return help({"run"});
  AV_TRY_ASSIGN(RunRequest request, run_request(options));
  set_log_level(request.log);
  if (!request.dump_dtb.empty()) {
    AV_TRY_ASSIGN(const machine::BootPlan plan, machine::plan_boot(request.vm.boot));
    AV_TRY(write_file("--dump-dtb", request.dump_dtb, plan.fdt));
    return ExitStatus::PoweredOff;
  }
  set_up_signals();
  vmm::guard_terminal();
  request.vm.force_end = force_end;
  AV_TRY_ASSIGN(const auto vm, vmm::Vm::create(std::move(request.vm)));
  const Result<vmm::EndReason> end = vm->run();
  log_repeats();
  AV_TRY_ASSIGN(const vmm::EndReason reason, end);
  if (request.stats) AV_TRY(print_stats(*request.stats, vm->stats()));
  return reason == vmm::EndReason::GuestExit ? guest_status(vm->guest_status()) : status_of(reason);
}

}  // namespace

ExitStatus run(const Arguments& arguments) {
  auto result = run_machine(arguments);
  return result ? *result : report(result.error());
}

}  // namespace armvisor::cli
