#include "devices/backends/console.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>

#include "base/log.h"
#include "base/thread.h"

namespace armvisor::devices {
namespace {
constexpr u8 k_escape = 0x01;  // Ctrl-A
// A device that does not tell when it has room is tried again after this long.
constexpr std::chrono::milliseconds k_retry{20};
}  // namespace

Result<std::unique_ptr<HostConsole>> HostConsole::create(int in_fd, int out_fd) {
  Fd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return host_error("console: expected an eventfd", errno, "end other programs");
  std::unique_ptr<HostConsole> console(new HostConsole(in_fd, out_fd, std::move(wake)));
  console->set_raw();
  return console;
}

void HostConsole::set_raw() {
  termios t;
  if (in_fd_ < 0 || !isatty(in_fd_) || tcgetattr(in_fd_, &t) != 0) return;
  // In the background of its terminal the machine leaves the terminal alone: setting it would stop the process.
  const pid_t foreground = tcgetpgrp(in_fd_);
  if (foreground > 0 && foreground != getpgrp()) return;
  saved_ = t;
  cfmakeraw(&t);
  t.c_oflag |= OPOST;  // the host's own messages keep their line ends
  tcsetattr(in_fd_, TCSANOW, &t);
}

HostConsole::~HostConsole() {
  stopping_ = true;
  const u64 one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
  room();
  if (thread_.joinable()) thread_.join();
  if (saved_) tcsetattr(in_fd_, TCSADRAIN, &*saved_);
}

Status HostConsole::start(Input input, std::function<void()> quit) {
  if (in_fd_ < 0) return {};
  input_ = std::move(input);
  quit_ = std::move(quit);
  AV_TRY_ASSIGN(thread_, start_quiet_thread("console", [this] { run(); }));
  return {};
}

void HostConsole::room() {
  {
    const std::lock_guard lock(mutex_);
    has_room_ = true;
  }
  room_.notify_one();
}

void HostConsole::run() {
  std::array<u8, 1024> buffer;
  std::vector<u8> typed;
  while (wait_for_input()) {
    const ssize_t n = read(in_fd_, buffer.data(), buffer.size());
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) return;  // the end of the input is not the machine's
    if (n < 0) continue;
    typed.clear();
    filter({buffer.data(), static_cast<std::size_t>(n)}, typed);
    deliver(typed);
  }
}

bool HostConsole::wait_for_input() {
  std::array<pollfd, 2> fds = {{{in_fd_, POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
  while (!stopping_) {
    if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return false;
    if (fds[0].revents && !stopping_) return true;
  }
  return false;
}

void HostConsole::filter(std::span<const u8> bytes, std::vector<u8>& out) {
  for (const u8 c : bytes) {
    if (!saved_) {  // no terminal: nothing is an escape
      out.push_back(c);
    } else if (!escaped_ && c == k_escape) {
      escaped_ = true;
    } else if (std::exchange(escaped_, false) && c != k_escape) {
      if (c == 'x' && quit_) quit_();
      if (c == 'h' || c == '?')
        log_line(LogLevel::Info, "Ctrl-A x ends the machine, Ctrl-A Ctrl-A sends Ctrl-A, Ctrl-A h shows this");
    } else {
      out.push_back(c);
    }
  }
}

void HostConsole::deliver(std::span<const u8> bytes) {
  while (!bytes.empty() && !stopping_) {
    {
      const std::lock_guard lock(mutex_);
      has_room_ = false;
    }
    bytes = bytes.subspan(input_(bytes));
    if (bytes.empty()) return;
    std::unique_lock lock(mutex_);
    room_.wait_for(lock, k_retry, [this] { return has_room_ || stopping_; });
  }
}

void HostConsole::write(std::span<const u8> bytes) {
  const std::lock_guard lock(write_mutex_);
  while (!bytes.empty() && !output_gone_) {
    const ssize_t n = ::write(out_fd_, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      pollfd p = {out_fd_, POLLOUT, 0};
      poll(&p, 1, -1);
    } else if (errno != EINTR) {
      output_gone_ = true;
      AV_LOG(Error, "console output is lost from here on: %s", std::strerror(errno));
    }
  }
}

}  // namespace armvisor::devices
