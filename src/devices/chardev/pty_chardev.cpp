#include "devices/chardev/pty_chardev.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/host_error.h"
#include "base/thread.h"

namespace armvisor::devices {
namespace {
/// Milliseconds until it is looked again whether somebody opened the terminal, which nobody tells.
constexpr int k_look_again = 200;
constexpr std::size_t k_typed_ahead = 64 * 1024;

void make_raw(int fd) {
  termios mode;
  if (tcgetattr(fd, &mode) != 0) return;
  cfmakeraw(&mode);
  tcsetattr(fd, TCSANOW, &mode);
}
}  // namespace

Result<std::unique_ptr<PtyChardev>> PtyChardev::create(const std::string& option) {
  const auto failed = [&option](const std::string& what) {
    return host_error(option + ": expected " + what, errno, "send the console elsewhere");
  };
  AV_TRY_ASSIGN(WakeEvent wake, WakeEvent::create(option));
  Fd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  char name[128];
  if (!master || grantpt(master.get()) != 0 || unlockpt(master.get()) != 0 ||
      ptsname_r(master.get(), name, sizeof name) != 0)
    return failed("a pseudo-terminal");
  // Only a far end that was open and is closed shows as closed.
  const Fd far(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!far) return failed(std::string("to open ") + name);
  make_raw(far.get());
  return std::unique_ptr<PtyChardev>(new PtyChardev(std::move(master), name, std::move(wake)));
}

Status PtyChardev::start() {
  AV_TRY_ASSIGN(thread_, start_quiet_thread(ThreadKind::Line, "chardev-pty", [this] { run(); }));
  return {};
}

void PtyChardev::stop() {
  if (stopping_.exchange(true)) return;
  give_up();
  wake_.wake();
  if (thread_.joinable()) thread_.join();
}

void PtyChardev::room() {
  wants_more_ = true;
  wake_.wake();
}

bool PtyChardev::somebody_there() const {
  pollfd p{master_.get(), POLLIN, 0};
  return ::poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

void PtyChardev::set_open(bool open) {
  if (open_.exchange(open) == open) return;
  {
    const std::lock_guard lock(mutex_);
    if (!open) rest_.clear();
    progress_.notify_all();
  }
  tell_opened(open);
  if (!open) tell_writable();
}

void PtyChardev::run() {
  while (!stopping_) {
    set_open(somebody_there());
    look(open_ ? -1 : k_look_again, open_);
    if (stopping_ || (read_ahead_.empty() && !wants_more_.exchange(false))) continue;
    hand_over(read_ahead_);
  }
}

/// Waits for what there is to do, and does it.
void PtyChardev::look(int timeout_ms, bool watch) {
  bool refused = false;
  {
    const std::lock_guard lock(mutex_);
    refused = refused_ || !rest_.empty();
  }
  const short events = static_cast<short>(POLLIN | (refused ? POLLOUT : 0));
  std::array<pollfd, 2> fds = {{{watch ? master_.get() : -1, events, 0}, {wake_.fd(), POLLIN, 0}}};
  if (::poll(fds.data(), fds.size(), timeout_ms) <= 0) return;
  if (fds[1].revents) wake_.take();
  if (fds[0].revents & POLLIN) receive();
  if (!(fds[0].revents & POLLOUT)) return;
  bool tell = false;
  {
    const std::lock_guard lock(mutex_);
    const ssize_t n = rest_.empty() ? 0 : ::write(master_.get(), rest_.data(), rest_.size());
    if (n > 0) rest_.erase(rest_.begin(), rest_.begin() + n);
    tell = rest_.empty() && std::exchange(refused_, false);
    progress_.notify_all();
  }
  if (tell) tell_writable();
}

void PtyChardev::receive() {
  std::array<u8, 1024> buffer;
  const ssize_t n = ::read(master_.get(), buffer.data(), buffer.size());
  if (n <= 0) return;
  read_ahead_.insert(read_ahead_.end(), buffer.begin(), buffer.begin() + n);
  if (read_ahead_.size() > k_typed_ahead) read_ahead_.resize(k_typed_ahead);
}

// --- output: straight into the terminal's own buffer

bool PtyChardev::do_offer(std::span<const u8> bytes) {
  if (!open_) {
    if (!somebody_there()) return true;
    wake_.wake();  // the thread sees it, too
  }
  const std::lock_guard lock(mutex_);
  if (rest_.empty()) {
    const ssize_t n = ::write(master_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno != EAGAIN && errno != EINTR) return true;  // it is closed since a moment ago
    bytes = bytes.subspan(n > 0 ? static_cast<std::size_t>(n) : 0);
    if (bytes.empty()) return true;
    if (n > 0) {
      rest_.assign(bytes.begin(), bytes.end());
      wake_.wake();
      return true;
    }
  }
  refused_ = true;
  wake_.wake();
  return false;
}

void PtyChardev::do_write(std::span<const u8> bytes) {
  while (!do_offer(bytes)) {
    std::unique_lock lock(mutex_);
    progress_.wait(lock, [this] { return given_up_ || !open_ || !refused_; });
    if (given_up_) return;
  }
}

void PtyChardev::do_drain() {
  std::unique_lock lock(mutex_);
  progress_.wait(lock, [this] { return given_up_ || !open_ || rest_.empty(); });
}

void PtyChardev::do_give_up() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
  progress_.notify_all();
}

}  // namespace armvisor::devices
