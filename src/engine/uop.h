#pragma once
// The interpreter's form of a block: IR lowered to fixed-size operations whose operands are offsets from one context
// structure, so that registers, temps and constants in memory are all reached the same way.
#include "arm/cpu_state.h"
#include "base/types.h"

namespace armvisor::engine {

struct Context;
struct Uop;

/// An operation that is a function. False (only for operations that may raise): the fault is in the vCPU.
using Helper = bool (*)(Context&, const Uop&);

/// Kinds of operation; each has a label in execute().
enum class Kind : u16 {
#define UOP(name) name,
#include "engine/uops.inc"
#undef UOP
  Count
};

/// 32 bytes. Operands are byte offsets from the context divided by 4.
struct Uop {
  const void* handler = nullptr;
  u16 dst = 0, a = 0, b = 0, c = 0;
  u64 imm = 0;  ///< constant operand or attribute; Link* in linked exits
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"  // the unnamed struct; Clang also minds that it stands in a union
  union {
    Helper helper;
    struct {
      u32 disp;  ///< displacement, mask of written flags, or distance of a skip in uops
      u8 attr, attr2;
      union {
        Kind kind;           ///< only while lowering
        u16 helper_number;  ///< of compiled blocks: see helper_by_number()
      };
    };
  };
#pragma GCC diagnostic pop
  constexpr Uop() : helper(nullptr) {}
};
static_assert(sizeof(Uop) == 32);

/// Why execute() returned to the dispatcher.
enum class Leave : u8 {
  Lookup,     ///< r15 has no block at hand; Dispatch::link may be set
  Attention,  ///< r15 is the next instruction; somebody wants something
  Sync,       ///< state that blocks depend on may have changed
  Fault,      ///< Dispatch::at raised; the vCPU has the fault
  Undefined,
  Svc,
  Bkpt,
  Hvc,
  Smc,
  Wfi,
  Wfe,
  Yield,
  Return,       ///< an exception return, done
  Emulate,      ///< the helper of Dispatch::at is to run; generated code goes on at Dispatch::resume
  EmulateLast,  ///< the helper of Dispatch::at is to run; r15 is the next instruction, unless the helper sets it
  Hot,          ///< r15 is the head of a loop that has run many times
  Differs,      ///< --verify: compiled and interpreted do not agree
};

}  // namespace armvisor::engine
