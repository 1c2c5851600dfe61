#include "devices/backends/tap_link.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/host_error.h"
#include "base/log_once.h"
#include "base/sandbox/sandbox.h"
#include "devices/backends/tap_programs.h"

namespace armvisor::devices {
namespace {

constexpr int k_receive_burst = 64;  // then the guest's frames get their turn
constexpr int k_down_script_ms = 30'000;
/// struct virtio_net_hdr has 10 or 12 bytes; with all of them 0 it says nothing of its frame.
constexpr std::size_t k_most_header = 64;

Error tap_error(const TapOptions& options) {
  return host_error("tap: expected to open the interface " + (options.interface.empty() ? "tap%d" : options.interface),
                    errno, "have it made for this user (ip tuntap add mode tap user NAME), or use the network 'user'");
}

/// Opens an interface by its name, or makes one.
Status open_by_name(const TapOptions& options, const Fd& fd) {
  ifreq request{};
  const std::string& name = options.interface.empty() ? "tap%d" : options.interface;
  if (name.size() >= sizeof request.ifr_name)
    return Error{ErrorKind::BadArguments, "tap: expected a name of up to 15 bytes, found " + name + "; shorten it"};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) return tap_error(options);
  return {};
}

Result<Fd> open_tap(const TapOptions& options, const StopEvent* stop) {
  if (!options.helper.empty()) return run_bridge_helper(options.helper, options.bridge, stop);
  const bool handed_over = options.fd >= 0;
  Fd fd(handed_over ? ::fcntl(options.fd, F_DUPFD_CLOEXEC, 3) : ::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!fd) return tap_error(options);
  if (!handed_over) AV_TRY(open_by_name(options, fd));
  return fd;
}

}  // namespace

Result<std::shared_ptr<TapLink>> TapLink::open(const TapOptions& options, const StopEvent* stop) {
  AV_TRY_ASSIGN(Fd fd, open_tap(options, stop));
  ifreq found{};
  if (::ioctl(fd.get(), TUNGETIFF, &found) != 0 || !(found.ifr_flags & IFF_TAP))
    return Error{ErrorKind::BadArguments, "tap: expected a descriptor of a tap interface, found another" +
                                              (options.helper.empty() ? "" : " from " + options.helper) +
                                              "; hand one over"};
  int header_bytes = 0;
  if (found.ifr_flags & IFF_VNET_HDR) {
    // What is in the headers that the interface gives is not used: it is to complete checksums and to cut segments.
    if (::ioctl(fd.get(), TUNGETVNETHDRSZ, &header_bytes) != 0 || ::ioctl(fd.get(), TUNSETOFFLOAD, 0) != 0 ||
        header_bytes < 0 || static_cast<std::size_t>(header_bytes) > k_most_header)
      return tap_error(options);
  }
  if (::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK) != 0) return tap_error(options);
  std::shared_ptr<TapLink> link(new TapLink(std::move(fd),
                                            {found.ifr_name, strnlen(found.ifr_name, sizeof found.ifr_name)},
                                            static_cast<std::size_t>(header_bytes)));
  AV_TRY(run_tap_script(options.up_script, link->interface_, stop));
  link->down_script_ = options.down_script;
  return link;
}

std::string TapLink::down_errand(const std::string& script) { return "tap-down " + script; }

Status TapLink::run_down_script(const std::string& script, const std::string& interface) {
  return run_tap_script(script, interface, nullptr, k_down_script_ms);
}

TapLink::~TapLink() {
  if (auto asked = Sandbox::ask(down_errand(down_script_), interface_)) {
    if (!*asked) AV_LOG(Warn, "%s", asked->error().message.c_str());
    return;
  }
  if (const Status done = run_tap_script(down_script_, interface_, nullptr, k_down_script_ms); !done)
    AV_LOG(Warn, "%s", done.error().message.c_str());
}

/// As a wire does, an interface that is down or full loses frames.
void TapLink::send(std::span<const u8> frame) {
  std::array<u8, k_most_header> header{};
  const iovec parts[2] = {{header.data(), header_bytes_}, {const_cast<u8*>(frame.data()), frame.size()}};
  [[maybe_unused]] const ssize_t n = ::writev(tap_.get(), parts, 2);
}

bool TapLink::serve(const Receive& receive) {
  for (int i = 0; i < k_receive_burst; ++i) {
    std::array<u8, k_most_header> header;
    const iovec parts[2] = {{header.data(), header_bytes_}, {frame_.data(), frame_.size()}};
    const ssize_t n = ::readv(tap_.get(), parts, 2);
    if (n <= 0) {
      if (n == 0 || errno == EAGAIN || errno == EINTR) return false;
      AV_LOG_ONCE(Warn, "network: the tap interface %s gives no frames: %s", interface_.c_str(), std::strerror(errno));
      gone_ = errno == EBADFD;
      return false;
    }
    const auto size = static_cast<std::size_t>(n);
    if (size > header_bytes_) receive(std::span(frame_).first(size - header_bytes_));
  }
  return true;
}

}  // namespace armvisor::devices
