#include "arm/page_walk.h"

#include "arm/memory_attributes.h"

namespace armvisor::arm {
namespace {

constexpr u32 k_sctlr_m = 1u << 0, k_sctlr_i = 1u << 12, k_sctlr_wxn = 1u << 19, k_sctlr_uwxn = 1u << 20,
              k_sctlr_ee = 1u << 25, k_sctlr_afe = 1u << 29;
constexpr u32 k_ttbcr_eae = 1u << 31, k_ttbcr_a1 = 1u << 22;

/// What is being asked, and how the tables are read.
struct Walk {
  const CpuState& s;
  WalkMemory& memory;
  u32 va;
  Access access;
  bool privileged;

  Fault fault(FaultType type, u32 level, u32 domain = 0) const {
    Fault f;
    f.type = type;
    f.level = static_cast<u8>(level);
    f.domain = static_cast<u8>(domain);
    f.write = access == Access::Write;
    f.va = va;
    return f;
  }
  bool big_endian() const { return (s.cp15.sctlr & k_sctlr_ee) != 0; }
  bool fetch32(u64 pa, u32& descriptor) const {
    if (!memory.read32(GuestPa(pa), descriptor)) return false;
    if (big_endian()) descriptor = __builtin_bswap32(descriptor);
    return true;
  }
  bool fetch64(u64 pa, u64& descriptor) const {
    if (!memory.read64(GuestPa(pa), descriptor)) return false;
    if (big_endian()) descriptor = __builtin_bswap64(descriptor);
    return true;
  }
};

void grant_all(Translation& t) {
  t.pl1_read = t.pl1_write = t.pl1_execute = true;
  t.pl0_read = t.pl0_write = t.pl0_execute = true;
}

/// Access permissions (B3.7.1) with AP[2:0], and execute permissions (B3.7.2).
void grant_by_ap(const CpuState& s, u32 ap, bool xn, bool pxn, Translation& t) {
  switch (ap & 7) {
    case 0b001: t.pl1_read = t.pl1_write = true; break;
    case 0b010: t.pl1_read = t.pl1_write = t.pl0_read = true; break;
    case 0b011: t.pl1_read = t.pl1_write = t.pl0_read = t.pl0_write = true; break;
    case 0b101: t.pl1_read = true; break;
    case 0b110:  // deprecated encoding of 0b111
    case 0b111: t.pl1_read = t.pl0_read = true; break;
    default: break;  // 0b000: no access; 0b100 is reserved and gives none either
  }
  const bool wxn = (s.cp15.sctlr & k_sctlr_wxn) != 0, uwxn = (s.cp15.sctlr & k_sctlr_uwxn) != 0;
  t.pl0_execute = t.pl0_read && !xn && !(wxn && t.pl0_write);
  t.pl1_execute = t.pl1_read && !xn && !pxn && !(wxn && t.pl1_write) && !(uwxn && t.pl0_write);
}

bool granted(const Translation& t, Access access, bool privileged) {
  switch (access) {
    case Access::Read: return privileged ? t.pl1_read : t.pl0_read;
    case Access::Write: return privileged ? t.pl1_write : t.pl0_write;
    default: return privileged ? t.pl1_execute : t.pl0_execute;
  }
}

/// Address translation off (B3.2.1): data accesses are Strongly-ordered, instruction fetches Normal.
Fault translate_flat(const Walk& w, Translation& out) {
  out.pa = GuestPa(w.va);
  grant_all(out);
  if (w.access == Access::Execute) {
    out.type = MemoryType::Normal;
    const bool cached = (w.s.cp15.sctlr & k_sctlr_i) != 0;
    out.par_attributes = flat_attributes(w.s, cached);
  } else {
    out.type = MemoryType::StronglyOrdered;
    out.par_attributes = flat_attributes(w.s, false);
  }
  return {};
}

// --- short-descriptor format (B3.5)

/// A leaf of the short-descriptor format, section or page.
struct ShortLeaf {
  u64 base = 0;
  u32 page_bits = 12, level = 1, domain = 0;
  u32 tex_cb = 0;  ///< TEX[2:0]:C:B
  u32 ap = 0;
  bool xn = false, pxn = false, shared = false, not_global = false, supersection = false;
};

/// Address of the first-level descriptor (B3.5.4, B3.5.5); false: walks of that table are disabled (TTBCR.PDn).
bool first_level_address(const CpuState& s, u32 va, u64& address) {
  const u32 n = bits<2, 0>(s.cp15.ttbcr);
  const bool upper = n != 0 && (va >> (32 - n)) != 0;
  if (upper ? bit<5>(s.cp15.ttbcr) : bit<4>(s.cp15.ttbcr)) return false;
  const u32 width = upper ? 0 : n;
  const u32 table = static_cast<u32>(upper ? s.cp15.ttbr1 : s.cp15.ttbr0);
  const u32 index = (va & (0xffffffffu >> width)) >> 20;
  address = (table & (0xffffffffu << (14 - width))) | index << 2;
  return true;
}

ShortLeaf section(u32 descriptor, u32 va) {
  ShortLeaf leaf;
  leaf.supersection = bit<18>(descriptor);
  if (leaf.supersection) {
    leaf.page_bits = 24;
    leaf.base = u64{bits<8, 5>(descriptor)} << 36 | u64{bits<23, 20>(descriptor)} << 32 | (descriptor & 0xff000000);
    leaf.base |= va & 0x00ffffff;
  } else {
    leaf.page_bits = 20;
    leaf.domain = bits<8, 5>(descriptor);
    leaf.base = (descriptor & 0xfff00000) | (va & 0x000fffff);
  }
  leaf.tex_cb = bits<14, 12>(descriptor) << 2 | bits<3, 2>(descriptor);
  leaf.ap = u32{bit<15>(descriptor)} << 2 | bits<11, 10>(descriptor);
  leaf.xn = bit<4>(descriptor);
  leaf.pxn = bit<0>(descriptor);
  leaf.shared = bit<16>(descriptor);
  leaf.not_global = bit<17>(descriptor);
  return leaf;
}

ShortLeaf page(u32 first, u32 second, u32 va) {
  ShortLeaf leaf;
  leaf.level = 2;
  leaf.domain = bits<8, 5>(first);
  leaf.pxn = bit<2>(first);
  if (bit<1>(second)) {
    leaf.base = (second & 0xfffff000) | (va & 0x00000fff);
    leaf.tex_cb = bits<8, 6>(second) << 2 | bits<3, 2>(second);
    leaf.xn = bit<0>(second);
  } else {
    leaf.page_bits = 16;
    leaf.base = (second & 0xffff0000) | (va & 0x0000ffff);
    leaf.tex_cb = bits<14, 12>(second) << 2 | bits<3, 2>(second);
    leaf.xn = bit<15>(second);
  }
  leaf.ap = u32{bit<9>(second)} << 2 | bits<5, 4>(second);
  leaf.shared = bit<10>(second);
  leaf.not_global = bit<11>(second);
  return leaf;
}

/// TranslationTableWalkSD: finds the leaf, or the fault.
Fault find_short_leaf(const Walk& w, ShortLeaf& leaf) {
  u64 address = 0;
  if (!first_level_address(w.s, w.va, address)) return w.fault(FaultType::Translation, 1);
  u32 first = 0;
  if (!w.fetch32(address, first)) return w.fault(FaultType::SyncExternalOnWalk, 1);
  switch (first & 3) {
    case 0: return w.fault(FaultType::Translation, 1);
    case 1: {
      const u32 domain = bits<8, 5>(first);
      u32 second = 0;
      if (!w.fetch32((first & 0xfffffc00) | bits<19, 12>(w.va) << 2, second))
        return w.fault(FaultType::SyncExternalOnWalk, 2, domain);
      if ((second & 3) == 0) return w.fault(FaultType::Translation, 2, domain);
      leaf = page(first, second, w.va);
      break;
    }
    default: leaf = section(first, w.va); break;
  }
  if (w.s.cp15.sctlr & k_sctlr_afe) {
    if (!(leaf.ap & 1)) return w.fault(FaultType::AccessFlag, leaf.level, leaf.domain);
  }
  return {};
}

Fault translate_short(const Walk& w, Translation& out) {
  ShortLeaf leaf;
  if (Fault f = find_short_leaf(w, leaf)) return f;
  const u32 client_or_manager = (w.s.cp15.dacr >> (2 * leaf.domain)) & 3;
  // 0b10 is reserved; like No access it faults on this CPU (B3.12.1).
  if (!(client_or_manager & 1)) return w.fault(FaultType::Domain, leaf.level, leaf.domain);
  out.pa = GuestPa(leaf.base);
  out.page_bits = leaf.page_bits;
  out.global = !leaf.not_global;
  out.domain = static_cast<u8>(leaf.domain);
  const ShortAttributes a = short_attributes(w.s, leaf.tex_cb, leaf.shared);
  out.type = a.type;
  out.par_attributes = a.par | (leaf.supersection ? k_par_ss : 0);
  if (client_or_manager == 3) {
    grant_all(out);
    return {};
  }
  const u32 ap = w.s.cp15.sctlr & k_sctlr_afe ? leaf.ap | 1 : leaf.ap;
  grant_by_ap(w.s, ap, leaf.xn, leaf.pxn, out);
  if (!granted(out, w.access, w.privileged)) return w.fault(FaultType::Permission, leaf.level, leaf.domain);
  return {};
}

// --- long-descriptor format (B3.6)

constexpr u64 k_output_mask = 0x000000fffffff000;

/// Where a walk begins: TTBR0 or TTBR1 by TnSZ (B3.6.4).
struct LongStart {
  u64 base = 0;
  u32 level = 1;
  u32 size = 0;  ///< TnSZ
  bool enabled = false;
};

LongStart start_at(u64 ttbr, u32 size, bool disabled) {
  LongStart start;
  start.level = size > 1 ? 2 : 1;
  start.size = size;
  const u32 low_bit = 9 * start.level - size - 4;
  start.base = (ttbr & low_mask(40)) & ~low_mask(low_bit);
  start.enabled = !disabled;
  return start;
}

LongStart select_long_table(const CpuState& s, u32 va) {
  const u32 ttbcr = s.cp15.ttbcr;
  const u32 t0 = bits<2, 0>(ttbcr), t1 = bits<18, 16>(ttbcr);
  // TTBR1's region is what T1SZ says, or with T1SZ of 0 all that TTBR0's leaves.
  const bool in_region0 = t0 == 0 || (va >> (32 - t0)) == 0;
  const bool in_region1 = t1 == 0 ? t0 != 0 && !in_region0 : (va >> (32 - t1)) == low_mask(t1);
  if (in_region1) return start_at(s.cp15.ttbr1, t1, bit<23>(ttbcr));
  if (in_region0) return start_at(s.cp15.ttbr0, t0, bit<7>(ttbcr));
  return {};
}

/// Restrictions that table descriptors put on what lies below them (B3.6.3).
struct Hierarchy {
  bool read_only = false, no_pl0 = false, xn = false, pxn = false;
  void add(u64 table) {
    read_only |= bit<62>(table);
    no_pl0 |= bit<61>(table);
    xn |= bit<60>(table);
    pxn |= bit<59>(table);
  }
};

/// Applies a block or page descriptor of `level`.
Fault apply_long_leaf(const Walk& w, u64 descriptor, u32 level, const Hierarchy& above, Translation& out) {
  if (!bit<10>(descriptor)) return w.fault(FaultType::AccessFlag, level);
  out.page_bits = 39 - 9 * level;
  const u64 offset_mask = low_mask(out.page_bits);
  out.pa = GuestPa((descriptor & k_output_mask & ~offset_mask) | (w.va & offset_mask));
  out.global = !bit<11>(descriptor);
  const LongAttributes a = long_attributes(w.s, static_cast<u32>(bits<4, 2>(descriptor)), bits<9, 8>(descriptor));
  out.type = a.type;
  out.par_attributes = a.par;
  const bool read_only = bit<7>(descriptor) || above.read_only;
  const bool pl0 = bit<6>(descriptor) && !above.no_pl0;
  const u32 ap = u32{read_only} << 2 | u32{pl0} << 1 | 1;
  grant_by_ap(w.s, ap, bit<54>(descriptor) || above.xn, bit<53>(descriptor) || above.pxn, out);
  if (!granted(out, w.access, w.privileged)) return w.fault(FaultType::Permission, level);
  return {};
}

Fault translate_long(const Walk& w, Translation& out) {
  const LongStart start = select_long_table(w.s, w.va);
  if (!start.enabled) return w.fault(FaultType::Translation, 1);
  Hierarchy above;
  u64 base = start.base;
  u32 index_bits = 32 - start.size;  // of the input address that the walk still has to resolve
  for (u32 level = start.level;; ++level) {
    const u32 shift = 39 - 9 * level;
    const u64 index = (w.va & low_mask(index_bits)) >> shift;
    u64 descriptor = 0;
    if (!w.fetch64(base | index << 3, descriptor)) return w.fault(FaultType::SyncExternalOnWalk, level);
    const bool table_or_page = bit<1>(descriptor);
    if (!bit<0>(descriptor) || (level == 3 && !table_or_page)) return w.fault(FaultType::Translation, level);
    if (level == 3 || !table_or_page) return apply_long_leaf(w, descriptor, level, above, out);
    above.add(descriptor);
    base = descriptor & k_output_mask;
    index_bits = shift;
  }
}

}  // namespace

Fault translate(const CpuState& s, WalkMemory& memory, u32 va, Access access, bool privileged, Translation& out) {
  const Walk w{s, memory, va, access, privileged};
  out = {};
  if (!(s.cp15.sctlr & k_sctlr_m)) return translate_flat(w, out);
  return s.cp15.ttbcr & k_ttbcr_eae ? translate_long(w, out) : translate_short(w, out);
}

Asid current_asid(const CpuState& s) {
  if (!(s.cp15.ttbcr & k_ttbcr_eae)) return Asid(static_cast<u8>(s.cp15.contextidr));
  const u64 ttbr = s.cp15.ttbcr & k_ttbcr_a1 ? s.cp15.ttbr1 : s.cp15.ttbr0;
  return Asid(static_cast<u8>(ttbr >> 48));
}

}  // namespace armvisor::arm
