#pragma once
// What the xmm registers hold at one point of a block: temps, and copies of the guest's extension registers. Writes of
// guest registers go to memory at once, so a copy can be dropped at any time; a temp may have no other place. Nor may a
// unit: an extension register that a region keeps at hand.
#include <array>
#include <vector>

#include "base/types.h"
#include "engine/jit/x64/plan/xmm_plan.h"

namespace armvisor::engine::jit {

class XmmCache {
 public:
  /// xmm0-xmm2 are scratch within one IR instruction.
  static constexpr u32 k_first = 3, k_end = 16;
  static_assert(XmmPlan::k_last_register == k_end - 1);

  /// One register. A temp counts with as many low bits as its type has, an S register with the low 32, a D register
  /// with the low 64.
  struct Entry {
    std::vector<u32> temps;
    u32 s = 0, d = 0, q = 0;  ///< sets of register numbers
    u32 units = 0;            ///< set of units
    u32 used = 0;             ///< time of the last use
    bool normal = false;      ///< no element is a denormal single-precision number
    bool copies() const { return s != 0 || d != 0 || q != 0; }
    bool empty() const { return temps.empty() && !copies() && units == 0; }
  };

  Entry& operator[](u32 x) { return entries_[x]; }
  const Entry& operator[](u32 x) const { return entries_[x]; }

  // Register that holds it, or -1.
  int of_temp(u32 temp) const;
  int of_s(u32 n) const;
  int of_d(u32 n) const;
  int of_q(u32 n) const;

  void bind(u32 x, u32 temp);  ///< the temp is there and nowhere else
  void release(u32 temp);
  // Guest register n was written; with x, which now holds it.
  void write_s(u32 n, int x = -1);
  void write_d(u32 n, int x = -1);
  void write_q(u32 n, int x = -1);
  // x was loaded from guest register n.
  void copy_s(u32 n, u32 x) { entries_[x].s |= 1u << n; }
  void copy_d(u32 n, u32 x) { entries_[x].d |= 1u << n; }
  void copy_q(u32 n, u32 x) { entries_[x].q |= 1u << n; }
  // Units. Those that are dirty are not in memory.
  static constexpr u32 k_most_units = XmmPlan::k_most_units;
  int of_unit(u32 unit) const { return unit_at_[unit]; }
  void place_unit(u32 unit, int x);  ///< is in x and no other register; -1: in none
  /// Nothing but a unit is in x from here on.
  void empty_home(u32 x) {
    entries_[x].temps.clear();
    entries_[x].s = entries_[x].d = entries_[x].q = 0;
    entries_[x].normal = false;
  }
  u32 dirty() const { return dirty_; }
  void set_dirty(u32 units) { dirty_ = units; }
  void touch(u32 x) { entries_[x].used = ++time_; }
  void forget(u32 x);
  void clear();
  bool empty() const;
  /// Keeps what holds here and there: control flow joins.
  void join(const XmmCache& other);

 private:
  static constexpr std::array<s8, k_most_units> k_nowhere = [] {
    std::array<s8, k_most_units> at{};
    at.fill(-1);
    return at;
  }();
  std::array<Entry, k_end> entries_;
  std::array<s8, k_most_units> unit_at_ = k_nowhere;
  u32 dirty_ = 0;
  u32 time_ = 0;
};

}  // namespace armvisor::engine::jit
