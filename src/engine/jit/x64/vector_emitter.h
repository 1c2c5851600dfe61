#pragma once
// Advanced SIMD in place, on hosts with AVX. What has no code here (InPlace) is a call of the reference function.
#include "engine/jit/x64/calls.h"
#include "engine/jit/x64/vector_floats.h"
#include "engine/jit/x64/vector_integers.h"

namespace armvisor::engine::jit {

class VectorEmitter {
 public:
  VectorEmitter(Code& code, const Position& at, Operands& operands, XmmRegisters& xmm, ColdPaths& cold, Calls& calls)
      : code_(code), at_(at), operands_(operands), xmm_(xmm), calls_(calls), integers_(code, xmm, cold),
        floats_(code, xmm, cold) {}

  void emit(const ir::Inst& i);       ///< Vector
  void emit_lane(const ir::Inst& i);  ///< VGetLane, VSetLane, VDup

 private:
  Xbyak::Xmm operand(ir::Value v, bool clear_high);
  void finish(const ir::Inst& i, const VectorCode& v);
  void get_lane(const ir::Inst& i);
  void set_lane(const ir::Inst& i);
  void spread(const ir::Inst& i);

  Code& code_;
  const Position& at_;
  Operands& operands_;
  XmmRegisters& xmm_;
  Calls& calls_;
  VectorIntegers integers_;
  VectorFloats floats_;
};

}  // namespace armvisor::engine::jit
