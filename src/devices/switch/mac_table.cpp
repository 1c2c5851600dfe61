#include "devices/switch/mac_table.h"

namespace armvisor::devices {
namespace {

constexpr u64 k_between_looks_ms = 1000;

u64 key_of(const MacAddress& mac) {
  u64 key = 0;
  for (const u8 byte : mac) key = key << 8 | byte;
  return key;
}

}  // namespace

void MacTable::learn(const MacAddress& mac, Port port, u64 now_ms) {
  if (mac[0] & 1) return;  // a group's address is nobody's
  const u64 key = key_of(mac);
  if (const auto at = entries_.find(key); at != entries_.end()) {
    if (at->second.port == port) {
      at->second.seen_ms = now_ms;
      return;
    }
    --counts_[at->second.port];
    entries_.erase(at);
  }
  if (counts_[port] >= k_most_of_port) forget_old(now_ms);
  if (counts_[port] >= k_most_of_port) return;
  entries_.emplace(key, Entry{port, now_ms});
  ++counts_[port];
}

std::optional<MacTable::Port> MacTable::find(const MacAddress& mac, u64 now_ms) const {
  const auto at = entries_.find(key_of(mac));
  if (at == entries_.end() || now_ms - at->second.seen_ms > k_life_ms) return std::nullopt;
  return at->second.port;
}

void MacTable::forget(Port port) {
  std::erase_if(entries_, [port](const auto& entry) { return entry.second.port == port; });
  counts_.erase(port);
}

void MacTable::forget_old(u64 now_ms) {
  if (now_ms - looked_ms_ < k_between_looks_ms) return;
  looked_ms_ = now_ms;
  std::erase_if(entries_, [&](const auto& entry) {
    const bool old = now_ms - entry.second.seen_ms > k_life_ms;
    if (old) --counts_[entry.second.port];
    return old;
  });
}

}  // namespace armvisor::devices
