// armvisor stat: the counters of a running machine, by its control socket.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <thread>

#include "cli/commands.h"
#include "vmm/control_client.h"

namespace armvisor::cli {
namespace {

struct Request {
  std::string name;
  bool json = false;
  std::chrono::milliseconds interval{0};  ///< 0: once
};

Error bad(const std::string& message) { return Error{ErrorKind::BadArguments, "stat: " + message}; }

Result<Request> parse(const Arguments& arguments) {
  Request r;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& a = arguments[i];
    if (a == "--json") {
      r.json = true;
    } else if (a == "--interval") {
      if (++i == arguments.size()) return bad("expected a value after --interval, found the end; add it");
      double seconds = 0;
      const std::string& text = arguments[i];
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
      if (error != std::errc() || end != text.data() + text.size() || !(seconds >= 0.01 && seconds <= 86400))
        return bad("--interval: expected seconds from 0.01 to 86400, found '" + text + "'; change it");
      r.interval = std::chrono::milliseconds(static_cast<long>(seconds * 1000));
    } else if (a.starts_with("-")) {
      return bad("expected --interval or --json, found '" + a + "'; see 'armvisor help stat'");
    } else if (!r.name.empty()) {
      return bad("expected one name, found '" + r.name + "' and '" + a + "'; leave one out");
    } else {
      r.name = a;
    }
  }
  if (r.name.empty()) return bad("expected the name of a machine, found none; see 'armvisor help stat'");
  return r;
}

Status show(const Arguments& arguments) {
  AV_TRY_ASSIGN(const Request r, parse(arguments));
  AV_TRY_ASSIGN(vmm::ControlClient machine, vmm::ControlClient::connect(r.name));
  const std::string request = r.json ? "stat json" : "stat text";
  AV_TRY_ASSIGN(const std::string first, machine.ask(request));
  std::fputs(first.c_str(), stdout);
  while (r.interval.count() && !std::fflush(stdout)) {
    std::this_thread::sleep_for(r.interval);
    AV_TRY_ASSIGN(const std::string next, machine.ask(request + " change"));
    std::printf("%s%s", r.json ? "" : "\n", next.c_str());
  }
  return {};
}

}  // namespace

ExitStatus stat(const Arguments& arguments) {
  const auto result = show(arguments);
  return result ? ExitStatus::PoweredOff : report(result.error());
}

}  // namespace armvisor::cli
