#pragma once
// Advanced SIMD on AVX: integers, bits and permutations.
#include "engine/jit/x64/vector_code.h"

namespace armvisor::engine::jit {

class VectorIntegers {
 public:
  VectorIntegers(Code& code, XmmRegisters& xmm, ColdPaths& cold) : code_(code), xmm_(xmm), cold_(cold) {}

  void emit(ir::VecOp op, const VectorCode& v);

 private:
  using Xmm = Xbyak::Xmm;
  using VecOp = ir::VecOp;

  void note_saturation_unless(const Xmm& x);
  void invert(const Xmm& d, const Xmm& a);
  void bits(VecOp op, const VectorCode& v);
  void multiply(const Xmm& d, const VectorCode& v, const Xmm& t);
  void arithmetic(VecOp op, const VectorCode& v);
  void shift_right(const Xmm& d, const Xmm& a, unsigned size, u32 n, bool is_signed);
  void shift_left(const Xmm& d, const Xmm& a, unsigned size, u32 n);
  void shift_right_rounded(const Xmm& d, const Xmm& a, unsigned size, u32 n, bool is_signed);
  void halving(VecOp op, const VectorCode& v);
  void saturating(VecOp op, const VectorCode& v);
  void compare(VecOp op, const VectorCode& v);
  void difference(const Xmm& d, const VectorCode& v, bool is_signed, const Xmm& t);
  void pairs(VecOp op, const VectorCode& v);
  void one(VecOp op, const VectorCode& v);
  void multiply_doubling(bool round, const VectorCode& v);
  void pairs_long(bool is_signed, const VectorCode& v);
  void shift(VecOp op, const VectorCode& v);
  void shift_words(const Xmm& d, const Xmm& a, const Xmm& n, bool is_signed, bool round);
  void shift_by_register(bool is_signed, bool round, const VectorCode& v);
  void narrow(VecOp op, const VectorCode& v);
  void saturate_narrow(const VectorCode& v, const Xmm& from, bool from_signed, bool to_signed);
  void widen(VecOp op, const VectorCode& v);
  void multiply_long(const VectorCode& v, bool is_signed, const ScratchXmm0& xmm0);
  void multiply_polynomials(const VectorCode& v, const ScratchXmm0& xmm0);
  void permute(VecOp op, const VectorCode& v);
  void table(const VectorCode& v);
  void table_fixed(const VectorCode& v, u64 indices);

  Code& code_;
  XmmRegisters& xmm_;
  ColdPaths& cold_;
};

}  // namespace armvisor::engine::jit
