#pragma once
// All of the architectural state of one processing element. Standard layout: generated code addresses
// members by offset. Plain values: copying it is a snapshot. Nothing of the host is in it.
#include <array>

#include "arm/cpu_model.h"
#include "arm/psr.h"
#include "base/types.h"

namespace armvisor::arm {

inline constexpr u32 k_breakpoints = 6, k_watchpoints = 4;

/// What a debug exception was taken for: DBGDSCR.MOE (ARM DDI 0406C C11.11.20).
enum class DebugEntry : u8 { None = 0, Breakpoint = 1, Bkpt = 3, VectorCatch = 5, Watchpoint = 10 };

/// Debug registers (ARM DDI 0406C C11.11) that hold state.
struct DebugState {
  u32 dscr = 0, vcr = 0, oslsr = 0, osdlr = 0, prcr = 0, claim = 0, dtrrx = 0, dtrtx = 0;
  u32 bvr[k_breakpoints] = {}, bcr[k_breakpoints] = {};
  u32 wvr[k_watchpoints] = {}, wcr[k_watchpoints] = {};
  /// What the registers above ask for, in bits of debug_events.h. Their writers keep it, since blocks depend on it.
  u32 armed = 0;
  /// What an external debugger asks for, in the same bits. Its vCPU's engine keeps it; no register shows it.
  u32 external = 0;
};

/// System control registers (ARM DDI 0406C B4.1) that hold state. Registers that only act (TLBIALL, ...) or are
/// constant (MIDR, ...) have no member. cp15.inc says which encoding reads and writes which member.
struct Cp15State {
  u32 sctlr = 0, actlr = 0, cpacr = 0, csselr = 0;
  u64 ttbr0 = 0, ttbr1 = 0;
  u32 ttbcr = 0, dacr = 0;
  u32 dfsr = 0, ifsr = 0, adfsr = 0, aifsr = 0, dfar = 0, ifar = 0;
  u64 par = 0;
  u32 mair0 = 0, mair1 = 0;  ///< PRRR and NMRR with the short-descriptor format
  u32 amair0 = 0, amair1 = 0;
  u32 vbar = 0, contextidr = 0, tpidrurw = 0, tpidruro = 0, tpidrprw = 0;
  u32 mpidr = 0;  ///< set at reset from the vCPU number
  u32 cntfrq = 0, cntkctl = 0;
  u32 cntp_ctl = 0, cntv_ctl = 0;
  u64 cntp_cval = 0, cntv_cval = 0;
  u32 pmcr = 0, pmcnten = 0, pmovsr = 0, pmselr = 0, pmuserenr = 0, pminten = 0, pmccfiltr = 0;
  /// PMCCNTR, and event counters that count cycles: the value when stopped; while counting, the value minus the cycles
  /// of now, so that it needs no upkeep (see pmu.cpp).
  u64 pmccntr_base = 0;
  std::array<u32, 6> pmxevtyper{};
  std::array<u64, 6> pmxevcntr{};
  u32 l2ctlr_cpus = 1;  ///< number of vCPUs, for L2CTLR
  DebugState debug;     ///< reached by CP14, in the same table
  CpuIds ids;           ///< of the model
};

struct CpuState {
  // Current-mode registers. r[15] is the address of the next instruction to execute, bit 0 clear; the reads of PC
  // that see +8 or +4 are the front end's business.
  std::array<u32, 16> r{};

  // Condition flags, each 0 or 1, as four adjacent bytes.
  u8 n = 0, z = 0, c = 0, v = 0;
  u8 q = 0;   ///< 0 or 1
  u8 it = 0;  ///< ITSTATE; 0 outside an IT block
  u8 ge = 0;  ///< GE[3:0]
  u8 reserved = 0;
  u32 psr = k_mode_svc | k_psr_i | k_psr_f | k_psr_a;  ///< CPSR bits E, A, I, F, T and M only, in their CPSR places

  // Banked registers of the modes that are not current. The current mode's slots are stale.
  std::array<u32, 6> bank_r13{}, bank_r14{}, bank_spsr{};  ///< by Bank; spsr: see spsr()
  std::array<u32, 5> usr_r8_12{}, fiq_r8_12{};             ///< R8-R12: the set that is not current

  // Advanced SIMD and VFP. d[2n], d[2n+1] form Qn; S registers overlay d[0..15].
  alignas(16) std::array<u64, 32> d{};
  u32 fpscr_nzcv = 0;   ///< FPSCR[31:28] in place
  u32 fpscr_ctl = 0;    ///< FPSCR QC, AHP, DN, FZ, RMode, Stride, Len and trap-enable bits (RAZ), in place
  u32 fpscr_flags = 0;  ///< cumulative exception bits IDC, IXC, UFC, OFC, DZC, IOC in place
  u32 fpexc = 0;

  // Exclusive monitor (A3.4): address of the physical granule, its value and version when it was marked.
  u64 excl_pa = ~u64{0};  ///< ~0: open access
  u64 excl_value = 0;
  u32 excl_version = 0;
  u32 excl_size = 0;  ///< bytes: 1, 2, 4, 8
  u8 event = 0;       ///< event register (B1.8.13): set by SEV, tested by WFE

  Cp15State cp15;

  u32 mode() const { return psr & k_psr_mode; }
  bool privileged() const { return mode() != k_mode_usr; }
  bool thumb() const { return (psr & k_psr_t) != 0; }
};

/// CPSR gathered into its architectural form.
u32 cpsr(const CpuState& s);
/// Writes every field of CPSR, banking registers when the mode changes. `value` has a valid mode.
void set_cpsr(CpuState& s, u32 value);
/// CPSRWriteByInstr (B1.3.3) for MSR, CPS and exception return: `bytemask` selects bytes; privilege, SCTLR.NMFI and
/// invalid modes are honoured. ITSTATE, J and T are written only with `is_exception_return`.
void write_cpsr_by_instr(CpuState& s, u32 value, u32 bytemask, bool is_exception_return);
/// Banks registers out of the current mode and into `mode`; PSR mode bits are updated.
void change_mode(CpuState& s, u32 mode);

/// SPSR of the current mode; reads as 0 in USR and SYS (UNPREDICTABLE there).
u32 spsr(const CpuState& s);
void write_spsr_by_instr(CpuState& s, u32 value, u32 bytemask);

/// R`n` (0..14) as seen in `mode`, current or not (LDM/STM user registers, MRS/MSR banked, SRS); 16 is its SPSR.
u32 read_mode_reg(const CpuState& s, u32 mode, u32 n);
void write_mode_reg(CpuState& s, u32 mode, u32 n, u32 value);

u32 fpscr(const CpuState& s);
void set_fpscr(CpuState& s, u32 value);

inline bool condition_holds(const CpuState& s, Cond cond) {
  bool r = false;
  switch (static_cast<u8>(cond) >> 1) {
    case 0: r = s.z; break;
    case 1: r = s.c; break;
    case 2: r = s.n; break;
    case 3: r = s.v; break;
    case 4: r = s.c && !s.z; break;
    case 5: r = s.n == s.v; break;
    case 6: r = s.n == s.v && !s.z; break;
    default: return true;
  }
  return (static_cast<u8>(cond) & 1) ? !r : r;
}

/// State after reset of vCPU `index` of `count`: SVC mode, interrupts masked, MMU off, PC = 0.
CpuState reset_state(u32 index, u32 count, CpuModel model = CpuModel::CortexA15);

}  // namespace armvisor::arm
