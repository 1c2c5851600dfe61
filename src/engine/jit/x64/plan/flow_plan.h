#pragma once
// How control goes through a block, and what each instruction is to its neighbours. The other plans start from it.
//
// Side exits need the label of their skip right behind them: emitters step over it together with the exit. A group of
// accesses is never broken by control: it has no label, head or exit inside.
#include <vector>

#include "engine/jit/x64/plan/input.h"

namespace armvisor::engine::jit {

struct FlowPlan {
  /// One IR instruction.
  struct Step {
    bool in_place;       ///< has code of its own (InPlace)
    bool side_exit;      ///< a skip over nothing but a direct exit: it jumps out of the straight run, or to a head
    bool conditional;    ///< a skip that is no side exit may lead around it
    bool precedes_trap;  ///< sensitive, and so is a later operation of its instruction, which traps for both
    bool leaves;         ///< goes to the dispatcher if there is no code in place for it (world switches)
    u8 group;            ///< accesses that are one from here on; 0: the access belongs to a group that began before
  };
  std::vector<Step> steps;

  const Step& operator[](u32 index) const { return steps[index]; }
};

void plan_flow(const PlanInput& in, FlowPlan& plan);

constexpr bool is_load(ir::Op op) { return op == ir::Op::Load || op == ir::Op::Load64; }
constexpr bool is_store(ir::Op op) { return op == ir::Op::Store || op == ir::Op::Store64; }
constexpr bool is_access(ir::Op op) { return is_load(op) || is_store(op); }
constexpr bool is_skip(ir::Op op) { return op == ir::Op::SkipIf || op == ir::Op::SkipUnless; }
/// Of a load or store, in bytes.
constexpr u32 access_size(const ir::Inst& i) {
  return i.op == ir::Op::Load64 || i.op == ir::Op::Store64 ? 8u : u32{i.attr} & ir::MemAttr::size_mask;
}
/// Of the guest instruction that the one at `index` is of.
u32 insn_address(const ir::Block& block, u32 index);

}  // namespace armvisor::engine::jit
