#pragma once
// Which operations have code of their own. For all others generated code calls a function in C++ (Service::Helper), or
// leaves for the dispatcher; before that, Emitter::emit_in_part looks whether the common case can be done without.
#include "engine/jit/x64/plan/input.h"

namespace armvisor::engine::jit {

class InPlace {
 public:
  explicit InPlace(const PlanInput& in);
  /// `leaves`: the operation goes to the dispatcher if there is no code for it (FlowPlan::Step::leaves).
  bool operator()(const ir::Inst& i, bool leaves) const;

 private:
  bool dsp(const ir::Inst& i) const;
  bool fp(const ir::Inst& i) const;
  bool vector(const ir::Inst& i) const;
  bool vector_fp(const ir::Inst& i) const;

  const HostFeatures& host_;
  const JitOptions& options_;
  bool fp_default_;  ///< FPSCR asks for nothing unusual throughout the block
};

/// VFP arithmetic, conversions and comparisons.
constexpr bool is_fp(ir::Op op) { return op >= ir::Op::FAdd32 && op <= ir::Op::FixedToF64; }

}  // namespace armvisor::engine::jit
