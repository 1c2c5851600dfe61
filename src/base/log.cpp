#include "base/log.h"

#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>

#include "base/outlet.h"

namespace armvisor {
namespace {

std::atomic<LogLevel> g_level{LogLevel::Warn};
std::atomic<const Outlet*> g_outlet{nullptr};  ///< that of messages(), for settle_messages()

constexpr std::size_t k_piece = 512;  ///< what a reader who is there has room for

std::span<const u8> bytes_of(std::string_view text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }

/// The part of `text` that a reader who is there takes.
void write_at_once(std::string_view text) {
  pollfd p = {STDERR_FILENO, POLLOUT, 0};
  while (!text.empty() && ::poll(&p, 1, 250) == 1) {
    const ssize_t n = ::write(STDERR_FILENO, text.data(), std::min<std::size_t>(text.size(), k_piece));
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Whether stderr is a file: nobody reads it meanwhile, so writing to it waits for nobody.
bool is_file() {
  struct stat st {};
  return ::fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode);
}

/// The way to stderr. Never destroyed: destructors of others may have something to say.
class Messages {
 public:
  void offer(std::string_view line) {
    const std::lock_guard lock(mutex_);
    if (is_file() || !outlet()) return write_at_once(line);
    if (missed_ && outlet_->offer(bytes_of("armvisor: " + std::to_string(missed_) +
                                           " messages are missing here, since nobody read them\n")))
      missed_ = 0;
    if (missed_ || !outlet_->offer(bytes_of(line))) ++missed_;
  }

  void write(std::string_view text) {
    Outlet* out = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (is_file() || !(out = outlet())) return write_at_once(text);
    }
    out->write(bytes_of(text));
  }

  void give_up() {
    const std::lock_guard lock(mutex_);
    given_up_ = true;
    if (outlet_) outlet_->give_up();
  }

  void renew() {
    const std::lock_guard lock(mutex_);
    g_outlet = nullptr;
    outlet_.reset();
  }

  void drain() {
    Outlet* out = nullptr;
    {
      const std::lock_guard lock(mutex_);
      out = outlet_.get();
    }
    if (out) out->drain();
  }

 private:
  /// Null when the host has no thread for it.
  Outlet* outlet() {
    if (outlet_) return outlet_.get();
    auto made = Outlet::create(STDERR_FILENO);
    if (!made) return nullptr;
    outlet_ = *std::move(made);
    if (given_up_) outlet_->give_up();
    g_outlet = outlet_.get();
    return outlet_.get();
  }

  std::mutex mutex_;
  std::unique_ptr<Outlet> outlet_;  ///< made by the first message; then it stays
  u64 missed_ = 0;
  bool given_up_ = false;
};

Messages& messages() {
  static Messages& all = *new Messages;
  return all;
}

}  // namespace

void set_log_level(LogLevel level) { g_level.store(level, std::memory_order_relaxed); }
LogLevel log_level() { return g_level.load(std::memory_order_relaxed); }

void log_line(LogLevel level, const char* format, ...) {
  static constexpr const char* k_names[] = {"error", "warning", "info", "debug", "trace"};
  char text[2048];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  messages().offer(std::string("armvisor: ") + k_names[static_cast<int>(level)] + ": " + text + "\n");
}

void say(std::string_view text) { print_text("armvisor: " + std::string(text) + "\n"); }
void print_text(std::string_view text) { messages().write(text); }
void give_up_messages() { messages().give_up(); }
void renew_messages() { messages().renew(); }
void drain_messages() { messages().drain(); }

void settle_messages() {
  const Outlet* const out = g_outlet.load();
  const timespec nap{0, 10'000'000};
  for (int i = 0; out && out->pending() && i < 100; ++i) nanosleep(&nap, nullptr);
}

void say_last(std::string_view text) {
  settle_messages();
  write_at_once("armvisor: ");
  write_at_once(text);
  write_at_once("\n");
}
}  // namespace armvisor
