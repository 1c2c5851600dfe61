#pragma once
// Which values are in xmm registers: temps, and the extension registers that a region keeps there.
//
// A temp that is in_xmm never is in a general register. In which xmm register it is, and whether it had to make room
// for another, is found while code is emitted (XmmCache); its place in the frame is right where it is `stored`. A unit
// is at its home at every head; no unit is part of another.
#include <array>
#include <optional>
#include <vector>

#include "engine/jit/x64/plan/flow_plan.h"

namespace armvisor::engine::jit {

struct RegisterPlan;

struct XmmTemp {
  bool in_xmm = false;  ///< never in a general register; in an xmm register when it can be
  bool stored = false;  ///< has its slot in the frame, too: used by C++ or where control flow has joined
  bool wide = false;    ///< bits 127:64 are looked at
  ir::Type type = ir::Type::V;
  int def = -1, last = -1;  ///< instructions
};

/// An extension register that a region keeps in host registers, or several that it also uses as one.
struct Unit {
  u32 first, words;  ///< words of the extension registers
  int home;          ///< where it is at every head
  bool written;
};

struct XmmPlan {
  /// How a load gets to an xmm register. Two neighbouring doublewords that become the halves of a Q register, and
  /// nothing else, are one load.
  enum class Load : u8 { No, Alone, Pair, HighOfPair };
  static constexpr int k_not_set = -1, k_set_with_next = -2;
  static constexpr u32 k_most_units = 9, k_last_register = 15;
  /// One IR instruction.
  struct Step {
    Load load = Load::No;
    bool spread = false;      ///< a VGetLane that the VDup behind it does, too
    bool read_again = false;  ///< a move to an extension register that a move to an xmm register reads soon
    bool get_pair = false;    ///< this GetD and the next are halves of a Q register, for one pair of stores alone
    s8 unit = -1;             ///< the result is moved to this unit before anything can look at that
    int set = k_not_set;      ///< of a SetD: the temp that has both it and the SetD before, or k_set_with_next
  };
  std::vector<XmmTemp> temps;
  std::vector<Step> steps;
  std::vector<Unit> units;
  std::array<s8, 64> unit_at_word{};  ///< valid if there are units

  bool holds(ir::Value v) const { return v.is_temp() && temps[v.temp_number()].in_xmm; }
  int unit_of(const ir::Inst& i) const;  ///< that a move from or to an extension register is of, or -1
};

/// First the temps, on which the general registers depend, then the rest.
void plan_xmm_temps(const PlanInput& in, const FlowPlan& flow, XmmPlan& plan);
void plan_xmm(const PlanInput& in, const FlowPlan& flow, const RegisterPlan& registers, XmmPlan& plan);

/// Words of the extension registers that a move reads or writes.
struct Words {
  u32 first, count;
};
Words words_of(const ir::Inst& i);
constexpr bool is_get(ir::Op op) {
  return op == ir::Op::GetS || op == ir::Op::GetD || op == ir::Op::GetVD || op == ir::Op::GetQ;
}
constexpr bool is_set(ir::Op op) {
  return op == ir::Op::SetS || op == ir::Op::SetD || op == ir::Op::SetVD || op == ir::Op::SetQ;
}
/// The indices of a VTBL, when they are constant.
std::optional<u64> fixed_indices(const ir::Block& block, const XmmPlan& plan, const ir::Inst& i);

}  // namespace armvisor::engine::jit
