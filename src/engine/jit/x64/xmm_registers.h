#pragma once
// The host's xmm registers from xmm3 on: which holds what at this point of the block (XmmCache), and how values get there
// and back. What holds a value of the current instruction is held: nothing else gets it before the next begin().
//
// The temps that the plan has in xmm registers make room for others when they have to, by way of their slots in the
// frame. A region's units are at home at every head; in between one is where its value came about. Those that are dirty
// must be stored before anything looks at the context or leaves the region.
#include <optional>
#include <vector>

#include "engine/jit/x64/operands.h"
#include "engine/jit/x64/xmm_cache.h"

namespace armvisor::engine::jit {

struct DirtyUnit {
  u32 unit;
  int x;
};

class XmmRegisters {
 public:
  using Value = ir::Value;
  using Xmm = Xbyak::Xmm;
  /// What has become of a temp that the plan has in an xmm register.
  struct State {
    ir::Type type;
    int last;
    int high_of = -1;      ///< the temp that it is the high half of
    bool spilled = false;  ///< has its slot in the frame, since its register was needed
  };

  XmmRegisters(Code& code, const Position& at, Operands& operands) : code_(code), at_(at), operands_(operands) {}

  XmmCache cache;
  State& state(Value v) { return states_[v.temp_number()]; }
  const State& state(Value v) const { return states_[v.temp_number()]; }
  const XmmTemp& temp(Value v) const { return at_.plan.xmm.temps[v.temp_number()]; }
  bool holds(Value v) const { return at_.plan.xmm.holds(v); }
  static bool is_scratch(const Xmm& x) { return x.getIdx() < static_cast<int>(XmmCache::k_first); }

  void begin_block();
  void begin();  ///< a new instruction: nothing is held, what was used for the last time is released
  /// Counts whatever moved values since the block's start.
  u32 changes() const { return changes_; }

  Xmm take();  ///< a register for something new
  Xmm hold(int x);
  /// The register that has v, an operand of i; `scratch` if that need not be remembered.
  Xmm use(const ir::Inst& i, Value v, ir::Type type, const Xmm& scratch);
  /// A register for the result of the instruction at `index`, none of the operands'.
  Xmm result(Value dst, u32 index);
  Xmm result(Value dst) { return result(dst, at_.index); }
  void finish(Value dst, const Xmm& x, ir::Type type);  ///< the result is in x
  void spill();                                         ///< before a call that does not keep xmm registers
  void move_to_frame(Value v, const Xmm& x, ir::Type type);
  void move_from_frame(Value v, const Xmm& x, ir::Type type);

  // Units.
  Xmm unit_register(u32 unit);
  void load_units();
  void store_unit(u32 unit, const Xmm& x);
  void place_units(bool leaving);  ///< to their homes; `leaving`: no temp is used any more on this way
  bool units_in_place() const;
  void set_dirty(u32 unit) { cache.set_dirty(cache.dirty() | 1u << unit); }
  std::vector<DirtyUnit> dirty_units() const;
  void store_dirty(const std::vector<DirtyUnit>& units);

  // Where control joins.
  void skip_to(u32 label);
  void label(u32 label);
  void head();         ///< of a region: units are at home, and those that are ever written may be dirty
  void unreachable();  ///< control does not go on from here

 private:
  const std::vector<Unit>& units() const { return at_.plan.xmm.units; }
  void free(u32 x);
  void load_unit(u32 unit, const Xmm& x);
  int home_of_result(u32 index) const;

  Code& code_;
  const Position& at_;
  Operands& operands_;
  std::vector<State> states_;  ///< by temp
  std::vector<std::optional<XmmCache>> at_label_;
  u32 held_ = 0, changes_ = 0;
  bool reached_ = true;
};

}  // namespace armvisor::engine::jit
