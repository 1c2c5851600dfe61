#include "arm/exceptions.h"

#include "base/assert.h"

namespace armvisor::arm {
namespace {

constexpr u32 k_sctlr_v = 1u << 13, k_sctlr_ee = 1u << 25, k_sctlr_te = 1u << 30;
constexpr u32 k_ttbcr_eae = 1u << 31;
constexpr u32 k_fsr_lpae = 1u << 9, k_dfsr_wnr = 1u << 11, k_dfsr_cm = 1u << 13;

/// One line of the exception model: B1.8.1 (vectors), B1.8.3 (LR offsets), B1.9.1 to B1.9.11 (CPSR changes).
struct Entry {
  u32 vector;
  u32 mode;
  u32 lr_arm, lr_thumb;  ///< preferred return address plus what the return instruction subtracts, from `pc`
  u32 masks;             ///< CPSR bits set on entry
};

constexpr Entry entry_of(Exception e) {
  switch (e) {
    case Exception::Undefined: return {0x04, k_mode_und, 4, 2, k_psr_i};
    case Exception::SupervisorCall: return {0x08, k_mode_svc, 4, 2, k_psr_i};
    case Exception::PrefetchAbort: return {0x0c, k_mode_abt, 4, 4, k_psr_i | k_psr_a};
    case Exception::DataAbort: return {0x10, k_mode_abt, 8, 8, k_psr_i | k_psr_a};
    case Exception::Irq: return {0x18, k_mode_irq, 4, 4, k_psr_i | k_psr_a};
    case Exception::Fiq: return {0x1c, k_mode_fiq, 4, 4, k_psr_i | k_psr_a | k_psr_f};
  }
  AV_UNREACHABLE();
}

/// ITAdvance (A2.5.2).
u8 it_advanced(u8 it) { return (it & 7) == 0 ? u8{0} : static_cast<u8>((it & 0xe0) | ((it << 1) & 0x1f)); }

/// FS[4:0] of the short-descriptor format (B3.13.3, Table B3-23).
u32 short_status(const Fault& f) {
  const bool level2 = f.level >= 2;
  switch (f.type) {
    case FaultType::None: return 0;
    case FaultType::Alignment: return 0b00001;
    case FaultType::Debug: return 0b00010;
    case FaultType::IcacheMaintenance: return 0b00100;
    case FaultType::AccessFlag: return level2 ? 0b00110 : 0b00011;
    case FaultType::Translation: return level2 ? 0b00111 : 0b00101;
    case FaultType::Domain: return level2 ? 0b01011 : 0b01001;
    case FaultType::Permission: return level2 ? 0b01111 : 0b01101;
    case FaultType::SyncExternal: return 0b01000;
    case FaultType::SyncExternalOnWalk: return level2 ? 0b01110 : 0b01100;
  }
  AV_UNREACHABLE();
}

/// DFSR[7:4] has a meaning only where a descriptor told the domain before the fault.
bool domain_is_valid(const Fault& f) {
  switch (f.type) {
    case FaultType::AccessFlag:
    case FaultType::Domain:
    case FaultType::Permission: return true;
    case FaultType::Translation:
    case FaultType::SyncExternalOnWalk: return f.level >= 2;
    default: return false;
  }
}

/// STATUS[5:0] of the long-descriptor format (B3.13.4, Table B3-24).
u32 long_status(const Fault& f) {
  const u32 level = f.level & 3u;
  switch (f.type) {
    case FaultType::None: return 0;
    case FaultType::Alignment: return 0b100001;
    case FaultType::Debug: return 0b100010;
    case FaultType::Translation: return 0b000100 | level;
    case FaultType::AccessFlag: return 0b001000 | level;
    case FaultType::Permission: return 0b001100 | level;
    case FaultType::SyncExternal: return 0b010000;
    case FaultType::SyncExternalOnWalk: return 0b010100 | level;
    // This format has no domains, and reports a fault of cache maintenance as the fault that it was.
    case FaultType::Domain: return 0b111100 | level;
    case FaultType::IcacheMaintenance: return 0b000100 | level;
  }
  AV_UNREACHABLE();
}

/// DBGDSCR.MOE of a debug exception (C11.11.20).
void note_debug_entry(CpuState& s, const Fault& fault) {
  constexpr u32 k_moe_at = 2, k_moe = 15u << k_moe_at;
  if (fault.type != FaultType::Debug) return;
  u32& dscr = s.cp15.debug.dscr;
  dscr = (dscr & ~k_moe) | static_cast<u32>(fault.debug) << k_moe_at;
}

}  // namespace

u32 encode_fsr(const CpuState& s, const Fault& fault, bool instruction_side) {
  const bool long_format = (s.cp15.ttbcr & k_ttbcr_eae) != 0;
  u32 fsr = 0;
  if (long_format) {
    fsr = k_fsr_lpae | long_status(fault);
  } else {
    const u32 fs = short_status(fault);
    fsr = bits<4, 4>(fs) << 10 | bits<3, 0>(fs);
    if (!instruction_side && domain_is_valid(fault)) fsr |= (fault.domain & 15u) << 4;
  }
  // ExT (bit 12) stays 0: the external aborts of this machine are decode errors.
  if (!instruction_side) {
    if (fault.write || fault.cache_maintenance) fsr |= k_dfsr_wnr;
    if (fault.cache_maintenance) fsr |= k_dfsr_cm;
  }
  return fsr;
}

void take_exception(CpuState& s, Exception e, u32 pc, u32 instruction_bytes) {
  const Entry entry = entry_of(e);
  u32 offset = s.thumb() ? entry.lr_thumb : entry.lr_arm;
  if (e == Exception::SupervisorCall) {
    s.it = it_advanced(s.it);  // the SVC itself has executed (TakeSVCException)
    offset = instruction_bytes;
  }
  const u32 saved = cpsr(s);
  change_mode(s, entry.mode);
  s.bank_spsr[static_cast<u32>(bank_of(entry.mode))] = saved;
  s.r[14] = pc + offset;
  const u32 sctlr = s.cp15.sctlr;
  s.psr = (s.psr & ~(k_psr_t | k_psr_e)) | entry.masks;
  if (sctlr & k_sctlr_te) s.psr |= k_psr_t;
  if (sctlr & k_sctlr_ee) s.psr |= k_psr_e;
  s.it = 0;
  s.r[15] = (sctlr & k_sctlr_v ? 0xffff0000 : s.cp15.vbar) + entry.vector;
}

void take_data_abort(CpuState& s, const Fault& fault, u32 pc) {
  s.cp15.dfsr = encode_fsr(s, fault, false);
  s.cp15.dfar = fault.va;
  note_debug_entry(s, fault);
  take_exception(s, Exception::DataAbort, pc, 4);
}

void take_prefetch_abort(CpuState& s, const Fault& fault, u32 pc) {
  s.cp15.ifsr = encode_fsr(s, fault, true);
  s.cp15.ifar = fault.va;
  note_debug_entry(s, fault);
  take_exception(s, Exception::PrefetchAbort, pc, 4);
}

}  // namespace armvisor::arm
