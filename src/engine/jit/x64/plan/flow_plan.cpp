#include "engine/jit/x64/plan/flow_plan.h"

#include <algorithm>

#include "arm/psr.h"
#include "base/assert.h"
#include "engine/jit/x64/plan/in_place.h"
#include "frontend/translate.h"
#include "ir/access.h"

namespace armvisor::engine::jit {
namespace {

using ir::Inst;
using ir::Op;

/// What world switches are for. What User mode may do is not.
bool is_sensitive(Op op) {
  switch (op) {
    case Op::ReadCpsr:
    case Op::WriteCpsr:
    case Op::ReadSpsr:
    case Op::WriteSpsr:
    case Op::ReadModeReg:
    case Op::WriteModeReg:
    case Op::ReadSys:
    case Op::ReadSys64:
    case Op::WriteSys:
    case Op::WriteSys64:
    case Op::ReadFpexc:
    case Op::WriteFpexc:
    case Op::ExitReturn: return true;
    default: return false;
  }
}

/// The operation at `index` is sensitive, and the last of its instruction that is.
bool precedes_trap(const std::vector<Inst>& insts, u32 index) {
  for (u32 k = index + 1; k < insts.size() && insts[k].op != Op::Insn; ++k)
    if (is_sensitive(insts[k].op)) return true;
  return false;
}

bool is_side_exit(const std::vector<Inst>& insts, u32 index) {
  if (index + 2 >= insts.size()) return false;
  const Inst& skip = insts[index];
  const bool may =
      skip.op == Op::SkipIf || (skip.op == Op::SkipUnless && static_cast<arm::Cond>(skip.attr) < arm::Cond::AL);
  const Op exit = insts[index + 1].op;
  const Inst& label = insts[index + 2];
  return may && (exit == Op::ExitJump || exit == Op::Goto) && label.op == Op::Label && label.imm == skip.imm;
}

u32 group_length(const std::vector<Inst>& insts, u32 index) {
  constexpr u8 k_special = ir::MemAttr::unprivileged | ir::MemAttr::big;
  constexpr u32 k_most = 32;
  const Inst& first = insts[index];
  if (first.a.is_imm() || (first.attr & k_special)) return 1;
  u32 count = 1, end = first.disp + access_size(first);
  while (index + count < insts.size() && count < k_most) {
    const Inst& i = insts[index + count];
    if (!is_access(i.op) || is_store(i.op) != is_store(first.op) || access_size(i) != access_size(first) ||
        i.a != first.a || i.disp != end || (i.attr & k_special) || ((i.moves ^ first.moves) & ir::Moves::disp) ||
        insts[index + count - 1].dst == first.a)
      break;
    const u32 alignment = ir::access_of(i).alignment;
    if (alignment != 1 && alignment != ir::access_of(first).alignment) break;
    end = i.disp + access_size(i);
    ++count;
  }
  return count;
}

}  // namespace

u32 insn_address(const ir::Block& block, u32 index) {
  while (index > 0 && block.insts[index].op != Op::Insn) --index;
  return static_cast<u32>(block.insts[index].imm);
}

void plan_flow(const PlanInput& in, FlowPlan& plan) {
  const auto& insts = in.block.insts;
  const auto count = static_cast<u32>(insts.size());
  const InPlace in_place(in);
  const bool traps = in.options.world_switches && frontend::Context::privileged_of(in.key);
  plan.steps.assign(count, {});
  u32 group_end = 0, skipped_until = 0;
  for (u32 k = 0; k < count; ++k) {
    const Inst& i = insts[k];
    FlowPlan::Step& step = plan.steps[k];
    if (is_sensitive(i.op)) {
      step.precedes_trap = precedes_trap(insts, k);
      step.leaves = traps && !step.precedes_trap;
    }
    step.in_place = in_place(i, step.leaves);
    if (is_access(i.op) && k >= group_end) {
      step.group = static_cast<u8>(in.options.group_accesses ? group_length(insts, k) : 1);
      group_end = k + step.group;
    }
    if (i.op == Op::Head) skipped_until = 0;
    if (is_skip(i.op)) {
      step.side_exit = in.options.side_exits && is_side_exit(insts, k);
      if (!step.side_exit)
        for (u32 j = k + 1; j < count && !(insts[j].op == Op::Label && insts[j].imm == i.imm); ++j)
          skipped_until = std::max(skipped_until, j);
    }
    step.conditional = k <= skipped_until && skipped_until != 0;
  }
}

}  // namespace armvisor::engine::jit
