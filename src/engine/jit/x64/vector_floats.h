#pragma once
// Advanced SIMD on AVX: single precision under StandardFPSCRValue (A2.7.8), with round-to-nearest the only mode. The
// host computes without flushing, so operands and results for which that shows go to the reference function: denormal
// operands before the host's flags can be touched, NaN and denormal results after. Products cannot be small when the
// operands are not, and small sums are exact, so that no flag is set that would have to be taken back.
#include <initializer_list>

#include "engine/jit/x64/vector_code.h"

namespace armvisor::engine::jit {

class VectorFloats {
 public:
  VectorFloats(Code& code, XmmRegisters& xmm, ColdPaths& cold) : code_(code), xmm_(xmm), cold_(cold) {}

  /// Jumps to `slow` where the reference function is to do it.
  void emit(ir::VecOp op, const VectorCode& v, Label slow);
  /// Behind it: what is known of the result.
  void note_normal(ir::VecOp op, const VectorCode& v);

 private:
  using Xmm = Xbyak::Xmm;
  using VecOp = ir::VecOp;

  void magnitude(const Xmm& t, const Xmm& x);
  void jump_unless_all(const Xmm& x, Label to);
  void jump_if_any(const Xmm& x, Label to);
  void check_operands(std::initializer_list<Xmm> operands, u32 least, Label slow);
  void check_numbers(const Xmm& x, Label slow);
  void check_normal(const Xmm& x, Label slow);
  void pairwise(VecOp op, const VectorCode& v, Label slow);
  void step(VecOp op, const VectorCode& v, Label slow);
  void to_fixed(VecOp op, const VectorCode& v, Label slow);
  void extreme(bool max, const Xmm& d, const Xmm& a, const Xmm& b, Label slow);

  Code& code_;
  XmmRegisters& xmm_;
  ColdPaths& cold_;
};

}  // namespace armvisor::engine::jit
