// armvisor cp: files into a running machine and out of it.
#include <signal.h>

#include "base/log.h"
#include "cli/option_parser.h"
#include "exec/copy.h"
#include "exec/run.h"
#include "vmm/signals.h"

namespace armvisor::cli {
namespace {

struct CopyArguments {
#define OPTION_TABLE "cli/cp_options.inc"
#include "cli/option_members.inc"
#undef OPTION_TABLE
};

Result<exec::CopyRequest> copy_request(const CopyArguments& o) {
  exec::CopyRequest r;
  AV_TRY_ASSIGN(r.source, exec::parse_copy_place(o.source));
  AV_TRY_ASSIGN(r.destination, exec::parse_copy_place(o.destination));
  r.follow = o.follow;
  r.user = o.user.value_or("");
  if (o.most) {
    AV_TRY_ASSIGN(r.most, parse_size("--most", *o.most));
  }
  if (o.timeout) {
    AV_TRY_ASSIGN(const u64 seconds, parse_number("--timeout", *o.timeout, 1, 1'000'000'000));
    r.timeout_ms = seconds * 1000;
  }
  return r;
}

Result<exec::Outcome> run_arguments(const Arguments& arguments) {
  CopyArguments o;
  const auto bind = [&o](OptionBinder& to) {
#define OPTION_TABLE "cli/cp_options.inc"
#include "cli/option_bindings.inc"
#undef OPTION_TABLE
  };
  AV_TRY(parse_options("cp", arguments, o.help, bind));
  if (o.help) {
    help({"cp"});
    return exec::Outcome{.ending = exec::Ending::Exited};
  }
  AV_TRY_ASSIGN(const exec::CopyRequest request, copy_request(o));
  vmm::block_watched_signals(exec::k_passed_signals);
  signal(SIGPIPE, SIG_IGN);
  return exec::copy(request);
}

}  // namespace

/// Statuses are those of "armvisor exec".
ExitStatus cp(const Arguments& arguments) {
  auto result = run_arguments(arguments);
  const exec::Outcome outcome =
      result ? *std::move(result) : exec::Outcome{.ending = exec::Ending::Failed, .message = result.error().message};
  if (!outcome.message.empty()) say(outcome.message);
  return static_cast<ExitStatus>(outcome.status());
}

}  // namespace armvisor::cli
