#include "engine/jit/x64/xmm_cache.h"

#include <algorithm>

namespace armvisor::engine::jit {
namespace {

template <class F>
int find(const std::array<XmmCache::Entry, XmmCache::k_end>& entries, F holds) {
  for (u32 x = XmmCache::k_first; x < XmmCache::k_end; ++x)
    if (holds(entries[x])) return static_cast<int>(x);
  return -1;
}

}  // namespace

int XmmCache::of_temp(u32 temp) const {
  return find(entries_,
              [=](const Entry& e) { return std::find(e.temps.begin(), e.temps.end(), temp) != e.temps.end(); });
}
int XmmCache::of_s(u32 n) const {
  return find(entries_, [=](const Entry& e) {
    return (e.s >> n & 1) || (n % 2 == 0 && (e.d >> n / 2 & 1)) || (n % 4 == 0 && (e.q >> n / 4 & 1));
  });
}
int XmmCache::of_d(u32 n) const {
  return find(entries_, [=](const Entry& e) { return (e.d >> n & 1) || (n % 2 == 0 && (e.q >> n / 2 & 1)); });
}
int XmmCache::of_q(u32 n) const {
  return find(entries_, [=](const Entry& e) { return (e.q >> n & 1) != 0; });
}

void XmmCache::bind(u32 x, u32 temp) {
  release(temp);
  entries_[x].temps.push_back(temp);
  touch(x);
}

void XmmCache::release(u32 temp) {
  for (Entry& e : entries_) std::erase(e.temps, temp);
}

void XmmCache::write_s(u32 n, int x) {
  for (Entry& e : entries_) {
    e.s &= ~(1u << n);
    e.d &= ~(1u << n / 2);
    e.q &= ~(1u << n / 4);
  }
  if (x >= 0) copy_s(n, static_cast<u32>(x));
}
void XmmCache::write_d(u32 n, int x) {
  for (Entry& e : entries_) {
    if (n < 16) e.s &= ~(3u << 2 * n);
    e.d &= ~(1u << n);
    e.q &= ~(1u << n / 2);
  }
  if (x >= 0) copy_d(n, static_cast<u32>(x));
}
void XmmCache::write_q(u32 n, int x) {
  for (Entry& e : entries_) {
    if (n < 8) e.s &= ~(15u << 4 * n);
    e.d &= ~(3u << 2 * n);
    e.q &= ~(1u << n);
  }
  if (x >= 0) copy_q(n, static_cast<u32>(x));
}

void XmmCache::place_unit(u32 unit, int x) {
  if (const int old = unit_at_[unit]; old >= 0) entries_[static_cast<u32>(old)].units &= ~(1u << unit);
  unit_at_[unit] = static_cast<s8>(x);
  if (x >= 0) entries_[static_cast<u32>(x)].units |= 1u << unit;
}

void XmmCache::forget(u32 x) {
  for (u32 unit = 0; unit < k_most_units; ++unit)
    if (entries_[x].units >> unit & 1) unit_at_[unit] = -1;
  entries_[x] = {};
}

void XmmCache::clear() {
  entries_ = {};
  unit_at_ = k_nowhere;
  dirty_ = 0;
}

bool XmmCache::empty() const {
  return std::all_of(entries_.begin(), entries_.end(), [](const Entry& e) { return e.empty(); });
}

void XmmCache::join(const XmmCache& other) {
  for (u32 x = k_first; x < k_end; ++x) {
    Entry& e = entries_[x];
    const Entry& o = other.entries_[x];
    std::erase_if(e.temps, [&](u32 t) { return std::find(o.temps.begin(), o.temps.end(), t) == o.temps.end(); });
    e.s &= o.s;
    e.d &= o.d;
    e.q &= o.q;
    e.normal &= o.normal;
  }
  for (u32 unit = 0; unit < k_most_units; ++unit)
    if (unit_at_[unit] != other.unit_at_[unit]) place_unit(unit, -1);
  dirty_ |= other.dirty_;
}

}  // namespace armvisor::engine::jit
