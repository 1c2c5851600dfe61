#pragma once
// Which condition flags are stored where they are made, and what is made anew where it is wanted.
//
// Nothing but an abort, an interrupt or an exit looks at most flags. As long as the operands of the instruction that
// made them stand, or its result, a cold path can make them again (Recovery), and so can a condition (Remake). What
// must hold: wherever the guest's flags may be looked at, each is in its place in the context or a Recovery of that
// place, or an Edge (RegionPlan), says what to make it from; and what it is made from has not been written since.
#include <vector>

#include "arm/psr.h"
#include "engine/jit/x64/plan/flow_plan.h"
#include "engine/jit/x64/plan/xmm_plan.h"
#include "ir/passes/flag_liveness.h"

namespace armvisor::engine::jit {

struct RegisterPlan;
struct RegionPlan;

/// How the host's flags stand to the guest's behind the code of an instruction.
enum class HostFlags : u8 { None, Add, Sub, Logic };
HostFlags flags_kind(const ir::Inst& i);
/// The host's condition code that says whether `cond` holds, if its flags say.
bool host_condition(HostFlags kind, arm::Cond cond, u8& cc);

/// Flags that the hot path does not store, and that the cold path of the instruction `at` makes from the operands or
/// the result of the instruction `source`.
struct Recovery {
  u32 at, source;
  u8 mask;
  bool from_result;
};

struct FlagPlan {
  /// One IR instruction.
  struct Step {
    u8 needed = ir::k_flags_all;  ///< of those that it makes: stored at once
    bool used_at_host = false;    ///< an instruction behind takes the host's flags as this one leaves them
    bool from_result = false;     ///< with `remake`: from its result, else from its operands
    s32 at_host = -1;             ///< whose host flags decide this condition, or have the carry that this one adds
    s32 remake = -1;              ///< the condition makes the flags that it tests anew, those of this instruction
  };
  std::vector<Step> steps;
  std::vector<Recovery> recovery;

  const Step& operator[](u32 index) const { return steps[index]; }
  bool recovers(u32 index) const;
};

void plan_flags(const PlanInput& in, const FlowPlan& flow, const RegisterPlan& registers, const XmmPlan& xmm,
                FlagPlan& plan, RegionPlan& region);

/// Of the flags in the context, what the instruction reads that `flow` and `flags` are of.
u8 flags_read(const ir::Inst& i, const FlowPlan::Step& flow, const FlagPlan::Step& flags);
inline bool writes_flags(ir::Op op) { return ir::info(op).effects & ir::Effect::FlagsW; }
constexpr bool is_fp_compare(ir::Op op) { return op == ir::Op::FCmp32 || op == ir::Op::FCmp64; }

}  // namespace armvisor::engine::jit
