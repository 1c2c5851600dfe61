#include "devices/chardev/socket_chardev.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/host_error.h"
#include "base/log.h"
#include "base/thread.h"

namespace armvisor::devices {
namespace {
/// Milliseconds until a server that could not accept for want of descriptors tries again.
constexpr int k_pause = 1000;
/// Between two tries to connect, at most.
constexpr u64 k_longest = 3'600'000;
}  // namespace

Result<std::unique_ptr<SocketChardev>> SocketChardev::create(const std::string& option, const SocketOptions& options,
                                                             int stop_fd) {
  AV_TRY_ASSIGN(SocketPlace place, SocketPlace::find(option, options));
  AV_TRY_ASSIGN(WakeEvent wake, WakeEvent::create(option));
  std::unique_ptr<SocketChardev> made(new SocketChardev(option, options, std::move(place), std::move(wake)));
  if (options.server) {
    AV_TRY_ASSIGN(made->listening_, made->place_.listen());
  } else if (!options.reconnect_ms) {
    AV_TRY_ASSIGN(Fd socket, made->place_.connect(stop_fd));
    made->open_connection(std::move(socket));
  }
  return made;
}

SocketChardev::SocketChardev(const std::string& option, const SocketOptions& options, SocketPlace place, WakeEvent wake)
    : option_(option), options_(options), place_(std::move(place)), wake_(std::move(wake)) {}

SocketChardev::~SocketChardev() {
  stop();
  if (listening_) place_.remove();
}

/// One that connects again.
ThreadKind SocketChardev::duties() const {
  if (options_.server || !options_.reconnect_ms) return {};
  return options_.at.family == SocketAddress::Family::Unix ? ThreadKind::Sockets : ThreadKind::Internet;
}

Status SocketChardev::start() {
  AV_TRY_ASSIGN(thread_, start_quiet_thread(ThreadKind::Line | duties(), "chardev", [this] { run(); }));
  return {};
}

Status SocketChardev::wait_for_peer(int stop_fd) {
  if (!options_.server || !options_.wait || connected()) return {};
  say(option_ + ": info: waiting for connection on: " + filename());
  while (!connected()) {
    pollfd fds[2] = {{listening_.get(), POLLIN, 0}, {stop_fd, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0 && errno != EINTR)
      return host_error("expected to wait for a client", errno, "end other programs");
    if (fds[1].revents) return Error{ErrorKind::HostResource, "expected a client, found the end of the machine"};
    if (fds[0].revents) accept();
  }
  return {};
}

void SocketChardev::stop() {
  if (stopping_.exchange(true)) return;
  wake_.wake();
  if (thread_.joinable()) thread_.join();
  close_connection();
}

void SocketChardev::room() {
  wants_more_ = true;
  wake_.wake();
}

std::shared_ptr<SocketChardev::Connection> SocketChardev::connection() const {
  const std::lock_guard lock(mutex_);
  return connection_;
}

bool SocketChardev::connected() const { return connection() != nullptr; }

std::string SocketChardev::filename() const { return (connected() ? "" : "disconnected:") + place_.text(); }

// --- the thread

void SocketChardev::run() {
  while (!stopping_) {
    if (connected())
      serve_peer();
    else
      look_for_peer();
  }
}

/// Waits for an event of `fd` (< 0: of none), for a wish to wake up, or for the time to pass; -1: for ever.
void SocketChardev::wait(int fd, short events, int timeout_ms) {
  std::array<pollfd, 2> fds = {{{fd, events, 0}, {wake_.fd(), POLLIN, 0}}};
  if (::poll(fds.data(), fds.size(), timeout_ms) <= 0) return;
  if (fds[1].revents) wake_.take();
}

void SocketChardev::look_for_peer() {
  if (options_.server) {
    wait(listening_.get(), POLLIN, -1);
    const int error = stopping_ ? 0 : accept();
    if (is_accept_limit(error)) wait(-1, 0, k_pause);
    return;
  }
  if (!options_.reconnect_ms) return wait(-1, 0, -1);
  if (!std::exchange(was_connected_, false)) {
    auto socket = place_.connect(wake_.fd());
    if (socket) {
      was_connected_ = true;
      return open_connection(*std::move(socket));
    }
  }
  wait(-1, 0, static_cast<int>(std::min<u64>(*options_.reconnect_ms, k_longest)));
}

/// If there is no peer, and one is waiting. 0, or why it is not there.
int SocketChardev::accept() {
  // Without the lock first: a handler of this chardev's input asks too, and who makes a connection waits for handlers.
  if (connected()) return 0;
  const std::lock_guard lock(accept_mutex_);
  if (connected()) return 0;
  Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket) return errno;
  open_connection(std::move(socket));
  return 0;
}

void SocketChardev::accept_waiting() {
  if (!listening_ || stopping_) return;
  accept();
  wake_.wake();
}

void SocketChardev::open_connection(Fd socket) {
  // Reading asks poll() first; the outlet's thread is the only one that waits in a system call.
  ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) & ~O_NONBLOCK);
  Outlet::Target target{Fd(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0)), -1, {}};
  if (!target.owned) return;
  auto out = Outlet::create(std::move(target), [this] { tell_writable(); });
  if (!out) return;
  telnet_ = {};
  read_ahead_.clear();
  auto connection = std::make_shared<Connection>(Connection{std::move(socket), *std::move(out)});
  if (options_.telnet) connection->out->offer(Telnet::greeting());
  {
    const std::lock_guard lock(mutex_);
    if (given_up_) connection->out->give_up();
    connection_ = std::move(connection);
  }
  tell_opened(true);
}

