#include "arm/memory_attributes.h"

namespace armvisor::arm {
namespace {

constexpr u32 k_sctlr_tre = 1u << 28;
constexpr u32 k_ttbcr_eae = 1u << 31;

// Inner[2:0] of PAR for memory that is not Normal.
constexpr u64 k_inner_strongly_ordered = 0b001 << 4, k_inner_device = 0b011 << 4;

/// Cacheability as TEX and NMRR encode it (0 non-cacheable, 1 WB WA, 2 WT, 3 WB) into PAR Inner[6:4] and Outer[3:2].
constexpr u64 normal_par(u32 inner, u32 outer) {
  constexpr u64 inner_code[] = {0b000, 0b101, 0b110, 0b111};
  return inner_code[inner & 3] << 4 | u64{outer & 3} << 2;
}

ShortAttributes normal(u32 inner, u32 outer, bool shared) {
  return {MemoryType::Normal, normal_par(inner, outer) | (shared ? k_par_sh : 0)};
}

ShortAttributes strongly_ordered() { return {MemoryType::StronglyOrdered, k_inner_strongly_ordered | k_par_sh}; }

ShortAttributes device(bool shared) { return {MemoryType::Device, k_inner_device | (shared ? k_par_sh : 0)}; }

/// TEX, C and B without remap (Table B3-10). Reserved and implementation-defined encodings are Normal non-cacheable.
ShortAttributes plain_attributes(u32 tex_cb, bool shared) {
  if (tex_cb & 0x10) return normal(tex_cb & 3, (tex_cb >> 2) & 3, shared);
  switch (tex_cb) {
    case 0b00000: return strongly_ordered();
    case 0b00001: return device(true);
    case 0b00010: return normal(2, 2, shared);
    case 0b00011: return normal(3, 3, shared);
    case 0b00111: return normal(1, 1, shared);
    case 0b01000: return device(false);
    default: return normal(0, 0, shared);
  }
}

/// TEX remap (B3.8.3): PRRR gives the type and the shareability, NMRR the cacheability.
ShortAttributes remapped_attributes(const CpuState& s, u32 tex_cb, bool shared) {
  const u32 prrr = s.cp15.mair0, nmrr = s.cp15.mair1;
  const u32 n = tex_cb & 7;
  switch ((prrr >> (2 * n)) & 3) {
    case 0: return strongly_ordered();
    case 1: return device(shared ? bit<17>(prrr) : bit<16>(prrr));
    default: break;
  }
  const bool shareable = shared ? bit<19>(prrr) : bit<18>(prrr);
  ShortAttributes a = normal((nmrr >> (2 * n)) & 3, (nmrr >> (2 * n + 16)) & 3, shareable);
  if (shareable && ((prrr >> (24 + n)) & 1)) a.par |= k_par_nos;
  return a;
}

}  // namespace

ShortAttributes short_attributes(const CpuState& s, u32 tex_cb, bool shared) {
  return s.cp15.sctlr & k_sctlr_tre ? remapped_attributes(s, tex_cb, shared) : plain_attributes(tex_cb, shared);
}

LongAttributes long_attributes(const CpuState& s, u32 index, u64 shareability) {
  const u32 mair = index & 4 ? s.cp15.mair1 : s.cp15.mair0;
  const u64 attr = (mair >> (8 * (index & 3))) & 0xff;
  LongAttributes a;
  if (attr & 0xf0)
    a.type = MemoryType::Normal;
  else
    a.type = attr & 0x0f ? MemoryType::Device : MemoryType::StronglyOrdered;
  // Device and Strongly-ordered memory is always outer shareable, whatever the descriptor says (B3.8.2).
  const u64 sh = a.type == MemoryType::Normal ? shareability & 3 : 2;
  a.par = attr << 56 | sh << 7 | k_par_lpae;
  return a;
}

u64 flat_attributes(const CpuState& s, bool cached) {
  if (s.cp15.ttbcr & k_ttbcr_eae) return (cached ? u64{0xaa} << 56 : u64{2} << 7) | k_par_lpae;
  return cached ? normal_par(2, 2) : k_inner_strongly_ordered | k_par_sh;
}

}  // namespace armvisor::arm
