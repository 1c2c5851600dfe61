#include "devices/backends/vde_link.h"

#include <fcntl.h>
#include <poll.h>
extern "C" {
#include <libvdeplug.h>
}

#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/host_error.h"
#include "base/log_once.h"
#include "base/thread.h"
#include "base/wake_event.h"

namespace armvisor::devices {
namespace {

constexpr int k_receive_burst = 64;  // then the guest's frames get their turn

/// A connection that is being made: of the thread that makes it and the one that waits for it.
struct Attempt {
  FrameLinkOptions::Vde options;
  WakeEvent done;
  std::mutex mutex{};  // guards what follows
  vdeconn* connection = nullptr;
  int error = 0;
  bool unwanted = false;  ///< nobody waits any more

  Attempt(const FrameLinkOptions::Vde& o, WakeEvent event) : options(o), done(std::move(event)) {}

  void run() {
    vde_open_args arguments{};
    arguments.port = static_cast<int>(options.port);
    arguments.group = options.group.empty() ? nullptr : options.group.data();
    arguments.mode = options.mode;
    char name[] = "armvisor";
    errno = 0;
    vdeconn* const made = vde_open(options.place.empty() ? nullptr : options.place.data(), name, &arguments);
    const std::lock_guard lock(mutex);
    error = made ? 0 : errno;
    if (made && unwanted)
      vde_close(made);
    else
      connection = made;
    done.wake();
  }
};

Result<vdeconn*> connect(const FrameLinkOptions& options, const StopEvent* stop) {
  AV_TRY_ASSIGN(WakeEvent event, WakeEvent::create(options.option));
  const auto attempt = std::make_shared<Attempt>(options.vde, std::move(event));
  AV_TRY_ASSIGN(std::thread thread, start_opening_thread("vde", [attempt] { attempt->run(); }));
  pollfd polled[2] = {{attempt->done.fd(), POLLIN, 0}, {stop ? stop->fd() : -1, POLLIN, 0}};
  while (::poll(polled, 2, -1) < 0 && errno == EINTR) {
  }
  const std::lock_guard lock(attempt->mutex);
  if (!polled[0].revents) {
    attempt->unwanted = true;
    thread.detach();
    // It may have been made at this very moment.
    if (vdeconn* const made = std::exchange(attempt->connection, nullptr)) vde_close(made);
    return Error{ErrorKind::HostResource, options.option + ": expected the switch's answer, found the machine's end"};
  }
  thread.join();
  if (attempt->connection) return attempt->connection;
  return host_error(
      options.option + ": expected a switch at " + (options.vde.place.empty() ? "the usual place" : options.vde.place),
      attempt->error, "start it (vde_switch -s PLACE), or check the place and who may connect to it");
}

}  // namespace

Result<std::shared_ptr<FrameLink>> VdeLink::open(const FrameLinkOptions& options, const StopEvent* stop) {
  AV_TRY_ASSIGN(vdeconn* const connection, connect(options, stop));
  const std::shared_ptr<VdeLink> link(new VdeLink(options.option, connection));
  const int fd = vde_datafd(connection);
  if (fd < 0 || ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
    return host_error(options.option + ": expected a descriptor for frames", errno, "choose another kind of network");
  return std::shared_ptr<FrameLink>(link);
}

VdeLink::~VdeLink() { vde_close(connection_); }

FrameLink::Wait VdeLink::wait() { return {gone_ ? -1 : vde_datafd(connection_), POLLIN}; }

bool VdeLink::serve(const Receive& receive) {
  for (int i = 0; i < k_receive_burst; ++i) {
    const ssize_t n = vde_recv(connection_, frame_.data(), frame_.size(), 0);
    if (n > 0) {
      const auto size = static_cast<std::size_t>(n);
      if (size >= k_least_frame) receive(std::span(frame_).first(size));
      continue;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n < 0 && errno == ECONNREFUSED && !has_hung_up()) return false;  // of a frame that was sent
    say_gone(n < 0 ? std::strerror(errno) : "it has closed");
    return false;
  }
  return true;
}

/// Its control connection ends with the switch; frames go to a socket that others may have opened again.
bool VdeLink::has_hung_up() const {
  pollfd polled{vde_ctlfd(connection_), POLLIN, 0};
  return polled.fd >= 0 && ::poll(&polled, 1, 0) == 1 && (polled.revents & (POLLHUP | POLLERR));
}

void VdeLink::say_gone(const char* why) {
  AV_LOG_ONCE(Warn, "%s: the switch has gone: %s", option_.c_str(), why);
  gone_ = true;
}

/// As a wire does, a switch that takes nothing loses frames.
void VdeLink::send(std::span<const u8> frame) {
  if (gone_ || frame.size() > k_largest_frame || vde_send(connection_, frame.data(), frame.size(), 0) >= 0) return;
  const int error = errno;
  if (has_hung_up())
    say_gone(std::strerror(error));
  else
    AV_LOG_ONCE(Info, "%s: frames are lost: %s", option_.c_str(), std::strerror(error));
}

}  // namespace armvisor::devices
