#include "machine/semihosting/console.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "base/thread.h"
#include "devices/backends/terminal.h"

namespace armvisor::machine::semihosting {

// --- output

Result<std::unique_ptr<ConsoleOutput>> ConsoleOutput::of_descriptor(int fd) {
  std::unique_ptr<ConsoleOutput> output(new ConsoleOutput);
  AV_TRY_ASSIGN(output->outlet_, Outlet::create({{}, fd, {}}, [o = output.get()] { o->send_held(); }));
  return output;
}

ConsoleOutput::~ConsoleOutput() {
  if (outlet_) outlet_->close();
}

std::size_t ConsoleOutput::write(std::span<const u8> bytes) {
  constexpr std::size_t k_piece = 4096;
  constexpr std::chrono::milliseconds k_look_again{10};
  std::unique_lock lock(mutex_);
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    const auto piece = bytes.subspan(taken, std::min(bytes.size() - taken, k_piece));
    if (!held_.empty() || !offer(piece)) {
      if (held_.size() + piece.size() > k_most_held) break;
      held_.insert(held_.end(), piece.begin(), piece.end());
      while (!held_.empty() && hurried_ == 0 && !(line_ && line_->hurried())) {
        sent_.wait_for(lock, k_look_again);
        send_held_locked();
      }
    }
    taken += piece.size();
  }
  return taken;
}

void ConsoleOutput::send_held() {
  const std::lock_guard lock(mutex_);
  send_held_locked();
}

void ConsoleOutput::send_held_locked() {
  constexpr std::size_t k_piece = 4096;
  std::size_t sent = 0;
  while (sent < held_.size()) {
    const std::size_t n = std::min(held_.size() - sent, k_piece);
    if (!offer(std::span(held_).subspan(sent, n))) break;
    sent += n;
  }
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(sent));
  if (held_.empty()) sent_.notify_all();
}

void ConsoleOutput::give_up() {
  hurry(true);
  if (outlet_) outlet_->give_up();
}

void ConsoleOutput::finish(bool wait) {
  std::vector<u8> rest;
  {
    const std::lock_guard lock(mutex_);
    send_held_locked();
    rest.swap(held_);
  }
  if (!wait || rest.empty()) return;
  if (line_)
    line_->write(rest);
  else
    outlet_->write(rest);
}

void ConsoleOutput::drain() {
  if (outlet_) outlet_->drain();
}

// --- input

std::size_t ConsoleInput::arrive(std::span<const u8> bytes) {
  const std::lock_guard lock(mutex_);
  const std::size_t n = std::min(bytes.size(), k_most_waiting - waiting_.size());
  waiting_.insert(waiting_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
  if (n > 0) wake_all();
  return n;
}

void ConsoleInput::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  wake_all();
}

void ConsoleInput::wake_all() {
  for (; asleep_ != 0; asleep_ &= asleep_ - 1) sleepers_.wake(static_cast<u32>(__builtin_ctz(asleep_)));
}

std::optional<std::size_t> ConsoleInput::take(std::span<u8> out, u32 vcpu) {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty() && !ended_) {
    sleepers_.sleep(vcpu);
    asleep_ |= 1u << vcpu;
    return std::nullopt;
  }
  const std::size_t n = std::min(out.size(), waiting_.size());
  std::copy_n(waiting_.begin(), n, out.begin());
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(n));
  return n;
}

bool ConsoleInput::is_wanted() {
  const std::lock_guard lock(mutex_);
  return asleep_ != 0;
}

// --- both

Result<std::unique_ptr<Console>> Console::open(Place place, ConsoleInput::Sleepers sleepers) {
  std::unique_ptr<Console> console(new Console(sleepers));
  AV_TRY(console->start(place));
  return console;
}

Status Console::start(Place place) {
  AV_TRY_ASSIGN(stdout_, ConsoleOutput::of_descriptor(place.output));
  AV_TRY_ASSIGN(stderr_, ConsoleOutput::of_descriptor(place.error));
  if (place.line) {
    line_ = place.line;
    line_output_ = std::make_unique<ConsoleOutput>(*line_);
    line_->attach({.input = [this](std::span<const u8> bytes) { return typed_.arrive(bytes); },
                   .writable = [this] { line_output_->send_held(); }});
  }
  if (!place.read_stdin) {
    stdin_.end();
    return {};
  }
  AV_TRY_ASSIGN(wake_, WakeEvent::create("semihosting"));
  AV_TRY_ASSIGN(thread_, start_quiet_thread(ThreadKind::Line, "semihosting", [this] { read_stdin(); }));
  return {};
}

Console::~Console() {
  if (line_) line_->detach();
  stopping_ = true;
  if (!thread_.joinable()) return;
  wake_->wake();
  thread_.join();
}

/// In the background of its terminal the process must not read it, and looks again now and then: nobody tells it when
/// it is in the foreground.
void Console::read_stdin() {
  constexpr int k_look_again_ms = 200;
  while (!stopping_) {
    const bool wanted = stdin_.is_wanted(), waits = wanted && devices::in_background(STDIN_FILENO);
    std::array<pollfd, 2> fds = {{{wanted && !waits ? STDIN_FILENO : -1, POLLIN, 0}, {wake_->fd(), POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), waits ? k_look_again_ms : -1) < 0) continue;
    if (fds[1].revents) wake_->take();
    if (!fds[0].revents || stopping_) continue;
    std::array<u8, ConsoleInput::k_most_waiting> bytes;
    const ssize_t n = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    // The process may have gone to the background a moment ago.
    if (n < 0 && errno == EIO && devices::in_background(STDIN_FILENO)) continue;
    if (n <= 0) return stdin_.end();
    stdin_.arrive(std::span(bytes).first(static_cast<std::size_t>(n)));
  }
}

std::optional<std::size_t> Console::read(std::span<u8> out, u32 vcpu) {
  if (!line_) return read_standard_input(out, vcpu);
  const auto n = typed_.take(out, vcpu);
  if (n) line_->room();
  return n;
}

std::optional<std::size_t> Console::read_standard_input(std::span<u8> out, u32 vcpu) {
  const auto n = stdin_.take(out, vcpu);
  if (!n) wake_->wake();
  return n;
}

template <class F>
void Console::for_each_output(F f) {
  for (ConsoleOutput* const output : {line_output_.get(), stdout_.get(), stderr_.get()})
    if (output) f(*output);
}

void Console::hurry(bool begin) {
  for_each_output([begin](ConsoleOutput& o) { o.hurry(begin); });
}
void Console::give_up() {
  for_each_output([](ConsoleOutput& o) { o.give_up(); });
}
void Console::finish(bool wait) {
  for_each_output([wait](ConsoleOutput& o) { o.finish(wait); });
}
void Console::drain() {
  for_each_output([](ConsoleOutput& o) { o.drain(); });
}

}  // namespace armvisor::machine::semihosting
