#include "exec/command_outcome.h"

#include <fmt/core.h>
#include <string.h>

#include <cerrno>

namespace armvisor::exec {
namespace {

Outcome ended(const av_exited& exited) {
  Outcome o{.ending = exited.kind == AV_END_SIGNAL ? Ending::Signalled : Ending::Exited, .value = exited.value};
  if (exited.lost) {
    o.message =
        std::string("what was written to a shared folder is not all there: ") + strerror(static_cast<int>(exited.lost));
    if (o.status() == 0) o.ending = Ending::OutputLost;
  }
  // A command that did its work all the same has.
  o.killed = exited.killed;
  if (!exited.killed) return o;
  o.message = fmt::format("{}the guest's kernel killed {} of the command because memory was short: --memory gives more",
                          o.message.empty() ? "" : o.message + "; ",
                          exited.killed == 1 ? "a process" : fmt::format("{} processes", exited.killed));
  if (o.ending == Ending::Exited && o.value != 0) o.message += fmt::format("; it ended with status {}", o.value);
  if (o.ending == Ending::Signalled || (o.ending == Ending::Exited && o.value != 0)) o.ending = Ending::OutOfMemory;
  return o;
}

}  // namespace

Outcome failed_command(const Channel::Failure& f) {
  const std::string why = f.error ? std::string(": ") + strerror(static_cast<int>(f.error)) : "";
  switch (f.step) {
    case AV_STEP_USER: return {.ending = Ending::Failed, .message = "user " + f.text + why};
    case AV_STEP_FOLDER: return {.ending = Ending::Failed, .message = "working folder " + f.text + why};
    case AV_STEP_EXECUTE: {
      const bool missing = f.error == ENOENT || f.error == ENOTDIR;
      return {.ending = missing ? Ending::NotFound : Ending::NotExecutable, .message = f.text + why};
    }
    default: return {.ending = Ending::NotUp, .message = "the guest could not be set up: " + f.text + why};
  }
}

Outcome ended_command(const Session& session, bool delivered) {
  Outcome o = ended(session.channel().exited());
  if (session.input_error() && o.status() == 0) {
    o.ending = Ending::OutputLost;
    o.message = std::string("not all of standard input could be read, of which the host says: ") +
                strerror(session.input_error());
  }
  if (!delivered && o.status() == 0) {
    o.ending = Ending::OutputLost;
    o.message = "not all of the command's output could be written";
  }
  return o;
}

void set_times(Outcome& outcome, const Session& session, std::chrono::steady_clock::time_point began) {
  const auto ms = [](auto from, auto to) {
    return static_cast<u64>(std::chrono::duration_cast<std::chrono::milliseconds>(to - from).count());
  };
  const auto started = session.started(), ended = session.ended();
  if (started) outcome.start_ms = ms(began, *started);
  if (started && ended) outcome.run_ms = ms(*started, *ended);
}

}  // namespace armvisor::exec
