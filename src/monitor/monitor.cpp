#include "monitor/monitor.h"

#include <algorithm>
#include <utility>

#include "monitor/hmp.h"
#include "monitor/qmp.h"

namespace armvisor::monitor {

Monitor::Monitor(devices::Chardev& line, Mode mode, MachineControl& machine)
    : Monitor(line, [&](Session::Say say) -> std::unique_ptr<Session> {
        if (mode == Mode::Readline) return std::make_unique<HmpSession>(machine, say);
        return std::make_unique<QmpSession>(machine, mode == Mode::ControlPretty, say);
      }) {}

Monitor::Monitor(devices::Chardev& line, const std::function<std::unique_ptr<Session>(Session::Say)>& make)
    : line_(line), session_(make([this](std::string_view text) { say(text); })) {
  line.attach({.input = [this](std::span<const u8> bytes) { return input(bytes); },
               .send_break = {},
               .opened = [this](bool open) { opened(open); },
               .writable = [this] { flush(); },
               .resized = {},
               .focused =
                   [this](bool has) {
                     session_->focused(has);
                     const std::lock_guard lock(mutex_);
                     focused_ = has;
                     if (has) flush_locked();
                   }});
}

Monitor::~Monitor() { line_.detach(); }

void Monitor::opened(bool open) {
  if (open) return session_->opened();
  session_->closed();
  const std::lock_guard lock(mutex_);
  out_.clear();
}

std::size_t Monitor::input(std::span<const u8> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::size_t at = 0;
  while (at < text.size()) {
    {
      const std::lock_guard lock(mutex_);
      refused_ = out_.size() >= k_enough;
      if (refused_) return at;
    }
    at += session_->take(text.substr(at));
  }
  return at;
}

void Monitor::say(std::string_view text) {
  const std::lock_guard lock(mutex_);
  out_ += text;
  flush_locked();
}

void Monitor::event(const Event& event) {
  const std::string text = session_->event_text(event);
  if (text.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    if (out_.size() + text.size() <= k_most) out_ += text;
  }
  flush();
}

void Monitor::flush() {
  bool room = false;
  {
    const std::lock_guard lock(mutex_);
    room = flush_locked() && std::exchange(refused_, false);
  }
  if (room) line_.room();
}

/// Hands on what the line takes; true: commands may be taken again.
bool Monitor::flush_locked() {
  if (!focused_) return false;
  constexpr std::size_t k_piece = 4096;
  std::size_t at = 0;
  while (at < out_.size()) {
    const std::size_t n = std::min(k_piece, out_.size() - at);
    if (!line_.offer({reinterpret_cast<const u8*>(out_.data()) + at, n})) break;
    at += n;
  }
  out_.erase(0, at);
  return out_.size() < k_enough;
}

}  // namespace armvisor::monitor
