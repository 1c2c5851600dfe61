#include "devices/chardev/chardev.h"

#include <utility>

namespace armvisor::devices {

void Chardev::attach(Handlers handlers) {
  {
    const std::lock_guard lock(handlers_mutex_);
    handlers_ = std::move(handlers);
    attached_ = true;
    if (!has_focus() && handlers_.focused) handlers_.focused(false);
    told_open_ = connected();
    if (told_open_ && handlers_.opened) handlers_.opened(true);
    if (const auto now = size(); now && handlers_.resized) handlers_.resized(*now);
  }
  room();
}

void Chardev::detach() {
  const std::lock_guard lock(handlers_mutex_);
  handlers_ = {};
  attached_ = false;
}

Status Chardev::log_to(Outlet::Target log) {
  AV_TRY_ASSIGN(log_, Outlet::create(std::move(log), [this] {
                  {
                    const std::lock_guard lock(log_mutex_);
                    if (!log_caught_up()) return;
                  }
                  tell_writable();
                }));
  return {};
}

bool Chardev::offer(std::span<const u8> bytes) {
  if (!log_) return do_offer(bytes);
  const std::lock_guard lock(log_mutex_);
  if (!log_caught_up() || !log_->has_room(bytes.size())) return false;
  if (!do_offer(bytes)) return false;
  if (!log_->offer(bytes)) log_behind_.assign(bytes.begin(), bytes.end());  // a writer has filled it meanwhile
  return true;
}

/// With log_mutex_.
bool Chardev::log_caught_up() {
  if (!log_behind_.empty() && (log_->offer(log_behind_) || log_->failed())) log_behind_.clear();
  return log_behind_.empty();
}

void Chardev::write(std::span<const u8> bytes) {
  do_write(bytes);
  if (log_) log_->write(bytes);
}

void Chardev::give_up() {
  given_up_ = true;
  if (log_) log_->give_up();
  do_give_up();
}

void Chardev::drain() {
  do_drain();
  if (!log_) return;
  {
    const std::lock_guard lock(log_mutex_);
    log_caught_up();
  }
  log_->drain();
}

std::size_t Chardev::give(std::span<const u8> bytes) {
  std::size_t taken = 0;
  {
    const std::lock_guard lock(handlers_mutex_);
    if (!attached_) return 0;
    taken = handlers_.input ? handlers_.input(bytes) : bytes.size();
  }
  if (size_changed_) look_at_size();
  return taken;
}

void Chardev::hand_over(std::vector<u8>& waiting) {
  const std::size_t taken = give(waiting);
  waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(taken));
}

void Chardev::tell_break() {
  const std::lock_guard lock(handlers_mutex_);
  if (handlers_.send_break) handlers_.send_break();
}

void Chardev::tell_opened(bool open) {
  const std::lock_guard lock(handlers_mutex_);
  if (!attached_ || std::exchange(told_open_, open) == open) return;
  if (handlers_.opened) handlers_.opened(open);
}

void Chardev::tell_writable() {
  const std::lock_guard lock(handlers_mutex_);
  if (handlers_.writable) handlers_.writable();
}

void Chardev::tell_focus(bool has) {
  const std::lock_guard lock(handlers_mutex_);
  if (handlers_.focused) handlers_.focused(has);
}

/// Called by the event loop, which must not wait for a handler: who ran it looks then.
void Chardev::look_at_size() {
  size_changed_ = true;
  const std::unique_lock lock(handlers_mutex_, std::try_to_lock);
  if (!lock || !size_changed_.exchange(false)) return;
  if (const auto now = size(); now && handlers_.resized) handlers_.resized(*now);
}

}  // namespace armvisor::devices
