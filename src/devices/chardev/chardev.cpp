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

bool Chardev::offer(std::span<const u8> bytes) {
  if (!do_offer(bytes)) return false;
  if (log_) log_->write(bytes);
  return true;
}

void Chardev::write(std::span<const u8> bytes) {
  do_write(bytes);
  if (log_) log_->write(bytes);
}

void Chardev::give_up() {
  if (log_) log_->give_up();
  do_give_up();
}

void Chardev::drain() {
  do_drain();
  if (log_) log_->drain();
}

std::size_t Chardev::give(std::span<const u8> bytes) {
  const std::lock_guard lock(handlers_mutex_);
  if (!attached_) return 0;
  return handlers_.input ? handlers_.input(bytes) : bytes.size();
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

void Chardev::look_at_size() {
  const auto now = size();
  const std::lock_guard lock(handlers_mutex_);
  if (now && handlers_.resized) handlers_.resized(*now);
}

}  // namespace armvisor::devices
