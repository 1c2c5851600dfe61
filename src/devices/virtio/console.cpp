#include "devices/virtio/console.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace armvisor::devices::virtio {
namespace {
constexpr std::array<u16, 2> k_queue_sizes = {64, 64};
constexpr u16 k_receive = 0;
constexpr u16 k_transmit = 1;
constexpr u64 k_size = 1u << 0;
constexpr u64 k_emergency_write = 1u << 2;
constexpr u32 k_emergency_offset = 8;
}  // namespace

u64 Console::features() const { return k_size | k_emergency_write; }
std::span<const u16> Console::queue_sizes() const { return k_queue_sizes; }

void Console::read_config(u32 offset, std::span<u8> out) {
  // struct virtio_console_config, 5.3.4: cols, rows, max_nr_ports, emerg_wr
  std::array<u8, 12> config{};
  {
    const std::lock_guard lock(mutex_);
    std::memcpy(config.data(), &columns_, 2);
    std::memcpy(config.data() + 2, &rows_, 2);
  }
  config[4] = 1;
  copy_config(config, offset, out);
}

void Console::write_config(u32 offset, std::span<const u8> in) {
  // 5.3.4: a character written early, at any time, even before the features are negotiated.
  if (offset == k_emergency_offset && !in.empty()) sink_(in.first(1));
}

void Console::activate(u64) {
  {
    const std::lock_guard lock(mutex_);
    active_ = true;
  }
  notify(k_receive);
  notify(k_transmit);
}

void Console::reset() {
  const std::lock_guard lock(mutex_);
  active_ = false;
}

void Console::resize(u16 columns, u16 rows) {
  bool tell = false;
  {
    const std::lock_guard lock(mutex_);
    tell = active_ && (columns != columns_ || rows != rows_);
    columns_ = columns;
    rows_ = rows;
  }
  if (tell) host().config_changed();
}

std::size_t Console::input(std::span<const u8> bytes) {
  const std::lock_guard lock(mutex_);
  const std::size_t n = std::min(bytes.size(), k_input_capacity - pending_.size());
  pending_.insert(pending_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
  if (n < bytes.size()) starved_ = true;
  if (active_ && deliver()) starved_ = n < bytes.size();
  return n;
}

void Console::notify(u16 index) {
  if (index == k_transmit) {
    transmit();
    return;
  }
  bool room = false;
  {
    const std::lock_guard lock(mutex_);
    room = active_ && deliver() && std::exchange(starved_, false);
  }
  if (room && room_) room_();
}

bool Console::deliver() {
  std::size_t sent = 0;
  serve(
      k_receive, receive_chain_, [&] { return sent < pending_.size(); },
      [&](const Chain& chain) -> std::optional<u32> {
        if (chain.writable_bytes == 0) return {};
        const std::size_t n = chain.write(ram(), 0, std::span(pending_).subspan(sent));
        sent += n;
        return static_cast<u32>(n);
      });
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(sent));
  counters_.bytes_to_guest.add(sent);
  return sent > 0;
}

void Console::transmit() {
  serve(
      k_transmit, transmit_chain_, [] { return true; }, [this](const Chain& chain) { return send(chain); });
}

std::optional<u32> Console::send(const Chain& chain) {
  // A copy of each piece: the sink must not see bytes change under it.
  std::array<u8, 4096> bytes;
  for (u64 offset = 0; offset < chain.readable_bytes;) {
    const std::size_t n = chain.read(offset, bytes);
    sink_(std::span(bytes).first(n));
    offset += n;
  }
  counters_.bytes_from_guest.add(chain.readable_bytes);
  return 0;
}

}  // namespace armvisor::devices::virtio
