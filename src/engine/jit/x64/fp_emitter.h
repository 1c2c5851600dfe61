#pragma once
// VFP arithmetic on SSE. The host's results and sticky flags (MXCSR, folded into FPSCR when that is read) are the
// architecture's when FPSCR asks for round-to-nearest without flush-to-zero and default NaN, which blocks are keyed by,
// and the result is an ordinary number or zero. What differs goes to the reference implementation: NaN choice and sign,
// and tininess, which ARM detects before rounding (A2.7.4) and x86 after: the results that round up to the smallest
// normal number. Sums that small are exact, and a square root is never small.
#include <optional>

#include "arm/cpu_state.h"
#include "engine/jit/x64/calls.h"
#include "engine/jit/x64/host_features.h"

namespace armvisor::engine::jit {

class FpEmitter {
 public:
  FpEmitter(Code& code, const Position& at, Operands& operands, XmmRegisters& xmm, ColdPaths& cold, Calls& calls,
            const HostFeatures& host)
      : code_(code), at_(at), operands_(operands), xmm_(xmm), cold_(cold), calls_(calls), host_(host) {}

  void begin_block() { compared_ = {}; }
  void emit(const ir::Inst& i);
  void emit_sign(const ir::Inst& i);
  /// The FpscrToFlags at hand has been emitted with the comparison before.
  bool stored_by_comparison() const { return compared_ && compared_->flags == at_.index; }
  /// Stores the flags `mask` as FPSCR has them. Changes ecx, edx.
  void store_flags(u8 mask);
  /// The host condition for `cond` when the flags are those of a comparison whose operands still stand: it is made again,
  /// in the order that tells.
  std::optional<u8> condition(arm::Cond cond);
  void forget_comparison() { compared_ = {}; }

 private:
  /// A comparison with an FpscrToFlags behind it.
  struct Compared {
    u32 flags;    ///< the FpscrToFlags
    u32 changes;  ///< XmmRegisters::changes() when the operands were there
    Xbyak::Xmm a, b;
    bool wide;
  };
  u32 next_op(u32 index) const;
  bool stands() const { return compared_ && compared_->changes == xmm_.changes(); }
  void check_ordinary(const Xbyak::Xmm& x, bool wide, Label slow);
  void check_number(const Xbyak::Xmm& x, bool wide, Label slow);
  Xbyak::Xmm compute(const ir::Inst& i, ir::Type type);
  void arithmetic(const ir::Inst& i, Label slow);
  void compare(const ir::Inst& i);
  void resize(const ir::Inst& i, Label slow);
  void to_int(const ir::Inst& i, Label slow);
  void to_signed(const ir::Inst& i, const ScratchEax& eax, const Xbyak::Xmm& a, Label slow);
  void to_unsigned(const ir::Inst& i, const ScratchEax& eax, const Xbyak::Xmm& a, Label slow);
  void from_int(const ir::Inst& i);

  Code& code_;
  const Position& at_;
  Operands& operands_;
  XmmRegisters& xmm_;
  ColdPaths& cold_;
  Calls& calls_;
  const HostFeatures& host_;
  std::optional<Compared> compared_;
};

}  // namespace armvisor::engine::jit
