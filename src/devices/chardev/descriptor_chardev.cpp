#include "devices/chardev/descriptor_chardev.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/host_error.h"
#include "base/log.h"
#include "base/thread.h"
#include "devices/backends/terminal.h"

namespace armvisor::devices {
namespace {
/// Milliseconds until it is looked at again whether the process came to the foreground of its terminal, which nobody
/// tells.
constexpr int k_look_again = 200;
/// What is typed on a terminal while its user takes nothing, beyond which it is lost.
constexpr std::size_t k_typed_ahead = 64 * 1024;
}  // namespace

Result<std::unique_ptr<DescriptorChardev>> DescriptorChardev::create(Ends ends) {
  AV_TRY_ASSIGN(WakeEvent wake, WakeEvent::create("console"));
  std::unique_ptr<DescriptorChardev> made(new DescriptorChardev(std::move(ends), std::move(wake)));
  Outlet::Target& output = made->ends_.output;
  if (output.owned || output.fd >= 0 || !output.fifo.empty()) {
    AV_TRY_ASSIGN(made->out_, Outlet::create(std::move(output), [self = made.get()] { self->tell_writable(); }));
  }
  return made;
}

DescriptorChardev::DescriptorChardev(Ends ends, WakeEvent wake)
    : ends_(std::move(ends)),
      in_fd_(ends_.owned_input ? ends_.owned_input.get() : ends_.input),
      out_fd_(ends_.output.fd),
      terminal_(in_fd_ >= 0 && isatty(in_fd_)),
      wake_(std::move(wake)) {}

void DescriptorChardev::stop() {
  if (stopping_.exchange(true)) return;
  wake_.wake();
  if (thread_.joinable()) thread_.join();
  if (terminal_) restore_terminal();
  if (!out_) return;
  const Outlet::Loss loss = out_->close();
  say_error(loss.error);
  if (loss.bytes)
    AV_LOG(Warn, "console: nobody read the last %llu bytes; they are dropped",
           static_cast<unsigned long long>(loss.bytes));
}

Status DescriptorChardev::start() {
  if (in_fd_ < 0) return {};
  if (terminal_) {
    background_ = in_background(in_fd_);
    make_terminal_raw(in_fd_, ends_.signals);
  }
  AV_TRY_ASSIGN(thread_, start_quiet_thread(ThreadKind::Line, "console", [this] { run(); }));
  return {};
}

void DescriptorChardev::room() {
  wants_more_ = true;
  wake_.wake();
}

void DescriptorChardev::continued() {
  if (terminal_) make_terminal_raw(in_fd_, ends_.signals);
}

std::optional<TerminalSize> DescriptorChardev::size() const {
  winsize w;
  if (out_fd_ < 0 || ioctl(out_fd_, TIOCGWINSZ, &w) != 0) return std::nullopt;
  return TerminalSize{w.ws_col, w.ws_row};
}

void DescriptorChardev::run() {
  std::vector<u8> read_ahead;  // and not yet taken
  for (bool open = true; !stopping_;) {
    if (wait_for_input(open, read_ahead.empty())) open = read_input(read_ahead);
    // A mux that has room is asked with nothing, too: it may hold back something itself.
    if (stopping_ || (read_ahead.empty() && !wants_more_.exchange(false))) continue;
    hand_over(read_ahead);
  }
}

/// True when there is input to be read. What waits for its user holds up a pipe or a file, but no terminal.
bool DescriptorChardev::wait_for_input(bool open, bool nothing_waits) {
  int timeout = -1;
  bool wanted = open && (terminal_ || nothing_waits);
  if (wanted && !may_read()) {
    wanted = false;
    timeout = k_look_again;
  }
  std::array<pollfd, 2> fds = {{{wanted ? in_fd_ : -1, POLLIN, 0}, {wake_.fd(), POLLIN, 0}}};
  if (poll(fds.data(), fds.size(), timeout) < 0) return false;
  if (fds[1].revents) wake_.take();
  return fds[0].revents && !stopping_;
}

/// In the background of its terminal a process must not read it; back in the foreground, the terminal is made raw.
bool DescriptorChardev::may_read() {
  if (!terminal_) return true;
  const bool was = std::exchange(background_, in_background(in_fd_));
  if (was && !background_) make_terminal_raw(in_fd_, ends_.signals);
  return !background_;
}

/// False: the input is at its end, which is not the machine's.
bool DescriptorChardev::read_input(std::vector<u8>& read_ahead) {
  std::array<u8, 1024> buffer;
  if (!may_read()) return true;
  const ssize_t n = read(in_fd_, buffer.data(), buffer.size());
  // EIO: the terminal is gone, or this process is in its background since a moment ago.
  if (n < 0) return errno == EINTR || errno == EAGAIN || (errno == EIO && terminal_ && in_background(in_fd_));
  read_ahead.insert(read_ahead.end(), buffer.begin(), buffer.begin() + n);
  if (terminal_ && read_ahead.size() > k_typed_ahead) read_ahead.resize(k_typed_ahead);
  return n > 0;
}

// --- output

bool DescriptorChardev::do_offer(std::span<const u8> bytes) {
  if (!out_ || out_->offer(bytes)) return true;
  if (!out_->failed()) return false;
  do_write(bytes);  // which says the error, and drops them
  return true;
}

void DescriptorChardev::do_write(std::span<const u8> bytes) {
  if (out_) say_error(out_->write(bytes));
}

void DescriptorChardev::say_error(int error) {
  if (error && !error_said_.exchange(true))
    AV_LOG(Error, "console output is lost from here on: %s", std::strerror(error));
}

void DescriptorChardev::do_give_up() {
  if (out_) out_->give_up();
}

void DescriptorChardev::do_drain() {
  if (out_) out_->drain();
}

}  // namespace armvisor::devices
