// Writes to the registers of the memory system: control, translation tables, attributes, maintenance, translation
// requests.

#include "arm/cp15_accessors.h"
#include "arm/memory_attributes.h"

namespace armvisor::arm {
namespace {

// SCTLR: M A C SW Z I V WXN UWXN EE TRE AFE TE are writable; the rest is fixed (B4.1.130, Cortex-A15 TRM 4.3.27).
// HA, RR, NMFI, VE and FI are RAZ: no hardware access flag, no vectored interrupts.
constexpr u32 k_sctlr_writable = 0x72183c07, k_sctlr_ones = 0x00c50078;
constexpr u32 k_cpacr_cp10_cp11 = 0x00f00000, k_cpacr_d32dis = 1u << 30, k_cpacr_asedis = 1u << 31;
constexpr u32 k_ttbcr_eae = 1u << 31, k_ttbcr_short = 0x37, k_ttbcr_long = 0xbfc73f87;
constexpr u64 k_ttbr_long = 0x00ff00ffffffffff;

bool context_changed(SystemPort& port) {
  port.translation_context_changed();
  return true;
}

/// The 32-bit view of a 64-bit register: the upper word stays.
void set_low(u64& reg, u64 value) { reg = (reg & ~u64{0xffffffff}) | value; }

/// PAR for an outcome of ATS1C* (B4.1.112). An external abort on the walk is reported here like any other fault.
u64 par_value(const CpuState& s, const Fault& fault, const Translation& t) {
  const bool long_format = (s.cp15.ttbcr & k_ttbcr_eae) != 0;
  if (fault) {
    const u32 fsr = encode_fsr(s, fault, true);
    if (long_format) return u64{fsr & 0x3f} << 1 | k_par_lpae | k_par_f;
    return u64{bits<12, 12>(fsr)} << 6 | u64{bits<10, 10>(fsr)} << 5 | u64{bits<3, 0>(fsr)} << 1 | k_par_f;
  }
  if (long_format) return (t.pa.value & 0xfffffff000) | t.par_attributes;
  if (t.par_attributes & k_par_ss) return (t.pa.value & 0xff000000) | bits<39, 32>(t.pa.value) << 16 | t.par_attributes;
  return (t.pa.value & 0xfffff000) | t.par_attributes;
}

bool address_translate(CpuState& s, SystemPort& port, u64 va, Access access, bool privileged) {
  Translation t;
  const Fault fault = port.walk(static_cast<u32>(va), access, privileged, t);
  s.cp15.par = par_value(s, fault, t);
  return true;
}

u32 mva(u64 value) { return static_cast<u32>(value) & ~k_page_mask; }
Asid asid_of(u64 value) { return Asid(static_cast<u8>(value)); }

}  // namespace

bool write_sctlr(CpuState& s, SystemPort& port, u64 value) {
  s.cp15.sctlr = (static_cast<u32>(value) & k_sctlr_writable) | k_sctlr_ones;
  return context_changed(port);
}

bool write_cpacr(CpuState& s, SystemPort&, u64 value) {
  u32 v = static_cast<u32>(value) & (k_cpacr_cp10_cp11 | k_cpacr_d32dis | k_cpacr_asedis);
  // Advanced SIMD without D16-D31 does not exist: D32DIS implies ASEDIS (B4.1.40).
  if (v & k_cpacr_d32dis) v |= k_cpacr_asedis;
  s.cp15.cpacr = v;
  return true;
}

bool write_ttbr0_low(CpuState& s, SystemPort& port, u64 value) {
  set_low(s.cp15.ttbr0, value);
  return context_changed(port);
}
bool write_ttbr1_low(CpuState& s, SystemPort& port, u64 value) {
  set_low(s.cp15.ttbr1, value);
  return context_changed(port);
}
bool write_ttbr0(CpuState& s, SystemPort& port, u64 value) {
  s.cp15.ttbr0 = value & k_ttbr_long;
  return context_changed(port);
}
bool write_ttbr1(CpuState& s, SystemPort& port, u64 value) {
  s.cp15.ttbr1 = value & k_ttbr_long;
  return context_changed(port);
}
bool write_ttbcr(CpuState& s, SystemPort& port, u64 value) {
  s.cp15.ttbcr = static_cast<u32>(value) & (value & k_ttbcr_eae ? k_ttbcr_long : k_ttbcr_short);
  return context_changed(port);
}
bool write_dacr(CpuState& s, SystemPort& port, u64 value) {
  s.cp15.dacr = static_cast<u32>(value);
  return context_changed(port);
}
bool write_mair0(CpuState& s, SystemPort& port, u64 value) {
  s.cp15.mair0 = static_cast<u32>(value);
  return context_changed(port);
}
bool write_mair1(CpuState& s, SystemPort& port, u64 value) {
  s.cp15.mair1 = static_cast<u32>(value);
  return context_changed(port);
}
bool write_contextidr(CpuState& s, SystemPort& port, u64 value) {
  s.cp15.contextidr = static_cast<u32>(value);
  return context_changed(port);
}

bool write_iciallu(CpuState&, SystemPort& port, u64) {
  port.icache_invalidate_all(false);
  return true;
}
bool write_iciallu_is(CpuState&, SystemPort& port, u64) {
  port.icache_invalidate_all(true);
  return true;
}
bool write_icimvau(CpuState&, SystemPort& port, u64 value) {
  port.icache_invalidate_va(static_cast<u32>(value));
  return true;
}
bool write_tlbiall(CpuState&, SystemPort& port, u64) {
  port.tlb_flush_all(false);
  return true;
}
bool write_tlbiall_is(CpuState&, SystemPort& port, u64) {
  port.tlb_flush_all(true);
  return true;
}
bool write_tlbimva(CpuState&, SystemPort& port, u64 value) {
  port.tlb_flush_va(mva(value), asid_of(value), false);
  return true;
}
bool write_tlbimva_is(CpuState&, SystemPort& port, u64 value) {
  port.tlb_flush_va(mva(value), asid_of(value), true);
  return true;
}
bool write_tlbiasid(CpuState&, SystemPort& port, u64 value) {
  port.tlb_flush_asid(asid_of(value), false);
  return true;
}
bool write_tlbiasid_is(CpuState&, SystemPort& port, u64 value) {
  port.tlb_flush_asid(asid_of(value), true);
  return true;
}
bool write_tlbimvaa(CpuState&, SystemPort& port, u64 value) {
  port.tlb_flush_va_all_asids(mva(value), false);
  return true;
}
bool write_tlbimvaa_is(CpuState&, SystemPort& port, u64 value) {
  port.tlb_flush_va_all_asids(mva(value), true);
  return true;
}

bool write_ats1cpr(CpuState& s, SystemPort& port, u64 value) {
  return address_translate(s, port, value, Access::Read, true);
}
bool write_ats1cpw(CpuState& s, SystemPort& port, u64 value) {
  return address_translate(s, port, value, Access::Write, true);
}
bool write_ats1cur(CpuState& s, SystemPort& port, u64 value) {
  return address_translate(s, port, value, Access::Read, false);
}
bool write_ats1cuw(CpuState& s, SystemPort& port, u64 value) {
  return address_translate(s, port, value, Access::Write, false);
}

}  // namespace armvisor::arm
