#include "devices/backends/tap_network.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/host_error.h"
#include "base/log_once.h"

namespace armvisor::devices {
namespace {

constexpr std::size_t k_largest_frame = 65536;
constexpr int k_receive_burst = 64;  // then the guest's frames get their turn

struct Tap {
  Fd fd;
  std::string interface;
};

Error tap_error(const TapOptions& options) {
  return host_error("tap: expected to open the interface " + (options.interface.empty() ? "tap%d" : options.interface),
                    errno, "have it made for this user (ip tuntap add mode tap user NAME), or use the network 'user'");
}

Result<Tap> open_interface(const TapOptions& options) {
  ifreq request{};
  Fd fd(options.fd >= 0 ? ::fcntl(options.fd, F_DUPFD_CLOEXEC, 3) : ::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!fd) return tap_error(options);
  if (options.fd < 0) {
    const std::string& name = options.interface.empty() ? "tap%d" : options.interface;
    if (name.size() >= sizeof request.ifr_name)
      return Error{ErrorKind::BadArguments, "tap: expected a name of up to 15 bytes, found " + name + "; shorten it"};
    std::memcpy(request.ifr_name, name.data(), name.size());
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
  }
  if (::ioctl(fd.get(), options.fd < 0 ? TUNSETIFF : TUNGETIFF, &request) != 0) return tap_error(options);
  if ((request.ifr_flags & (IFF_TAP | IFF_VNET_HDR)) != IFF_TAP)
    return Error{ErrorKind::BadArguments,
                 "tap: expected a descriptor of a tap interface without headers (IFF_VNET_HDR), "
                 "found another; open it so"};
  if (::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK) != 0) return tap_error(options);
  return Tap{std::move(fd), std::string(request.ifr_name, strnlen(request.ifr_name, sizeof request.ifr_name))};
}

/// With signals as a shell has them, whatever this process does about them.
Status run_script(const std::string& script, const std::string& interface) {
  if (script.empty()) return {};
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string path = script, name = interface;
  char* const arguments[] = {path.data(), name.data(), nullptr};
  pid_t child = 0;
  const int error = ::posix_spawn(&child, script.c_str(), nullptr, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  if (error) return host_error("tap: expected to run " + script, error, "say script=no if there is none to run");
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error{ErrorKind::HostResource,
               fmt::format("tap: expected {} {} to end with 0, found {}; see what it says, or say script=no", script,
                           interface, WIFEXITED(status) ? WEXITSTATUS(status) : 128)};
}

}  // namespace

Result<std::unique_ptr<TapNetwork>> TapNetwork::create(const TapOptions& options) {
  AV_TRY_ASSIGN(Fd event, make_event());
  AV_TRY_ASSIGN(Tap tap, open_interface(options));
  AV_TRY(run_script(options.up_script, tap.interface));
  return std::unique_ptr<TapNetwork>(
      new TapNetwork(std::move(tap.fd), std::move(event), std::move(tap.interface), options.down_script));
}

TapNetwork::TapNetwork(Fd tap, Fd event, std::string interface, std::string down_script)
    : ThreadNetwork(std::move(event)),
      tap_(std::move(tap)),
      interface_(std::move(interface)),
      down_script_(std::move(down_script)),
      frame_(k_largest_frame) {}

TapNetwork::~TapNetwork() {
  stop();
  if (const Status done = run_script(down_script_, interface_); !done) AV_LOG(Warn, "%s", done.error().message.c_str());
}

/// As a wire does, an interface that is down or full loses frames.
void TapNetwork::send(std::span<const u8> frame) {
  [[maybe_unused]] const ssize_t n = ::write(tap_.get(), frame.data(), frame.size());
}

void TapNetwork::run() {
  bool more = false;
  while (!stopping()) {
    std::array<pollfd, 2> fds = {{{event(), POLLIN, 0}, {tap_.get(), POLLIN, 0}}};
    ::poll(fds.data(), fds.size(), more ? 0 : -1);
    if (fds[0].revents) take_event();
    more = client()->transmit_pending();
    more |= receive_some();
    client()->received_all();
  }
}

/// True when there may be more.
bool TapNetwork::receive_some() {
  for (int i = 0; i < k_receive_burst; ++i) {
    const ssize_t n = ::read(tap_.get(), frame_.data(), frame_.size());
    if (n <= 0) {
      if (n < 0 && errno != EAGAIN && errno != EINTR)
        AV_LOG_ONCE(Warn, "network: the tap interface %s gives no frames: %s", interface_.c_str(),
                    std::strerror(errno));
      return false;
    }
    client()->receive(std::span(frame_).first(static_cast<std::size_t>(n)));
  }
  return true;
}

}  // namespace armvisor::devices
