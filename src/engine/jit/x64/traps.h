#pragma once
// Operations that are not done in place: calls of C++ (Service::Helper and Service::Trap), and world switches, for
// which all of the guest's state goes to the context and the code cache is left until Backend::resume, or for good.
// Also the counters of those that are done in place and would trap otherwise.
//
// By then all values are out of the xmm registers (XmmRegisters::spill), and no scratch register is owned.
#include "engine/jit/x64/exits.h"
#include "engine/jit/x64/flag_emitter.h"

namespace armvisor::engine::jit {

class Traps {
 public:
  Traps(Code& code, const Position& at, ColdPaths& cold, Calls& calls, FlagEmitter& flags, Exits& exits,
        const Stubs& stubs, const JitOptions& options)
      : code_(code),
        at_(at),
        cold_(cold),
        calls_(calls),
        flags_(flags),
        exits_(exits),
        stubs_(stubs),
        options_(options) {}

  /// There may be code in place for the operation at `index`, of which `option` is the choice. Where the choice is
  /// world switches, none is made for what stands before another trap of its instruction.
  bool may_do_in_place(u32 index, bool option) const {
    return option || (options_.world_switches && !at_.plan.flow[index].leaves);
  }
  /// The operation at hand.
  void emit(const ir::Inst& i);
  /// Likewise by the dispatcher. Where the block ends with it, the dispatcher goes on by itself.
  void emit_world_switch(const ir::Inst& i);
  /// A cold path at `slow` does so, for code in place that does the common case, and goes on at `back`.
  void emit_behind(const ir::Inst& i, Label slow, Label back);
  /// Counts the operation at `index`, unless it is on the way to another that stands for the instruction. Changes the
  /// host's flags.
  void count(measure::Counter c, u32 index);
  void count(measure::Counter c) { count(c, at_.index); }

 private:
  Code& code_;
  const Position& at_;
  ColdPaths& cold_;
  Calls& calls_;
  FlagEmitter& flags_;
  Exits& exits_;
  const Stubs& stubs_;
  const JitOptions& options_;
};

}  // namespace armvisor::engine::jit
