#pragma once
// Shifts, rotations and the carry that comes out of them (ARM DDI 0406C A8.4.2).
#include "engine/jit/x64/cold_paths.h"
#include "engine/jit/x64/host_features.h"

namespace armvisor::engine::jit {

class ShiftEmitter {
 public:
  ShiftEmitter(Code& code, Operands& operands, ColdPaths& cold, const HostFeatures& host)
      : code_(code), operands_(operands), cold_(cold), host_(host) {}

  /// Shl to Ror, ShlReg to RorReg, Rrx, ShlCarry to RorCarry, Shl64 to Sar64.
  void emit(const ir::Inst& i);

 private:
  using Inst = ir::Inst;
  using Reg32 = Xbyak::Reg32;
  using Reg64 = Xbyak::Reg64;
  void plain(const Inst& i);
  void by_register(const Inst& i);
  void large_to_zero(const Inst& i, const ScratchEax& eax, const ScratchEcx& ecx);
  void rotate_through_carry(const Inst& i);
  void carry(const Inst& i);
  void carry_by_register(const Inst& i);
  void of_64_bits(const Inst& i);

  Code& code_;
  Operands& operands_;
  ColdPaths& cold_;
  const HostFeatures& host_;
};

}  // namespace armvisor::engine::jit
