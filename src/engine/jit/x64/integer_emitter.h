#pragma once
// Integer arithmetic, shifts, bit fields and 64-bit values in general registers. A result comes about in the register
// that the plan has it in unless an operand still needs that.
#include "engine/jit/x64/flag_emitter.h"
#include "engine/jit/x64/shift_emitter.h"

namespace armvisor::engine::jit {

class IntegerEmitter {
 public:
  IntegerEmitter(Code& code, const Position& at, Operands& operands, ColdPaths& cold, FlagEmitter& flags,
                 const HostFeatures& host)
      : code_(code), at_(at), operands_(operands), flags_(flags), host_(host), shifts_(code, operands, cold, host) {}

  /// Operations on I32 and I64, with their flags, but for those of DspEmitter. Nothing is in an xmm register.
  void emit(const ir::Inst& i);

 private:
  using Inst = ir::Inst;
  using Reg32 = Xbyak::Reg32;
  using Reg64 = Xbyak::Reg64;
  void move(const Inst& i);
  void binary(const Inst& i);
  Reg32 arithmetic(const Inst& i, const ScratchEax& eax);
  void carry_to_host(const Inst& i);
  bool add_by_lea(const Inst& i);
  void and_not(const Inst& i);
  void multiply(const Inst& i);
  void multiply_high(const Inst& i);
  void divide(const Inst& i);
  void with_flags(const Inst& i);
  void select(const Inst& i);
  void compare(const Inst& i);
  void in_register(const Inst& i);
  void count_zeros(const Inst& i);
  void reverse_bits(const Inst& i);
  void extend(const Inst& i);
  void insert(const Inst& i);
  void extract(const Inst& i);
  void move64(const Inst& i);
  void arithmetic64(const Inst& i);

  Code& code_;
  const Position& at_;
  Operands& operands_;
  FlagEmitter& flags_;
  const HostFeatures& host_;
  ShiftEmitter shifts_;
};

}  // namespace armvisor::engine::jit
