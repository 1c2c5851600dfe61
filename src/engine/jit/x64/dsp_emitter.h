#pragma once
// Saturating and parallel arithmetic (ARM DDI 0406C A4.4.3 to A4.4.6) in general registers, bytes of four in xmm
// registers.
#include "engine/jit/x64/cold_paths.h"

namespace armvisor::engine::jit {

class DspEmitter {
 public:
  DspEmitter(Code& code, Operands& operands, ColdPaths& cold) : code_(code), operands_(operands), cold_(cold) {}

  void emit(const ir::Inst& i);

 private:
  void overflow(const ir::Inst& i);
  void saturating_sum(const ir::Inst& i);
  void saturate(const ir::Inst& i);
  void select(const ir::Inst& i);
  void parallel(const ir::Inst& i);

  Code& code_;
  Operands& operands_;
  ColdPaths& cold_;
};

}  // namespace armvisor::engine::jit
