#pragma once
// What tells guest address spaces apart.
#include "arm/cpu_state.h"
#include "mmu/policy.h"

namespace armvisor::mmu {

/// What selects a space: everything that a translation depends on, but that Policy::Asid leaves out the bases of the
/// tables, because like the architecture's TLB (B3.9) its entries belong to an ASID, and the coherent policies leave
/// out the ASID, because their entries belong to the tables.
struct SpaceKey {
  u32 config = 0;  ///< SCTLR bits that translation depends on
  u32 ttbcr = 0, dacr = 0, mair0 = 0, mair1 = 0;
  u64 table0 = 0, table1 = 0;
  Asid asid;
  bool operator==(const SpaceKey&) const = default;
  bool is_flat() const { return config == 0; }  ///< the MMU is off
  /// But for ASID and DACR: what translations of global pages depend on, as long as DACR says the same of their
  /// domains.
  SpaceKey of_global_pages() const;
  static SpaceKey of(const arm::CpuState& s, Policy policy = Policy::Asid);
};

}  // namespace armvisor::mmu
