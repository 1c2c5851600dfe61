#include "mmu/space_key.h"

#include "arm/page_walk.h"

namespace armvisor::mmu {
namespace {

// SCTLR (B4.1.130): M, WXN, UWXN, EE, TRE, AFE.
constexpr u32 k_sctlr_m = 1u << 0;
constexpr u32 k_sctlr_translation = k_sctlr_m | 1u << 19 | 1u << 20 | 1u << 25 | 1u << 28 | 1u << 29;
constexpr u32 k_ttbcr_eae = 1u << 31;
constexpr u32 k_short_base = ~0x7fu;
constexpr u64 k_long_base = 0xffffffffe0;

}  // namespace

SpaceKey SpaceKey::of(const arm::CpuState& s, Policy policy) {
  SpaceKey k;
  const arm::Cp15State& c = s.cp15;
  if (!(c.sctlr & k_sctlr_m)) return k;  // flat: nothing else counts
  k.config = c.sctlr & k_sctlr_translation;
  k.ttbcr = c.ttbcr;
  k.mair0 = c.mair0;
  k.mair1 = c.mair1;
  const bool long_format = c.ttbcr & k_ttbcr_eae;
  if (!long_format) k.dacr = c.dacr;
  if (!is_coherent(policy)) k.asid = arm::current_asid(s);
  if (policy != Policy::Asid) {  // without the ASID, and without the attributes of table walks, which mean nothing here
    k.table0 = long_format ? c.ttbr0 & k_long_base : static_cast<u32>(c.ttbr0) & k_short_base;
    k.table1 = long_format ? c.ttbr1 & k_long_base : static_cast<u32>(c.ttbr1) & k_short_base;
  }
  return k;
}

SpaceKey SpaceKey::of_global_pages() const {
  SpaceKey k = *this;
  k.asid = Asid();
  k.dacr = 0;
  return k;
}

}  // namespace armvisor::mmu
