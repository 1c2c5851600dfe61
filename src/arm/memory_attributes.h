#pragma once
// Memory region attributes: from descriptor bits to a memory type and to the attribute bits of PAR (ARM DDI 0406C
// B3.8, B4.1.112).
#include "arm/page_walk.h"

namespace armvisor::arm {

inline constexpr u64 k_par_f = 1u << 0, k_par_ss = 1u << 1, k_par_sh = 1u << 7, k_par_nos = 1u << 10,
                     k_par_lpae = 1u << 11;

struct ShortAttributes {
  MemoryType type = MemoryType::Normal;
  u64 par = 0;  ///< PAR bits Outer, Inner, SH and NOS in place
};

/// Short-descriptor format: `tex_cb` is TEX[2:0]:C:B, `shared` the S bit. SCTLR.TRE selects the remapped meaning.
ShortAttributes short_attributes(const CpuState& s, u32 tex_cb, bool shared);

struct LongAttributes {
  MemoryType type = MemoryType::Normal;
  u64 par = 0;  ///< PAR bits ATTR, LPAE and SH in place
};

/// Long-descriptor format: AttrIndx[2:0] and SH[1:0] of the descriptor.
LongAttributes long_attributes(const CpuState& s, u32 index, u64 shareability);

/// PAR attributes while address translation is off: Strongly-ordered, or Normal cacheable for cached fetches.
u64 flat_attributes(const CpuState& s, bool cached);

}  // namespace armvisor::arm
