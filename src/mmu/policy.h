#pragma once
// When a vCPU's shadow of the guest's translation tables lets go of what it knows; docs/virtualization.md compares
// them.
#include "base/types.h"

namespace armvisor::mmu {

enum class Policy : u8 {
#define MMU_POLICY(value, name, help) value,
#include "mmu/policies.inc"
#undef MMU_POLICY
};

/// The shadow follows writes to the guest's tables, so TLB maintenance finds nothing stale.
constexpr bool is_coherent(Policy p) { return p == Policy::Rmap || p == Policy::RmapHints; }

/// What a guest may say of its tables. It is believed only where a lie costs nobody but the guest.
enum class TableHint : u8 {
  Allocated,   ///< the frame is a translation table from now on: many writes do not mean that it became data
  Freed,       ///< the frame is no translation table any more
  BatchBegin,  ///< many writes to tables follow, by this vCPU
  BatchEnd,
};

}  // namespace armvisor::mmu
