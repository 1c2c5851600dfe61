#pragma once
// Storage of counters.inc. A vCPU's counters are plain words that only its own thread writes; any thread may read them,
// each exact, all of them together not of one moment.
#include <array>
#include <string_view>

#include "base/types.h"

namespace armvisor::measure {

enum class Group : u8 { Fast, Light, Heavy, Exception, Shadow, Code, Cache, Count };
inline constexpr std::string_view k_group_names[] = {"fast", "light", "heavy", "exception", "shadow", "code", "cache"};

enum class Counter : u32 {
#define COUNTER(name, group, text, help) name,
#define TOTAL(name, group, text, help)
#define LEVEL(name, group, text, help)
#include "measure/counters.inc"
#undef COUNTER
#undef TOTAL
#undef LEVEL
  Count
};
inline constexpr u32 k_counters = static_cast<u32>(Counter::Count);

/// What the machine counts as a whole.
enum class MachineCounter : u32 {
#define COUNTER(name, group, text, help)
#define TOTAL(name, group, text, help) name,
#define LEVEL(name, group, text, help) name,
#include "measure/counters.inc"
#undef COUNTER
#undef TOTAL
#undef LEVEL
  Count
};
inline constexpr u32 k_machine_counters = static_cast<u32>(MachineCounter::Count);

struct CounterInfo {
  std::string_view name;
  Group group;
  bool level;  ///< not a count of events: differences and sums over time mean nothing
  std::string_view help;
};
const CounterInfo& info(Counter c);
const CounterInfo& info(MachineCounter c);

class Counters {
 public:
  void add(Counter c, u64 n = 1) { __atomic_store_n(&values_[index(c)], values_[index(c)] + n, __ATOMIC_RELAXED); }
  void set(Counter c, u64 n) { __atomic_store_n(&values_[index(c)], n, __ATOMIC_RELAXED); }
  u64 get(Counter c) const { return __atomic_load_n(&values_[index(c)], __ATOMIC_RELAXED); }
  /// Generated code increments the word here.
  static constexpr u32 offset(Counter c) { return index(c) * sizeof(u64); }

 private:
  static constexpr u32 index(Counter c) { return static_cast<u32>(c); }
  std::array<u64, k_counters> values_{};
};

}  // namespace armvisor::measure
