#pragma once
// Follows flags that come to a head with control, on to where they are overwritten. Part of plan_flags().
#include <algorithm>
#include <utility>
#include <vector>

#include "engine/jit/x64/plan/region_plan.h"

namespace armvisor::engine::jit {

class HeadWalk {
 public:
  HeadWalk(const ir::Block& block, const FlowPlan& flow, const FlagPlan& flags, const RegionPlan& region)
      : insts_(block.insts), flow_(flow), flags_(flags), region_(region) {}

  /// From `head` on, through other heads too. Calls f(instruction, guest registers changed since, what is left of the
  /// flags) wherever they could be looked at; false when it says so, or when they are wanted in their place on the way.
  /// `passed`: the ways between heads.
  template <class F>
  bool from(u32 head, u8 mask, F f, std::vector<Pass>& passed) const {
    std::vector<State> states = {{head, 0, mask}};
    bool grown = true;
    const auto pass = [&](u32 at, u32 to, u16 changed, u8 left) {
      if ((left &= region_.heads[to].live) == 0) return true;
      const auto same_way = [at](const auto& way) { return way.skip == at; };
      if (std::any_of(region_.edges.begin(), region_.edges.end(), same_way)) return false;
      if (std::none_of(passed.begin(), passed.end(), same_way)) passed.push_back({at, to});
      for (State& s : states)
        if (s.head == to) {
          grown |= (changed & ~s.changed) || (left & ~s.mask);
          s.changed |= changed;
          s.mask |= left;
          return true;
        }
      grown = true;
      states.push_back({to, changed, left});
      return states.size() <= RegionPlan::k_max_passed;
    };
    const auto anywhere = [](u32, u16, u8) { return true; };
    while (std::exchange(grown, false))
      for (std::size_t n = 0; n < states.size(); ++n)
        if (!through_block(states[n], anywhere, pass)) return false;
    const auto nowhere = [](u32, u32, u16, u8) { return true; };
    return std::all_of(states.begin(), states.end(), [&](const State& s) { return through_block(s, f, nowhere); });
  }

 private:
  struct State {
    u32 head;
    u16 changed;
    u8 mask;
  };

  /// To the next heads. `pass(instruction, head, changed, flags)` goes on there.
  template <class F, class P>
  bool through_block(State s, F f, P pass) const {
    const auto write = [&](ir::Value v) {
      if (v.is_reg()) s.changed |= static_cast<u16>(1u << v.reg_number());
    };
    const auto look = [&](u32 at) { return f(at, s.changed, s.mask); };
    const auto go_on = [&](u32 at, u32 to) {  // an interrupt may be taken on a way back
      return (region_.heads[to].at > at || look(at)) && pass(at, to, s.changed, s.mask);
    };
    for (u32 k = region_.heads[s.head].at + 1; k < insts_.size(); ++k) {
      const ir::Inst& i = insts_[k];
      const u8 effects = ir::info(i.op).effects;
      const auto reads = [&] { return flags_read(i, flow_[k], flags_[k]) & s.mask; };
      if (i.op == ir::Op::Insn) continue;
      if (!flow_[k].in_place) return false;
      if (i.op == ir::Op::Goto) return go_on(k, static_cast<u32>(i.imm));
      if (is_fp_compare(i.op) && !look(k)) return false;
      if (is_skip(i.op)) {
        if (!flow_[k].side_exit || (i.op == ir::Op::SkipUnless && reads())) return false;
        const ir::Inst& exit = insts_[k + 1];
        if (exit.op == ir::Op::Goto ? !go_on(k, static_cast<u32>(exit.imm)) : !look(k)) return false;
        k += 2;
        continue;
      }
      if (is_access(i.op)) {
        if (!look(k)) return false;
        const u32 count = flow_[k].group;
        for (u32 j = 0; j < count; ++j) write(insts_[k + j].dst);
        k += count - 1;
        continue;
      }
      if (effects & ir::Effect::Exit) return look(k);
      if (effects & (ir::Effect::Mem | ir::Effect::Trap)) return false;
      if ((effects & ir::Effect::FlagsR) && reads()) return false;
      if (writes_flags(i.op) && (s.mask &= static_cast<u8>(~ir::flags_written(i))) == 0) return true;
      write(i.dst);
    }
    return false;
  }

  const std::vector<ir::Inst>& insts_;
  const FlowPlan& flow_;
  const FlagPlan& flags_;
  const RegionPlan& region_;
};

}  // namespace armvisor::engine::jit
