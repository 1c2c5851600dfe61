// armvisor stat: the counters of a running machine, by its control socket.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <thread>

#include "cli/option_parser.h"
#include "vmm/control_client.h"

namespace armvisor::cli {
namespace {

struct Request {
#define OPTION_TABLE "cli/stat_options.inc"
#include "cli/option_members.inc"
#undef OPTION_TABLE
};

Result<Request> parse(const Arguments& arguments) {
  Request o;
  const auto bind = [&o](OptionBinder& to) {
#define OPTION_TABLE "cli/stat_options.inc"
#include "cli/option_bindings.inc"
#undef OPTION_TABLE
  };
  AV_TRY(parse_options("stat", arguments, o.help, bind));
  return o;
}

/// 0: once.
Result<std::chrono::milliseconds> parse_interval(const std::optional<std::string>& text) {
  using std::chrono::milliseconds;
  if (!text) return milliseconds(0);
  double seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc() || end != text->data() + text->size() || !(seconds >= 0.01 && seconds <= 86400))
    return Error{ErrorKind::BadArguments,
                 "stat: --interval: expected seconds from 0.01 to 86400, found '" + *text + "'; change it"};
  return milliseconds(static_cast<long>(seconds * 1000));
}

Result<ExitStatus> show(const Arguments& arguments) {
  AV_TRY_ASSIGN(const Request r, parse(arguments));
  if (r.help) return help({"stat"});
  AV_TRY_ASSIGN(const std::chrono::milliseconds interval, parse_interval(r.interval));
  AV_TRY_ASSIGN(vmm::ControlClient machine, vmm::ControlClient::connect(r.name));
  const std::string request = r.json ? "stat json" : "stat text";
  AV_TRY_ASSIGN(const std::string first, machine.ask(request));
  std::fputs(first.c_str(), stdout);
  while (interval.count() && !std::fflush(stdout)) {
    std::this_thread::sleep_for(interval);
    AV_TRY_ASSIGN(const std::string next, machine.ask(request + " change"));
    std::printf("%s%s", r.json ? "" : "\n", next.c_str());
  }
  return ExitStatus::PoweredOff;
}

}  // namespace

ExitStatus stat(const Arguments& arguments) {
  const auto result = show(arguments);
  return result ? *result : report(result.error());
}

}  // namespace armvisor::cli
