#pragma once
// LDREX, STREX, CLREX, DMB and DSB without a call, as GuestMemory::load_exclusive and store_exclusive do it
// (exclusive.h). Only memory that may be written unseen is handled here, so a store need not look for code on the page.
#include "engine/jit/x64/host_features.h"
#include "engine/jit/x64/traps.h"

namespace armvisor::engine::jit {

class ExclusiveEmitter {
 public:
  ExclusiveEmitter(Code& code, const Position& at, Operands& operands, ColdPaths& cold, Traps& traps,
                   const HostFeatures& host, const JitOptions& options)
      : code_(code), at_(at), operands_(operands), cold_(cold), traps_(traps), host_(host), options_(options) {}

  /// LoadEx, LoadEx64, StoreEx, StoreEx64, ClearEx, Fence. False: there is no code for it here.
  bool emit(const ir::Inst& i);

 private:
  /// The scratch registers of one access. rax = its host address, rdx = its physical address, at first.
  struct Registers {
    const ScratchEax eax;
    const ScratchEcx ecx;
    const ScratchEdx edx;
  };
  bool access(const ir::Inst& i);
  void find(const ir::Inst& i, const Registers& r, Label slow);
  void load_slots(const Registers& r);
  void load(const ir::Inst& i, const Registers& r, Label slow);
  void store(const ir::Inst& i, const Registers& r, Label slow, Label back);
  void forget_mark();
  void fence(const ir::Inst& i);

  Code& code_;
  const Position& at_;
  Operands& operands_;
  ColdPaths& cold_;
  Traps& traps_;
  const HostFeatures& host_;
  const JitOptions& options_;
};

}  // namespace armvisor::engine::jit
