#pragma once
// Registers of modes other than the current one, and SPSR (ARM DDI 0406C B1.3), without a call. Each goes to C++ where
// the current mode is FIQ, or where the register is one that the current mode sees.
#include "engine/jit/x64/traps.h"

namespace armvisor::engine::jit {

class BankEmitter {
 public:
  BankEmitter(Code& code, Position& at, Operands& operands, ColdPaths& cold, Traps& traps, const JitOptions& options)
      : code_(code), at_(at), operands_(operands), cold_(cold), traps_(traps), options_(options) {}

  /// ReadModeReg, ReadSpsr, WriteSpsr, and WriteModeReg with those of the same mode that follow at once:
  /// Position::index is at the last of them afterwards. False: there is no code for it here.
  bool emit(const ir::Inst& i);

 private:
  void load_bank(const ScratchEcx& ecx, Label slow);
  bool read(const ir::Inst& i);
  bool write(const ir::Inst& first);
  void spsr(const ir::Inst& i);

  Code& code_;
  Position& at_;
  Operands& operands_;
  ColdPaths& cold_;
  Traps& traps_;
  const JitOptions& options_;
};

}  // namespace armvisor::engine::jit
