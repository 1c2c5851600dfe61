#pragma once
// Exception entry (ARM DDI 0406C B1.9) and fault status encodings (B3.13).
#include "arm/cpu_state.h"

namespace armvisor::arm {

enum class Exception : u8 { Undefined, SupervisorCall, PrefetchAbort, DataAbort, Irq, Fiq };

/// Why a translation or an access failed; what DFSR/IFSR say follows from it and the table format (B3.13.3, B3.13.4).
enum class FaultType : u8 {
  None,
  Alignment,
  Debug,
  AccessFlag,
  Translation,
  Domain,
  Permission,
  SyncExternal,
  SyncExternalOnWalk,
  IcacheMaintenance,
};

struct Fault {
  FaultType type = FaultType::None;
  u8 level = 0;                    ///< 1..3: level of the descriptor that faulted
  u8 domain = 0;                   ///< short-descriptor format, where the manual defines it
  bool write = false;              ///< DFSR.WnR
  bool cache_maintenance = false;  ///< DFSR.CM
  DebugEntry debug{};              ///< of FaultType::Debug: what DBGDSCR.MOE shows
  u32 va = 0;                      ///< what DFAR or IFAR shows
  explicit operator bool() const { return type != FaultType::None; }
};

/// FSR value for `fault` in the format selected by TTBCR.EAE.
u32 encode_fsr(const CpuState& s, const Fault& fault, bool instruction_side);

/// Takes an exception. `pc` is the address of the instruction that caused it, or for IRQ and FIQ the next one to
/// execute; `instruction_bytes` (2 or 4) and the Thumb state give LR its offset. s.it is the ITSTATE of that
/// instruction (for SVC, the entry advances it). On return r[15] is the vector.
void take_exception(CpuState& s, Exception e, u32 pc, u32 instruction_bytes);
/// Sets DFSR and DFAR, and for a debug exception DBGDSCR.MOE, then takes a Data Abort from the instruction at `pc`.
void take_data_abort(CpuState& s, const Fault& fault, u32 pc);
/// Sets IFSR and IFAR, and for a debug exception DBGDSCR.MOE, then takes a Prefetch Abort on the instruction at `pc`.
void take_prefetch_abort(CpuState& s, const Fault& fault, u32 pc);

}  // namespace armvisor::arm
