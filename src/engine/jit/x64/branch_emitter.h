#pragma once
// Control within the block and out of it: skips, labels, the heads of a region and the ways between them, and exits.
#include <optional>

#include "engine/jit/x64/traps.h"

namespace armvisor::engine::jit {

class BranchEmitter {
 public:
  BranchEmitter(Code& code, Position& at, Operands& operands, XmmRegisters& xmm, ColdPaths& cold, Calls& calls,
                FpEmitter& fp, FlagEmitter& flags, Exits& exits, Traps& traps, const Stubs& stubs,
                const JitOptions& options)
      : code_(code),
        at_(at),
        operands_(operands),
        xmm_(xmm),
        cold_(cold),
        calls_(calls),
        fp_(fp),
        flags_(flags),
        exits_(exits),
        traps_(traps),
        stubs_(stubs),
        options_(options) {}

  void begin_block();
  /// SkipIf, SkipUnless, Label, Head, Goto and all that leave the block. A skip that is a side exit is done with the
  /// exit behind it, where Position::index is afterwards.
  void emit(const ir::Inst& i);

 private:
  using Inst = ir::Inst;
  u8 skip_condition(const Inst& i);
  void skip(const Inst& i);
  void side_exit(const Inst& skip);
  void label(const Inst& i);
  void head(const Inst& i);
  void go_to(const Inst& go, u32 way, std::optional<u8> cc);
  void leave(const Inst& i);
  void go_on_at(const ScratchEax& eax);
  void indirect(const Inst& i);
  void sync(const Inst& i);
  bool exception_return(const Inst& i);
  void supervisor_call(const Inst& i);

  Code& code_;
  Position& at_;
  Operands& operands_;
  XmmRegisters& xmm_;
  ColdPaths& cold_;
  Calls& calls_;
  FpEmitter& fp_;
  FlagEmitter& flags_;
  Exits& exits_;
  Traps& traps_;
  const Stubs& stubs_;
  const JitOptions& options_;
  std::vector<Label> labels_, heads_;
};

}  // namespace armvisor::engine::jit
