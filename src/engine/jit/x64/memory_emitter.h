#pragma once
// Loads and stores of guest memory: a hit in the software TLB, with one probe for neighbouring accesses, or by way of a
// host-MMU window, where an access is one host instruction; and the cold path of either, which asks C++.
//
// In a window the guest address is the host address, relative to the GS base. An access that faults there goes on in
// its cold path (window_faults.h), by way of the software TLB. Everything that the cold path needs must still stand
// when any host instruction of the group faults.
#include "engine/jit/window_sites.h"
#include "engine/jit/x64/flag_emitter.h"
#include "engine/jit/x64/host_features.h"
#include "engine/jit/x64/xmm_accesses.h"

namespace armvisor::engine::jit {

class MemoryEmitter {
 public:
  MemoryEmitter(Code& code, Position& at, Operands& operands, XmmRegisters& xmm, ColdPaths& cold, Calls& calls,
                FlagEmitter& flags, const HostFeatures& host, const JitOptions& options, const WindowSites& sites)
      : code_(code),
        at_(at),
        operands_(operands),
        cold_(cold),
        calls_(calls),
        flags_(flags),
        host_(host),
        options_(options),
        sites_(sites),
        accesses_(code, at, xmm) {}

  void begin_block();
  /// The accesses that the plan has as one from the instruction at hand on, which is the last of them afterwards.
  void emit();
  /// When all code is complete, a WindowTable of the accesses by window. Returns its offset; 0: there are none.
  std::size_t emit_window_table();

 private:
  using Inst = ir::Inst;
  using Reg32 = Xbyak::Reg32;
  using Reg64 = Xbyak::Reg64;
  using RegExp = Xbyak::RegExp;
  bool by_window() const;
  void by_tlb(u32 count);
  void in_window(u32 count);
  RegExp window_place(const Inst& first, const ScratchEax& eax, Label misaligned);
  void access(u32 index, const RegExp& at);
  void load(const Inst& i, const RegExp& at);
  void store(const Inst& i, const RegExp& at);
  void touch();
  void load_address(const Inst& i, const ScratchEax& eax);
  void call_for_each(u32 count, const ScratchEax& eax, bool window);
  void call(const Inst& i, const ScratchEax& eax, bool keep_xmm, bool window);

  Code& code_;
  Position& at_;
  Operands& operands_;
  ColdPaths& cold_;
  Calls& calls_;
  FlagEmitter& flags_;
  const HostFeatures& host_;
  const JitOptions& options_;
  const WindowSites& sites_;
  XmmAccesses accesses_;

  struct WindowAccess {
    std::size_t at, group;
  };
  std::vector<WindowAccess> window_accesses_;
  std::vector<std::size_t> window_colds_;  ///< by group, where its accesses go on when they fault
  bool in_window_ = false;                 ///< an access of the last group is being emitted
};

}  // namespace armvisor::engine::jit
