#include "arm/cpu_state.h"

#include <algorithm>
#include <cstddef>

#include "base/assert.h"
#include "base/platform.h"

namespace armvisor::arm {

static_assert(std::is_standard_layout_v<CpuState> && std::is_trivially_copyable_v<CpuState>);

namespace {

constexpr u32 k_psr_stored = k_psr_e | k_psr_a | k_psr_i | k_psr_f | k_psr_t | k_psr_mode;

// FPSCR bits that exist on this CPU. MVFR0 says that there are no short vectors and no trapped exceptions, so Len,
// Stride and the trap-enable bits are RAZ/WI (B4.1.58).
constexpr u32 k_fpscr_conditions = 0xf0000000, k_fpscr_control = 0x0fc00000, k_fpscr_cumulative_bits = 0x0000009f;

// SCTLR.NMFI (B4.1.130).
constexpr u32 k_sctlr_nmfi = 1u << 27;

u32 bank_index(u32 mode) { return static_cast<u32>(bank_of(mode)); }

bool in_fiq(const CpuState& s) { return s.mode() == k_mode_fiq; }

/// Mask of the bits in the bytes that `bytemask` selects.
u32 expand_bytemask(u32 bytemask) {
  u32 mask = 0;
  for (u32 byte = 0; byte < 4; ++byte)
    if ((bytemask >> byte) & 1) mask |= 0xffu << (8 * byte);
  return mask;
}

void store_flags(CpuState& s, u32 value) {
  s.n = bit<31>(value);
  s.z = bit<30>(value);
  s.c = bit<29>(value);
  s.v = bit<28>(value);
  s.q = bit<27>(value);
}

/// Where R`n` of `mode` lives when it is seen from the current mode.
template <class State>
auto& mode_reg_slot(State& s, u32 mode, u32 n) {
  if (n == 16) return s.bank_spsr[bank_index(mode)];
  if (n == 13 || n == 14) {
    if (bank_of(mode) == bank_of(s.mode())) return s.r[n];
    return n == 13 ? s.bank_r13[bank_index(mode)] : s.bank_r14[bank_index(mode)];
  }
  const bool wants_fiq = (mode & k_psr_mode) == k_mode_fiq;
  if (n >= 8 && wants_fiq != in_fiq(s)) return wants_fiq ? s.fiq_r8_12[n - 8] : s.usr_r8_12[n - 8];
  return s.r[n];
}

}  // namespace

u32 cpsr(const CpuState& s) {
  return u32{s.n} << 31 | u32{s.z} << 30 | u32{s.c} << 29 | u32{s.v} << 28 | u32{s.q} << 27 | u32{s.ge} << 16 |
         it_to_psr(s.it) | s.psr;
}

void change_mode(CpuState& s, u32 mode) {
  mode &= k_psr_mode;
  const u32 from = bank_index(s.mode()), to = bank_index(mode);
  if (from != to) {
    s.bank_r13[from] = s.r[13];
    s.bank_r14[from] = s.r[14];
    s.r[13] = s.bank_r13[to];
    s.r[14] = s.bank_r14[to];
    const bool from_fiq = in_fiq(s), to_fiq = mode == k_mode_fiq;
    if (from_fiq != to_fiq) {
      auto& saved = from_fiq ? s.fiq_r8_12 : s.usr_r8_12;
      auto& loaded = to_fiq ? s.fiq_r8_12 : s.usr_r8_12;
      std::copy_n(s.r.begin() + 8, 5, saved.begin());
      std::copy_n(loaded.begin(), 5, s.r.begin() + 8);
    }
  }
  s.psr = (s.psr & ~k_psr_mode) | mode;
}

void set_cpsr(CpuState& s, u32 value) {
  change_mode(s, value);
  store_flags(s, value);
  s.ge = static_cast<u8>(bits<19, 16>(value));
  s.it = it_from_psr(value);
  s.psr = value & k_psr_stored;
}

void write_cpsr_by_instr(CpuState& s, u32 value, u32 bytemask, bool is_exception_return) {
  const bool privileged = s.privileged();
  const bool nmfi = (s.cp15.sctlr & k_sctlr_nmfi) != 0;
  if (bytemask & 8) store_flags(s, value);
  if (bytemask & 4) s.ge = static_cast<u8>(bits<19, 16>(value));
  u32 mask = 0;
  if (bytemask & 2) {
    mask |= k_psr_e;
    if (privileged) mask |= k_psr_a;
  }
  if (bytemask & 1) {
    if (privileged) mask |= k_psr_i;
    if (privileged && (!nmfi || !(value & k_psr_f))) mask |= k_psr_f;
    if (is_exception_return) mask |= k_psr_t;
  }
  if (is_exception_return) {
    const u32 it_mask = (bytemask & 8 ? k_psr_it_low : 0) | (bytemask & 2 ? k_psr_it_high : 0);
    s.it = it_from_psr((it_to_psr(s.it) & ~it_mask) | (value & it_mask));
  }
  s.psr = (s.psr & ~mask) | (value & mask);
  // ITSTATE has no meaning in ARM state; a return that asks for both is UNPREDICTABLE (A2.5.2).
  if (is_exception_return && !s.thumb()) s.it = 0;
  // A mode that this CPU lacks is UNPREDICTABLE: the current mode stays.
  if ((bytemask & 1) && privileged && mode_is_valid(value)) change_mode(s, value);
}

u32 spsr(const CpuState& s) {
  const Bank bank = bank_of(s.mode());
  return bank == Bank::Usr ? 0 : s.bank_spsr[static_cast<u32>(bank)];
}

void write_spsr_by_instr(CpuState& s, u32 value, u32 bytemask) {
  const Bank bank = bank_of(s.mode());
  if (bank == Bank::Usr) return;
  constexpr u32 k_reserved = 0x00f00000;  // SPSR[23:20] is not written (B1.3.3, SPSRWriteByInstr)
  const u32 mask = expand_bytemask(bytemask) & ~k_reserved;
  u32& r = s.bank_spsr[static_cast<u32>(bank)];
  r = (r & ~mask) | (value & mask);
}

u32 read_mode_reg(const CpuState& s, u32 mode, u32 n) { return mode_reg_slot(s, mode, n); }

void write_mode_reg(CpuState& s, u32 mode, u32 n, u32 value) { mode_reg_slot(s, mode, n) = value; }

u32 fpscr(const CpuState& s) { return s.fpscr_nzcv | s.fpscr_ctl | s.fpscr_flags; }

void set_fpscr(CpuState& s, u32 value) {
  s.fpscr_nzcv = value & k_fpscr_conditions;
  s.fpscr_ctl = value & k_fpscr_control;
  s.fpscr_flags = value & k_fpscr_cumulative_bits;
}

CpuState reset_state(u32 index, u32 count, CpuModel model) {
  AV_ASSERT(index < count);
  CpuState s;
  s.z = 1;  // flags are UNKNOWN after a reset (B1.9.1); in QEMU they are so
  s.cp15.sctlr = 0x00c50078;
  s.cp15.actlr = 0x00000040;  // SMP: the firmware that a kernel expects to have run has joined coherency
  s.cp15.mair0 = 0x00098aa4;  // PRRR and NMRR reset values of the Cortex-A15
  s.cp15.mair1 = 0x44e048e0;
  s.cp15.mpidr = 0x80000000 | index;
  s.cp15.cntfrq = k_counter_hz;
  s.cp15.l2ctlr_cpus = count;
  s.cp15.ids = row(model).ids;
  s.cp15.debug.oslsr = 0x0000000a;  // OSLM 0b10, and v7.1 Debug begins with the OS Lock set (C7.2)
  return s;
}

}  // namespace armvisor::arm
