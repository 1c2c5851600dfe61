#include "engine/journal.h"

#include <fmt/core.h>

#include "engine/guest_access.h"

namespace armvisor::engine {
namespace {

u8 byte_of(u64 value, u64 n) { return static_cast<u8>(value >> (8 * n)); }

std::string access_text(GuestPa pa, u32 size, bool write, u64 value) {
  return fmt::format("{} of {} bytes at {:09x}", write ? "write" : "read", size, pa.value) +
         (write ? fmt::format(" of {:x}", value) : "");
}

}  // namespace

void Journal::begin() {
  phase_ = Phase::Interpreting;
  cut_ = false;
  loads_.clear();
  stores_.clear();
  accesses_.clear();
  readings_.clear();
  next_access_ = next_reading_ = 0;
  difference_.clear();
}

void Journal::replay() { phase_ = Phase::Compiled; }

void Journal::end() { phase_ = Phase::Off; }

u64 Journal::overlay(u64 host, u32 size, u64 raw) const {
  for (const Bytes& s : stores_)
    for (u32 k = 0; k < size; ++k) {
      const u64 at = host + k - s.host;
      if (at >= s.size) continue;
      raw &= ~(u64{0xff} << (8 * k));
      raw |= u64{byte_of(s.value, at)} << (8 * k);
    }
  return raw;
}

bool Journal::is_stored(u64 host) const {
  for (const Bytes& s : stores_)
    if (host - s.host < s.size) return true;
  return false;
}

u64 Journal::loaded(u64 host, u32 size, u64 raw) {
  if (phase_ != Phase::Interpreting) return raw;
  if (!cut_) loads_.push_back({host, size, raw});
  return overlay(host, size, raw);
}

bool Journal::stored(u64 host, u32 size, u64 value) {
  if (phase_ == Phase::Interpreting) {
    if (!cut_) stores_.push_back({host, size, value});
    return true;
  }
  if (phase_ == Phase::Compiled && !cut_)
    for (u32 k = 0; k < size; ++k)
      if (!is_stored(host + k))
        difference_ += fmt::format("memory: {} bytes stored that the interpreter does not store\n", size);
  return false;
}

std::optional<bool> Journal::device_access(GuestPa pa, u32 size, bool write, u64& value) {
  if (phase_ == Phase::Interpreting) {
    cut_ |= write && !stores_.empty();
    if (!cut_) return {};
    if (!write) value = 0;
    return true;
  }
  if (phase_ == Phase::Off) return {};
  if (next_access_ == accesses_.size()) {
    if (cut_) return {};
    difference_ += "device: " + access_text(pa, size, write, value) + ", which the interpreter does not make\n";
    if (!write) value = 0;
    return true;
  }
  const Access& a = accesses_[next_access_++];
  if (a.pa != pa || a.size != size || a.write != write || (write && a.value != value))
    difference_ += "device: " + access_text(pa, size, write, value) +
                   "; interpreter: " + access_text(a.pa, a.size, a.write, a.value) + "\n";
  if (!write) value = a.value;
  return a.done;
}

void Journal::device_accessed(GuestPa pa, u32 size, bool write, u64 value, bool done) {
  if (phase_ == Phase::Interpreting) accesses_.push_back({pa, size, write, done, value});
}

std::optional<u64> Journal::reading() {
  if (phase_ != Phase::Compiled || next_reading_ == readings_.size()) return {};
  return readings_[next_reading_++];
}

void Journal::was_read(u64 value) {
  if (phase_ == Phase::Interpreting && !cut_) readings_.push_back(value);
}

bool Journal::raced() const {
  for (const Bytes& load : loads_)
    for (u32 k = 0; k < load.size; ++k)
      if (!is_stored(load.host + k) && guest_load<u8>(load.host + k) != byte_of(load.value, k)) return true;
  return false;
}

std::string Journal::difference() const {
  std::string text = difference_;
  if (next_access_ != accesses_.size()) text += "device: fewer accesses than the interpreter makes\n";
  if (next_reading_ != readings_.size())
    text += "counter or interrupt inputs: read less often than by the interpreter\n";
  for (const Bytes& s : stores_) {
    u64 wanted = overlay(s.host, s.size, 0), found = guest_load_bytes(s.host, s.size);
    if (wanted != found) text += fmt::format("memory: {} bytes are {:x}, interpreter: {:x}\n", s.size, found, wanted);
  }
  return text;
}

}  // namespace armvisor::engine
