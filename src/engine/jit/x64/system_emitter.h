#pragma once
// What only privileged code may do, or User mode within limits, without a call: the program status register, and system
// registers that are plain storage; DACR between two values whose views are at hand; the question for debug events.
// Each goes to C++ where more than the common case happens.
#include "engine/jit/x64/traps.h"

namespace armvisor::engine::jit {

class SystemEmitter {
 public:
  SystemEmitter(Code& code, const Position& at, Operands& operands, ColdPaths& cold, Traps& traps, Exits& exits,
                const JitOptions& options)
      : code_(code), at_(at), operands_(operands), cold_(cold), traps_(traps), exits_(exits), options_(options) {}

  /// ReadCpsr, WriteCpsr, ReadSys, WriteSys, ReadFpexc, NoDebugEvent. False: there is no code for it here.
  bool emit(const ir::Inst& i);

 private:
  using Inst = ir::Inst;
  bool is_privileged() const;
  bool read_sys(const Inst& i);
  bool write_sys(const Inst& i);
  bool write_dacr(const Inst& i);
  bool read_cpsr(const Inst& i);
  bool write_cpsr(const Inst& i);
  void go_on_unless_interrupted();
  bool read_fpexc(const Inst& i);
  void no_debug_event(const Inst& i);

  Code& code_;
  const Position& at_;
  Operands& operands_;
  ColdPaths& cold_;
  Traps& traps_;
  Exits& exits_;
  const JitOptions& options_;
};

}  // namespace armvisor::engine::jit
