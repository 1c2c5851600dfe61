#pragma once
// From guest instructions to IR, a block at a time.
#include <span>

#include "arm/cpu_state.h"
#include "arm/semihosting.h"
#include "ir/ir.h"

namespace armvisor::frontend {

/// Everything outside the instruction bytes that the IR of a block depends on. Engines key their blocks with it, but
/// for what is the same for all blocks of a machine.
struct Context {
  bool thumb = false;
  bool big_endian = false;  ///< CPSR.E
  bool privileged = true;
  bool align_strict = false;    ///< SCTLR.A, or the MMU is off: all memory is Strongly-ordered
  u8 it = 0;                    ///< ITSTATE at entry
  bool vfp_enabled = false;     ///< FPEXC.EN and CPACR let this privilege use VFP (B1.11)
  bool vfp_accessible = false;  ///< CPACR alone lets it (VMRS/VMSR FPEXC by PL1)
  bool simd_enabled = false;    ///< as vfp_enabled, and CPACR.ASEDIS clear
  bool user_wfx_trap = false;   ///< SCTLR.nTWI clear at PL0 etc.; false on this CPU
  bool sctlr_nmfi = false;
  bool debug_events = false;  ///< any instruction may be a debug event: each asks (arm/debug_events.h)
  bool fp_default = true;     ///< FPSCR: round to nearest, neither flush-to-zero nor default NaN
  arm::Semihosting semihosting = arm::Semihosting::Off;  ///< the machine's, and in no key

  /// Packed, for keys. Distinct contexts of a machine have distinct values.
  u32 key() const;
  /// Of a key, what only blocks with ir::Block::fp depend on.
  static constexpr u32 k_fp_key = 7u << 4 | 1u << 17;
  static bool fp_default_of(u32 key);
  static Context of(const arm::CpuState& s) { return of(s, s.privileged()); }
  static Context of(const arm::CpuState& s, bool privileged);  ///< as if the mode were of that privilege
  static bool privileged_of(u32 key) { return key >> 2 & 1; }
  static bool thumb_of(u32 key) { return key & 1; }
  static bool align_strict_of(u32 key) { return key >> 3 & 1; }
  static bool nmfi_of(u32 key) { return key >> 16 & 1; }
  static u8 it_of(u32 key) { return static_cast<u8>(key >> 8); }
  bool operator==(const Context&) const = default;
};

struct Limits {
  u32 max_insns = 64;
  u32 end = 1;  ///< the block ends before the instruction at this address (an odd one: none)
  /// Instructions that ask whether they are debug events, whatever the context says: addresses in order.
  std::span<const u32> stops{};
};

/// Translates from `pc`. `code` holds the bytes from pc to the end of its page, or more; translation never reads past
/// it and ends the block before an instruction that is not wholly inside. Returns false, with an empty block, when
/// even the first instruction is not: the caller then offers the next page's bytes too.
bool translate(const Context& context, u32 pc, std::span<const u8> code, const Limits& limits, ir::Block& block);

}  // namespace armvisor::frontend
