#include "devices/backends/console.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/thread.h"
#include "devices/backends/terminal.h"

namespace armvisor::devices {
namespace {
// Milliseconds. A device that does not tell when it has room is tried again after the first; whether the process came
// to the foreground of its terminal, which nobody tells, is looked at again after the second.
constexpr int k_retry = 20, k_look_again = 200;
/// What is typed on a terminal while the guest takes nothing, beyond which it is lost: the escape must still be seen.
constexpr std::size_t k_typed_ahead = 64 * 1024;
}  // namespace

Result<std::unique_ptr<HostConsole>> HostConsole::create(int in_fd, Outlet::Target target, const ConsoleKeys& keys) {
  Fd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return host_error("console: expected an eventfd", errno, "end other programs");
  AV_TRY_ASSIGN(auto out, Outlet::create(std::move(target)));
  return std::unique_ptr<HostConsole>(new HostConsole(in_fd, std::move(out), std::move(wake), keys));
}

HostConsole::HostConsole(int in_fd, std::unique_ptr<Outlet> out, Fd wake, const ConsoleKeys& keys)
    : in_fd_(in_fd),
      terminal_(in_fd >= 0 && isatty(in_fd)),
      out_(std::move(out)),
      wake_(std::move(wake)),
      keys_(keys),
      escapes_(keys.when == ConsoleKeys::When::Always || (keys.when == ConsoleKeys::When::Terminal && terminal_)) {
  if (!terminal_) return;
  background_ = in_background(in_fd_);
  make_terminal_raw(in_fd_, keys_.signals);
}

HostConsole::~HostConsole() {
  stopping_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
  const Outlet::Loss loss = out_->close();
  if (terminal_) restore_terminal();
  say_error(loss.error);
  if (loss.bytes)
    AV_LOG(Warn, "console: nobody read the last %llu bytes; they are dropped",
           static_cast<unsigned long long>(loss.bytes));
}

Status HostConsole::start(Input input, Actions actions) {
  if (in_fd_ < 0) return {};
  input_ = std::move(input);
  actions_ = std::move(actions);
  AV_TRY_ASSIGN(thread_, start_quiet_thread("console", [this] { run(); }));
  return {};
}

void HostConsole::wake() {
  const u64 one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

void HostConsole::room() { wake(); }

void HostConsole::continued() {
  if (terminal_) make_terminal_raw(in_fd_, keys_.signals);
}

void HostConsole::run() {
  std::vector<u8> typed;  // and not yet taken by the guest
  for (bool open = true; !stopping_ && (open || !typed.empty());) {
    if (wait_for_input(open, typed.empty())) open = read_input(typed);
    if (typed.empty() || stopping_) continue;
    const std::size_t taken = input_(typed);
    typed.erase(typed.begin(), typed.begin() + static_cast<std::ptrdiff_t>(taken));
  }
}

/// True when there is input to be read. What waits for the guest holds up a pipe or a file, but no terminal.
bool HostConsole::wait_for_input(bool open, bool nothing_waits) {
  int timeout = nothing_waits ? -1 : k_retry;
  bool wanted = open && (terminal_ || nothing_waits);
  if (wanted && !may_read()) {
    wanted = false;
    if (timeout < 0) timeout = k_look_again;
  }
  std::array<pollfd, 2> fds = {{{wanted ? in_fd_ : -1, POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
  if (poll(fds.data(), fds.size(), timeout) < 0) return false;
  u64 count = 0;
  if (fds[1].revents) [[maybe_unused]]
    const ssize_t n = ::read(wake_.get(), &count, sizeof count);
  return fds[0].revents && !stopping_;
}

/// In the background of its terminal a process must not read it; back in the foreground, the terminal is made raw.
bool HostConsole::may_read() {
  if (!terminal_) return true;
  const bool was = std::exchange(background_, in_background(in_fd_));
  if (was && !background_) make_terminal_raw(in_fd_, keys_.signals);
  return !background_;
}

/// False: the input is at its end, which is not the machine's.
bool HostConsole::read_input(std::vector<u8>& typed) {
  std::array<u8, 1024> buffer;
  if (!may_read()) return true;
  const ssize_t n = read(in_fd_, buffer.data(), buffer.size());
  // EIO: the terminal is gone, or this process is in its background since a moment ago.
  if (n < 0) return errno == EINTR || errno == EAGAIN || (errno == EIO && terminal_ && in_background(in_fd_));
  filter({buffer.data(), static_cast<std::size_t>(n)}, typed);
  if (terminal_ && typed.size() > k_typed_ahead) typed.resize(k_typed_ahead);
  return n > 0;
}

void HostConsole::filter(std::span<const u8> bytes, std::vector<u8>& out) {
  for (const u8 c : bytes) {
    if (!escapes_)
      out.push_back(c);
    else if (!escaped_ && c == keys_.escape)
      escaped_ = true;
    else if (std::exchange(escaped_, false) && c != keys_.escape)
      act(c);
    else
      out.push_back(c);
  }
}

/// A key behind the escape.
void HostConsole::act(u8 key) {
  if (key == 'x' && actions_.quit) actions_.quit();
  if (key == 'b' && actions_.send_break) actions_.send_break();
  if (key == 'c') log_line(LogLevel::Info, "there is no monitor behind this console");
  if (key != 'h' && key != '?') return;
  // Ctrl-A is 1; what is no control character shows as itself.
  const std::string escape = keys_.escape < 0x20 ? std::string("Ctrl-") + static_cast<char>(keys_.escape + 0x40)
                                                 : std::string(1, static_cast<char>(keys_.escape));
  log_line(LogLevel::Info, "%s x ends the machine, %s b sends a break, %s %s sends %s, %s h shows this", escape.c_str(),
           escape.c_str(), escape.c_str(), escape.c_str(), escape.c_str(), escape.c_str());
}

void HostConsole::write(std::span<const u8> bytes) { say_error(out_->write(bytes)); }

void HostConsole::say_error(int error) {
  if (error && !error_said_.exchange(true))
    AV_LOG(Error, "console output is lost from here on: %s", std::strerror(error));
}

void HostConsole::give_up() { out_->give_up(); }
void HostConsole::drain() { out_->drain(); }

}  // namespace armvisor::devices
