#pragma once
// Operands and results of IR instructions in general registers: where the plan has a value, and how it gets to where an
// instruction wants it. `scratch` is used for what is in memory or constant; what is in a register is used there.
#include "engine/jit/x64/code.h"
#include "engine/jit/x64/position.h"

namespace armvisor::engine::jit {

class Operands {
 public:
  using Inst = ir::Inst;
  using Value = ir::Value;
  using Reg32 = Xbyak::Reg32;
  using Reg64 = Xbyak::Reg64;

  Operands(Code& code, const Position& at) : code_(code), at_(at) {}

  u32 memory_offset(Value v) const;   ///< of a temp or guest register from the context
  int host_reg(Value v) const { return at_.plan.registers.host(v); }  ///< register number, or k_not_pinned: in memory
  bool aliases(Value v, const Reg32& r) const { return host_reg(v) == r.getIdx(); }

  /// The register that has v, an operand of i.
  Reg32 use(const Inst& i, Value v, const Reg32& scratch);
  Reg64 use64(const Inst& i, Value v, const Reg64& scratch);
  void load_to(const Inst& i, Value v, const Reg32& d);
  void load_to64(const Inst& i, Value v, const Reg64& d);
  /// Both operands, b first.
  void load_both(const Inst& i, const Reg32& a, const Reg32& b);

  /// The register in which the result had best come about.
  Reg32 target(Value dst, const Reg32& scratch) const;
  Reg64 target64(Value dst, const Reg64& scratch) const;
  /// The result is in r.
  void finish(Value dst, const Reg32& r);
  void finish64(Value dst, const Reg64& r);

 private:
  Code& code_;
  const Position& at_;
};

}  // namespace armvisor::engine::jit
