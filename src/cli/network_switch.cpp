// armvisor switch: the process that is a switch between machines (devices/switch/switch_hub.h).
#include <cstdlib>

#include "cli/commands.h"
#include "devices/switch/switch_hub.h"

namespace armvisor::cli {
namespace {

constexpr int k_handed_over = 3;  // sd_listen_fds(3)

}  // namespace

ExitStatus network_switch(const Arguments& arguments) {
  const char* const sockets = std::getenv("LISTEN_FDS");
  if (arguments.size() != 1 || !sockets || std::string_view(sockets) != "1")
    return report({ErrorKind::BadArguments,
                   "switch: expected to be started by a machine, with a socket; say 'armvisor run --net switch=NAME'"});
  const Status ended = devices::run_switch(arguments[0], k_handed_over);
  return ended ? ExitStatus::PoweredOff : report(ended.error());
}

}  // namespace armvisor::cli
