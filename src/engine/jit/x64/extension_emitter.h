#pragma once
// Moves between temps, extension registers and halves of vectors, most of which come to nothing: a host register is known
// to hold both.
#include "engine/jit/x64/xmm_registers.h"

namespace armvisor::engine::jit {

class ExtensionEmitter {
 public:
  /// `keeps_copies`: extension registers that were moved are remembered (JitOptions::xmm_cache). `avx`: the host has it.
  ExtensionEmitter(Code& code, const Position& at, Operands& operands, XmmRegisters& xmm, bool keeps_copies, bool avx)
      : code_(code), at_(at), operands_(operands), xmm_(xmm), keeps_copies_(keeps_copies), avx_(avx) {}

  void emit_get(const ir::Inst& i);   ///< GetS to GetQ
  void emit_set(const ir::Inst& i);   ///< SetS to SetQ
  void emit_half(const ir::Inst& i);  ///< VLo, VHi, MovV
  void emit_pack(const ir::Inst& i);  ///< VPack, and Mov and Mov64 of a constant to an xmm register

 private:
  void get_unit(const ir::Inst& i, u32 unit);
  void set_unit(const ir::Inst& i, u32 unit);
  bool get_pair(const ir::Inst& i);
  void set_quad(const ir::Inst& i, u32 temp);
  void constant(const ir::Inst& i);

  Code& code_;
  const Position& at_;
  Operands& operands_;
  XmmRegisters& xmm_;
  const bool keeps_copies_, avx_;
};

}  // namespace armvisor::engine::jit