/// What is still to be written is, if the peer takes it at once.
void SocketChardev::close_connection() {
  const std::lock_guard one_at_a_time(accept_mutex_);
  std::shared_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex_);
    connection = std::exchange(connection_, nullptr);
  }
  if (!connection) return;
  connection->out->close();
  ::shutdown(connection->socket.get(), SHUT_RDWR);  // which ends a write(2) that the outlet had to leave behind
  connection.reset();
  if (stopping_) return;
  tell_opened(false);
  tell_writable();  // what was held back for it is dropped now
}

void SocketChardev::serve_peer() {
  const auto peer = connection();
  if (!read_ahead_.empty()) {
    // Not read any further. A peer that has gone is heard to its end, unless another waits for its place.
    const auto shows = [](int fd, short events) {
      pollfd p{fd, events, 0};
      return ::poll(&p, 1, 0) > 0;
    };
    if (shows(peer->socket.get(), 0)) {
      wait(listening_.get(), POLLIN, -1);
      if (!stopping_ && listening_ && shows(listening_.get(), POLLIN)) return close_connection();
    } else {
      wait(peer->socket.get(), 0, -1);
    }
    if (!stopping_) hand_over(read_ahead_);
    return;
  }
  wait(peer->socket.get(), POLLIN, -1);
  if (stopping_) return;
  if (!receive()) return close_connection();
  if (!read_ahead_.empty() || wants_more_.exchange(false)) hand_over(read_ahead_);
}

/// False: the peer is gone.
bool SocketChardev::receive() {
  std::array<u8, 4096> buffer;
  const ssize_t n = ::recv(connection()->socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  const std::span<const u8> got(buffer.data(), static_cast<std::size_t>(n));
  if (options_.telnet) {
    for (u32 breaks = telnet_.take(got, read_ahead_); breaks > 0; --breaks) tell_break();
  } else {
    read_ahead_.assign(got.begin(), got.end());
  }
  return n > 0;
}

// --- output

std::span<const u8> SocketChardev::as_sent(std::span<const u8> bytes, std::vector<u8>& escaped) const {
  if (!options_.telnet) return bytes;
  escaped = Telnet::escaped(bytes);
  return escaped;
}

bool SocketChardev::do_offer(std::span<const u8> bytes) {
  const auto peer = connection();
  std::vector<u8> escaped;
  return !peer || peer->out->offer(as_sent(bytes, escaped)) || peer->out->failed();
}

void SocketChardev::do_write(std::span<const u8> bytes) {
  std::vector<u8> escaped;
  if (const auto peer = connection()) peer->out->write(as_sent(bytes, escaped));
}

void SocketChardev::do_give_up() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
  if (connection_) connection_->out->give_up();
}

void SocketChardev::do_drain() {
  // The end of a machine does not wait for a peer, as a program's does not: it has what it takes at once.
  const auto peer = connection();
  if (!peer) return;
  peer->out->give_up();
  peer->out->drain();
}

}  // namespace armvisor::devices
