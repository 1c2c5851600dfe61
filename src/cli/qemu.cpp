// armvisor qemu: the machine that a command line of qemu-system-arm asks for.
#include <errno.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/log.h"
#include "cli/background.h"
#include "cli/commands.h"
#include "cli/run_machine.h"
#include "devices/backends/terminal.h"
#include "qemu/explain.h"
#include "vmm/signals.h"

namespace armvisor::cli {
namespace {

constexpr const char* k_fallback = "ARMVISOR_QEMU_FALLBACK";

/// Has the program of $ARMVISOR_QEMU_FALLBACK run this line. Returns only if it cannot be started.
Error run_fallback(const std::string& program, const Arguments& arguments) {
  std::string name = program_invocation_name;
  if (!invoked_as_qemu(name)) name = program;
  std::vector<char*> words{name.data()};
  Arguments copy = arguments;
  for (std::string& word : copy) words.push_back(word.data());
  words.push_back(nullptr);
  ::unsetenv(k_fallback);  // should the program be this one
  vmm::unblock_watched_signals();
  ::execv(program.c_str(), words.data());
  return {ErrorKind::BadArguments, std::string(k_fallback) + ": expected a program, found " + program +
                                       ", of which the host says: " + std::strerror(errno) + "; change it"};
}

Result<ExitStatus> refuse(const qemu::Line& line, const Arguments& arguments) {
  const char* const fallback = std::getenv(k_fallback);
  if (fallback && *fallback) return run_fallback(fallback, arguments);
  return Error{ErrorKind::BadArguments, line.outcomes.first_refusal()};
}

void tell_differences(const qemu::Line& line) {
  for (const qemu::Outcome& o : line.outcomes.all())
    if (o.fate == qemu::Fate::Clamped) say(o.option + ": " + o.became + ": " + o.why);
}

Result<ExitStatus> run_line(const Arguments& arguments) {
  qemu::Line line = qemu::read_line(arguments);
  if (line.help || line.version) {
    std::fputs((line.help ? qemu::help_text(*line.help) : qemu::version_text(version_text())).c_str(), stdout);
    return ExitStatus::PoweredOff;
  }
  qemu::Machine machine = qemu::make_machine(line);
  if (line.explain) {
    std::fputs(qemu::explain(line, machine).c_str(), stdout);
    return line.outcomes.any_refused() ? ExitStatus::Internal : ExitStatus::PoweredOff;
  }
  if (!line.outcomes.any_refused()) qemu::check_files(line, true);
  if (line.outcomes.any_refused()) return refuse(line, arguments);
  std::optional<Background> background;
  if (machine.daemonize) {
    AV_TRY_ASSIGN(Background entered, Background::enter());
    background.emplace(std::move(entered));
  }
  std::optional<PidFile> pid_file;
  if (!machine.pid_file.empty()) {
    AV_TRY_ASSIGN(PidFile created, PidFile::create(machine.pid_file));
    pid_file.emplace(std::move(created));
  }
  tell_differences(line);
  RunRequest request;
  request.vm = std::move(machine.vm);
  request.vm.sandbox.removed = {machine.pid_file};
  request.vm.sandbox.end = [](Sandbox::End) {
    devices::restore_terminal_now();
    _exit(static_cast<int>(ExitStatus::Internal));
  };
  request.vm.version = qemu::version_info(version_text());
  request.dump_dtb = machine.dump_dtb;
  request.vm.on_start = [&background, &machine]() -> Status {
    return background ? background->ready(machine.log_file) : Status{};
  };
  return run_machine(std::move(request));
}

/// QEMU's statuses: 0 for a machine that ended, however it did, and 1 for all else.
ExitStatus qemu_status(ExitStatus status) {
  switch (status) {
    case ExitStatus::PoweredOff:
    case ExitStatus::Reset:
    case ExitStatus::Interrupted: return ExitStatus::PoweredOff;
    default: return status >= ExitStatus::Guest ? status : ExitStatus::Internal;
  }
}

}  // namespace

bool invoked_as_qemu(std::string_view program) {
  const std::size_t slash = program.rfind('/');
  return program.substr(slash == std::string_view::npos ? 0 : slash + 1).find("qemu-system-arm") !=
         std::string_view::npos;
}

ExitStatus qemu(const Arguments& arguments) {
  vmm::block_watched_signals();  // one that comes while there are files or children already ends the machine, too
  auto result = run_line(arguments);
  vmm::forget_watched_signals();
  vmm::unblock_watched_signals();
  return qemu_status(result ? *result : report(result.error()));
}

}  // namespace armvisor::cli
