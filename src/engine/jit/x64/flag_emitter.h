#pragma once
// The guest's condition flags: stored where they are made, made anew where the plan left that out, and tested.
//
// N, Z, C and V are bytes in the context, of which FlagPlan says which are stored; the host's flags stand for them as
// long as the plan says so (FlagPlan::Step::at_host). In a cold path recover() comes before anything may look at the
// context, and go_to_head() on each way from one block of a region to another.
#include "arm/psr.h"
#include "engine/jit/x64/fp_emitter.h"

namespace armvisor::engine::jit {

class FlagEmitter {
 public:
  /// `fuse_compare`: see JitOptions.
  FlagEmitter(Code& code, const Position& at, Operands& operands, FpEmitter& fp, bool fuse_compare)
      : code_(code), at_(at), operands_(operands), fp_(fp), fuse_compare_(fuse_compare) {}

  void begin_block() { nz_ = {}; }
  /// SetNZ, SetNZ64, SetC, SetNZCV, GetC, OrQ, CondValue, FpscrToFlags.
  void emit(const ir::Inst& i);
  /// The host's flags are as the arithmetic of i sets them, and stay so: what the plan wants in the context goes there.
  void store_needed(const ir::Inst& i);
  /// Behind the instruction at hand the host's SF and ZF are those of `v`, a result.
  void note_host_nz(ir::Value v) { nz_ = {at_.index, v}; }
  /// The host condition that says whether `cond` holds, which the instruction at hand looks at. Changes any scratch
  /// register.
  u8 condition(arm::Cond cond);
  /// Flags that the plan leaves to the cold path of the instruction `index` are in the context afterwards. Changes ecx
  /// and edx.
  void recover(u32 index);
  /// Stores what code behind `head` must find of flags when control comes the way that begins at `skip`. Changes ecx
  /// and edx.
  void go_to_head(u32 skip, u32 head);

 private:
  struct HostNz {
    u32 index = 0;  ///< behind this instruction
    ir::Value of;
  };
  void store(u8 mask, HostFlags kind);
  void set_nz(const ir::Inst& i);
  void set_c(const ir::Inst& i);
  void set_all(const ir::Inst& i);
  void or_q(const ir::Inst& i);
  void condition_value(const ir::Inst& i);
  bool host_has_nz_of(ir::Value v) const;
  u8 test_stored(arm::Cond cond);
  void make(u32 source, u8 mask, bool from_result);
  void make_saved(u32 source, u8 mask);
  void make_host_flags(u32 source, bool from_result, bool nz_only);

  Code& code_;
  const Position& at_;
  Operands& operands_;
  FpEmitter& fp_;
  const bool fuse_compare_;
  HostNz nz_;
};

}  // namespace armvisor::engine::jit
