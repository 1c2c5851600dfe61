#include "devices/backends/guest_line.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/host_error.h"
#include "base/thread.h"
#include "devices/chardev/chardev.h"

namespace armvisor::devices {
namespace {

constexpr std::size_t k_piece = 4096;
/// The host allows fewer, and then connect() waits for the thread, which waits for nobody.
constexpr int k_backlog = 65536;
/// Milliseconds until it tries to accept again after there was no descriptor.
constexpr int k_pause = 100;

/// A folder that nobody else may enter, for as long as a socket in it is bound.
class PassingFolder {
 public:
  PassingFolder() {
    const char* const base = std::getenv("TMPDIR");
    path_ = std::string(base && *base ? base : "/tmp") + "/armvisor-XXXXXX";
    if (!::mkdtemp(path_.data())) {
      path_.clear();
      return;
    }
    fd_ = Fd(::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  ~PassingFolder() {
    if (fd_) ::unlinkat(fd_.get(), k_name, 0);
    if (!path_.empty()) ::rmdir(path_.c_str());
  }
  PassingFolder(const PassingFolder&) = delete;
  PassingFolder& operator=(const PassingFolder&) = delete;
  int fd() const { return fd_.get(); }
  static constexpr const char* k_name = "s";

 private:
  std::string path_;
  Fd fd_;
};

std::string own_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

}  // namespace

Result<std::unique_ptr<GuestLine>> GuestLine::create(Chardev* line) {
  AV_TRY_ASSIGN(WakeEvent wake, WakeEvent::create("guestfwd"));
  std::unique_ptr<GuestLine> made(new GuestLine(line, std::move(wake)));
  AV_TRY(made->open());
  AV_TRY_ASSIGN(made->thread_, start_quiet_thread(ThreadKind::Line, "guestfwd", [&m = *made] { m.run(); }));
  if (line)
    line->attach({.input = [&m = *made](std::span<const u8> bytes) { return m.take_input(bytes); },
                  .writable = [&m = *made] { m.wake_.wake(); }});
  return made;
}

Status GuestLine::open() {
  const auto failed = [] {
    return host_error("guestfwd: expected a socket of its own", errno, "check the folder for temporary files");
  };
  const PassingFolder folder;
  listening_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (folder.fd() < 0 || !listening_) return failed();
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::snprintf(at.sun_path, sizeof at.sun_path, "%s/%s", own_path(folder.fd()).c_str(), PassingFolder::k_name);
  if (::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
      ::listen(listening_.get(), k_backlog) != 0)
    return failed();
  place_ = Fd(::openat(folder.fd(), PassingFolder::k_name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!place_) return failed();
  path_ = own_path(place_.get());
  return {};
}

GuestLine::~GuestLine() {
  stopping_ = true;
  wake_.wake();
  if (!thread_.joinable()) return;
  thread_.join();
  if (line_) line_->detach();
}

/// With mutex_. Null: there is none that hears.
GuestLine::Connection* GuestLine::newest() {
  for (auto c = connections_.rbegin(); c != connections_.rend(); ++c)
    if (!c->deaf) return &*c;
  return nullptr;
}

/// A handler of the device's.
std::size_t GuestLine::take_input(std::span<const u8> bytes) {
  const std::lock_guard lock(mutex_);
  Connection* const to = newest();
  refused_ = !to;
  if (!to) return 0;
  const ssize_t n = ::send(to->socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  const std::size_t sent = n > 0 ? static_cast<std::size_t>(n) : 0;
  to->deaf = n < 0 && errno != EAGAIN && errno != EINTR;
  held_back_ = sent < bytes.size();
  refused_ = held_back_;
  if (held_back_) wake_.wake();
  return sent;
}

bool GuestLine::offer(std::span<const u8> bytes) { return !line_ || line_->offer(bytes); }

// --- the thread

void GuestLine::run() {
  while (!stopping_) {
    if (!waiting_.empty() && offer(waiting_)) waiting_.clear();
    wait();
    accept_all();
    serve();
  }
  finish();
}

/// What sockets still hold goes to the device.
void GuestLine::finish() {
  while (finish_offer()) {
    accept_all();
    const std::lock_guard lock(mutex_);
    for (Connection& c : connections_) receive(c);
    connections_.remove_if([](const Connection& c) { return c.ended; });
    if (waiting_.empty() && connections_.empty()) return;
  }
}

/// False: the device does not take what waits for it.
bool GuestLine::finish_offer() {
  while (!waiting_.empty()) {
    if (offer(waiting_)) {
      waiting_.clear();
      return true;
    }
    pollfd polled{wake_.fd(), POLLIN, 0};
    if (line_->hurried() || ::poll(&polled, 1, k_patience_ms) == 0) return false;
    wake_.take();
  }
  return true;
}

void GuestLine::wait() {
  std::vector<pollfd> polled = {{wake_.fd(), POLLIN, 0}, {accepts_ ? listening_.get() : -1, POLLIN, 0}};
  {
    const std::lock_guard lock(mutex_);
    const Connection* const last = newest();
    for (const Connection& c : connections_) {
      short events = 0;
      if (waiting_.empty() && !c.ended) events |= POLLIN;
      if (held_back_ && &c == last) events |= POLLOUT;
      // The end of one that cannot be read now is shown all the time.
      polled.push_back({events || !c.deaf ? c.socket.get() : -1, events, 0});
    }
  }
  if (::poll(polled.data(), polled.size(), accepts_ ? -1 : k_pause) < 0) return;
  if (polled[0].revents) wake_.take();
  accepts_ = true;
  const std::lock_guard lock(mutex_);
  auto p = polled.begin() + 2;  // no one else adds or removes connections
  for (Connection& c : connections_) {
    if (p->revents & (POLLHUP | POLLERR)) c.deaf = true;
    if (p->revents & POLLOUT) held_back_ = false;
    ++p;
  }
}

void GuestLine::accept_all() {
  for (;;) {
    Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) {
      accepts_ = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
      return;
    }
    const std::lock_guard lock(mutex_);
    connections_.push_back({.socket = std::move(socket)});
    held_back_ = false;
  }
}

/// Reads what has come of each connection, as far as the device takes it, and lets go of those that have ended.
void GuestLine::serve() {
  bool has_room = false;
  {
    const std::lock_guard lock(mutex_);
    for (Connection& c : connections_) receive(c);
    const Connection* const last = newest();
    connections_.remove_if([last](const Connection& c) { return c.ended && &c != last; });
    has_room = refused_ && !held_back_ && last;
    if (has_room) refused_ = false;
  }
  if (line_ && has_room) line_->room();
}

/// With mutex_.
void GuestLine::receive(Connection& c) {
  if (!waiting_.empty() || c.ended) return;
  std::array<u8, k_piece> piece;
  const ssize_t n = ::recv(c.socket.get(), piece.data(), piece.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR) && !stopping_) return;
  if (n <= 0) {
    c.ended = true;
    return;
  }
  const std::span<const u8> got(piece.data(), static_cast<std::size_t>(n));
  if (!offer(got)) waiting_.assign(got.begin(), got.end());
}

}  // namespace armvisor::devices
