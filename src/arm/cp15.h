#pragma once
// System registers reached by MCR/MRC/MCRR/MRRC on CP14 and CP15 (ARM DDI 0406C B4, B8, C11, C12). One line per
// register in cp15.inc: encoding, name, access rights, storage or accessor, effect. The row number is the register's
// identity in IR.
#include <span>
#include <string_view>

#include "arm/cpu_state.h"
#include "arm/exceptions.h"
#include "arm/page_walk.h"

namespace armvisor::arm {

/// What system registers need from the world around the processing element. Implemented by the engine.
class SystemPort {
 public:
  virtual u64 counter() = 0;                           ///< CNTPCT, in ticks of CNTFRQ (CNTVOFF is 0)
  virtual void timer_changed(bool virtual_timer) = 0;  ///< CNTx_CTL or CNTx_CVAL was written
  /// Something that selects or interprets translation tables changed (SCTLR, TTBRn, TTBCR, DACR, CONTEXTIDR, MAIRn).
  virtual void translation_context_changed() = 0;
  virtual void tlb_flush_all(bool inner_shareable) = 0;
  virtual void tlb_flush_asid(Asid asid, bool inner_shareable) = 0;
  virtual void tlb_flush_va(u32 va, Asid asid, bool inner_shareable) = 0;
  virtual void tlb_flush_va_all_asids(u32 va, bool inner_shareable) = 0;
  virtual void icache_invalidate_all(bool inner_shareable) = 0;
  virtual void icache_invalidate_va(u32 va) = 0;
  /// ATS1C* (B4.2.4): a walk with the current context.
  virtual Fault walk(u32 va, Access access, bool privileged, Translation& out) = 0;
  /// Inputs that are high, whether masked or not, in the places of CPSR.A, I and F (for ISR).
  virtual u32 interrupt_lines() = 0;
  /// Which instructions or accesses are debug events may have changed (debug_events.h).
  virtual void debug_changed() = 0;

 protected:
  ~SystemPort() = default;
};

using SysRegId = u16;
inline constexpr SysRegId k_no_sysreg = 0xffff;

/// What an engine has to do after a write.
enum class SysEffect : u8 {
  None,      ///< plain storage; nothing that a block was translated for depends on it
  EndBlock,  ///< translation context, privilege-visible behaviour or code may have changed: leave the block
};

struct SysReg {
  std::string_view name;
  u8 coproc, op1, crn, crm, op2;  ///< crn is unused (0) for 64-bit registers
  bool is64;                      ///< MCRR/MRRC
  bool pl0_read, pl0_write, pl1_read,
      pl1_write;  ///< static rights; dynamic ones (PMUSERENR, CNTKCTL) are in the accessor
  SysEffect effect;
  /// Byte offset in CpuState when reading (and writing, with write_mask) is plain storage, else -1. Generated code may
  /// then access the member itself: a 32-bit write stores value & write_mask, a 64-bit write stores the value.
  s32 read_offset, write_offset;
  u32 write_mask;
  bool constant;       ///< reads as `constant_value`
  bool write_ignored;  ///< where it may be written
  u64 constant_value;
};

std::span<const SysReg> sysregs();
/// Row for an encoding, or k_no_sysreg (UNDEFINED). CP14 debug and ThumbEE/Jazelle registers are in the table too.
SysRegId find_sysreg32(u32 coproc, u32 op1, u32 crn, u32 crm, u32 op2);
SysRegId find_sysreg64(u32 coproc, u32 op1, u32 crm);

/// Reads or writes register `id`. Static rights were checked at translation. False: Undefined Instruction exception.
[[nodiscard]] bool read_sysreg(CpuState& s, SystemPort& port, SysRegId id, u64& value);
[[nodiscard]] bool write_sysreg(CpuState& s, SystemPort& port, SysRegId id, u64 value);

}  // namespace armvisor::arm
