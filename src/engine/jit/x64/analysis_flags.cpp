// Which flags are stored where they are made, and what is made anew where it is wanted.
//
// Nothing but an abort, an interrupt or an exit looks at most flags. As long as the operands of the instruction that
// made them stand, or its result, a cold path can make them again (Recovery), and so can a condition (Remake).
#include <algorithm>
#include <utility>

#include "engine/jit/x64/emitter.h"
#include "ir/passes/flag_liveness.h"

namespace armvisor::engine::jit {
namespace {

using ir::Effect;
using ir::k_flag_c;
using ir::k_flags_all;

bool writes_flags(ir::Op op) { return ir::info(op).effects & Effect::FlagsW; }
bool is_fp_compare(ir::Op op) { return op == ir::Op::FCmp32 || op == ir::Op::FCmp64; }
bool is_plain(ir::Value v) { return v.is_reg() || v.is_imm() || v.is_none(); }

}  // namespace

u8 Emitter::flags_read(const Inst& i) const {
  if (!runs_inline(i)) return k_flags_all;
  if (i.op == Op::SkipUnless) return ir::flags_read_by(i.attr);
  if (i.op == Op::CondValue) return ir::flags_read_by(static_cast<u8>(i.imm));
  return carry_at_host(static_cast<u32>(&i - block_->insts.data())) >= 0 ? u8{0} : k_flag_c;
}

/// One pass backwards, by what is known of heads so far. True: it learned something of them, so go again.
bool Emitter::flow_flags(std::vector<u8>& live_after) {
  const auto& insts = block_->insts;
  std::vector<u8> at_label(block_->label_count, 0);
  u8 live = k_flags_all;
  bool changed = false;
  for (u32 k = static_cast<u32>(insts.size()); k-- > 0;) {
    const Inst& i = insts[k];
    const u8 effects = ir::info(i.op).effects;
    live_after[k] = live;
    if (i.op == Op::Goto) {
      live = live_at_head_[i.imm];
    } else if (i.op == Op::Head) {
      changed |= live != live_at_head_[i.imm];
      live_at_head_[i.imm] = live;
    } else if (effects & (Effect::Exit | Effect::Mem | Effect::Trap)) {
      live = k_flags_all;
    } else if (i.op == Op::Label) {
      at_label[i.imm] = live;
    } else {
      if (i.op == Op::SkipIf || i.op == Op::SkipUnless) live |= at_label[i.imm];
      if (writes_flags(i.op) && runs_inline(i)) live &= static_cast<u8>(~ir::flags_written(i));
      if (effects & Effect::FlagsR) live |= flags_read(i);
    }
  }
  return changed;
}

void Emitter::analyse_flags() {
  const auto& insts = block_->insts;
  const u32 count = static_cast<u32>(insts.size());
  flags_needed_.assign(count, k_flags_all);
  recovery_.clear();
  edges_.clear();
  edge_stores_.clear();
  remake_.assign(count, {});
  at_host_.assign(count, -1);
  used_at_host_.assign(count, false);
  for (u32 k = 0; k < count; ++k) {
    at_host_[k] = find_flags_at_host(k);
    for (const int source : {at_host_[k], carry_at_host(k)})
      if (source >= 0) used_at_host_[static_cast<u32>(source)] = true;
  }
  std::vector<u8> live_after(count, k_flags_all);
  live_at_head_.assign(block_->head_count, 0);
  while (flow_flags(live_after)) {
  }
  for (u32 k = 0; k < count; ++k) {
    if (!writes_flags(insts[k].op) || !runs_inline(insts[k])) continue;
    const u8 made = insts[k].op == Op::FpscrToFlags ? k_flags_all : insts[k].attr;
    flags_needed_[k] = options_.dead_flags ? (made & live_after[k]) : made;
    if (options_.lazy_flags && !plan_.flow[k].conditional && flags_needed_[k] != 0) plan_flags(k);
  }
  find_dead();
}

/// What the flags of the instruction at `index` could be made from behind it.
Emitter::FlagSource Emitter::flag_source(u32 index) const {
  const auto& insts = block_->insts;
  const Inst& f = insts[index];
  FlagSource s;
  if (f.op == Op::FpscrToFlags) return {{}, {}, {}, follows_compare(index), false};
  if (f.op == Op::SetC) {
    if (f.a.is_imm()) return {{}, {}, {}, true, false};
    if (!f.a.is_temp()) return s;
    const auto def = static_cast<u32>(plan_.registers.temps[f.a.temp_number()].def);
    const Inst& bit = insts[def];
    if (bit.op != Op::UBfx || bit.imm >> 8 != 1 || !bit.a.is_reg()) return s;
    s = {bit.a, {}, {}, true, false};
    for (u32 k = def; k < index; ++k) {
      if (insts[k].op == Op::Label) return {};
      s.write(insts[k].dst);
    }
    return s;
  }
  if ((f.op != Op::AddF && f.op != Op::SubF && f.op != Op::SetNZ) || !is_plain(f.a) || !is_plain(f.b)) return s;
  if (f.op == Op::SetNZ) return {f.a, {}, {}, true, false};
  if (!is_plain(f.dst)) return s;
  return {f.a, f.b, f.dst, f.dst.is_none() || (f.dst != f.a && f.dst != f.b), f.dst.is_reg() && f.dst != f.b};
}

/// Follows the flags that the instruction at `index` makes to wherever something could look at them.
void Emitter::plan_flags(u32 index) {
  const auto& insts = block_->insts;
  FlagSource s = flag_source(index);
  if (!s.operands && !s.result) return;
  u8 left = flags_needed_[index], hot = 0;  // not yet overwritten; to be stored at once
  std::vector<Recovery> points, stores;
  std::vector<Edge> edges;
  const auto defer = [&](u32 k) {
    if (!s.operands && !s.result)
      hot |= left;
    else if (left)
      points.push_back({k, index, left, !s.operands});
  };
  const auto want = [&](u32 k) {  // a condition
    const u8 cond = insts[k].op == Op::CondValue ? static_cast<u8>(insts[k].imm) : insts[k].attr;
    const u8 read = ir::flags_read_by(cond);
    if (!(read & left) || at_host_[k] >= 0) return;
    if (insts[index].op == Op::FpscrToFlags && (read & ~left) == 0 && fp_decides(index, k)) return;
    u8 cc = 0;
    const bool one_source =
        (read & ~left) == 0 && host_condition(flags_kind(insts[index]), static_cast<arm::Cond>(cond), cc);
    if (one_source && (s.operands || s.result))
      remake_[k] = {static_cast<int>(index), !s.operands};
    else
      hot |= read & left;
  };
  const auto follow = [&](u32 k, u32 head) {
    if (head_at_[head] <= k) defer(k);  // an interrupt may be taken there
    left &= live_at_head_[head];
    if (!left || (hot & left) == left) return;
    Edge edge{.skip = k, .head = head, .source = index, .points = {}, .passed = {}};
    const auto point = [&](u32 at, u16 changed, u8 mask) {
      if (is_fp_compare(insts[at].op)) return insts[index].op != Op::FpscrToFlags;
      FlagSource there = s;
      for (u32 n = 0; n < 15; ++n)
        if (changed >> n & 1) there.write(Value::reg(n));
      edge.points.push_back({at, mask, !there.operands});
      return there.operands || there.result;
    };
    const auto saved_point = [&](u32 at, u16, u8 mask) {
      if (!is_fp_compare(insts[at].op)) edge.points.push_back({at, mask, false});
      return true;
    };
    const bool all = options_.lazy_edges && edges_.size() + edges.size() < k_max_edges && !passes(k);
    const auto same_way = [k](const Edge& e) { return e.saved && e.skip == k; };
    const bool may_save = s.operands && flags_kind(insts[index]) != HostFlags::None &&
                          std::none_of(edges_.begin(), edges_.end(), same_way);
    bool lazy = all && walk_from_head(head, left, point, edge.passed);
    if (!lazy && all && may_save) {
      edge.points.clear();
      edge.passed.clear();
      lazy = edge.saved = walk_from_head(head, left, saved_point, edge.passed);
    }
    if (!lazy) {
      if (options_.lazy_edges && (s.operands || s.result))
        stores.push_back({k, index, left, !s.operands});
      else
        hot |= left;
    } else if (!edge.points.empty()) {
      edges.push_back(std::move(edge));
    }
  };
  // What stands where control joins: skips leave it as it is at them, for their labels.
  std::vector<std::pair<u64, FlagSource>> at_labels;
  bool reached = true;
  for (u32 k = index + 1; k < insts.size() && (left & ~hot); ++k) {
    const Inst& i = insts[k];
    const u8 effects = ir::info(i.op).effects;
    if (i.op == Op::Head) break;
    if (i.op == Op::Label) {
      for (const auto& [label, there] : at_labels) {
        if (label != i.imm) continue;
        s.operands = there.operands && (!reached || s.operands);
        s.result = there.result && (!reached || s.result);
        reached = true;
      }
      continue;
    }
    if (i.op == Op::Goto) {
      const u8 behind = left;
      follow(k, static_cast<u32>(i.imm));
      if (!plan_.flow[k].conditional) break;
      left = behind;  // where a skip leads around it, they may still be looked at
      continue;
    }
    if (plan_.flow[k].side_exit) {
      if (i.op == Op::SkipUnless) want(k);
      if (insts[k + 1].op == Op::Goto) {
        const u8 behind = left;
        follow(k, static_cast<u32>(insts[k + 1].imm));
        left = behind;
      } else if (is_backward(k) && !region_) {
        hot |= left;  // a loop's branch is most often taken: no detour to make flags
      } else if (at_host_[k] == static_cast<int>(index)) {
        points.push_back({k, index, left, false});
      } else {
        defer(k);
      }
      k += 1;
    } else if (is_access(i.op) && !plan_.flow[k].conditional) {
      const u32 count = plan_.flow[k].group;
      defer(k);
      for (u32 j = 0; j < count; ++j) s.write(insts[k + j].dst);
      k += count - 1;
      continue;
    } else if (i.op == Op::SkipUnless || i.op == Op::SkipIf) {
      if (i.op == Op::SkipUnless) want(k);
      at_labels.emplace_back(i.imm, s);
      reached = i.op == Op::SkipIf || static_cast<arm::Cond>(i.attr) <= arm::Cond::AL;
    } else if (writes_flags(i.op)) {
      if (effects & Effect::FlagsR) hot |= left & flags_read(i);
      if (!runs_inline(i) || plan_.flow[k].conditional) {
        hot |= left;
        break;
      }
      left &= static_cast<u8>(~ir::flags_written(i));
    } else if (effects & (Effect::Exit | Effect::Mem | Effect::Trap)) {
      if (is_access(i.op) || (region_ && (effects & Effect::Exit)))
        defer(k);
      else
        hot |= left;
      if (effects & Effect::Exit) {
        if (!plan_.flow[k].conditional) break;
        continue;
      }
    } else if (i.op == Op::CondValue) {
      want(k);
    } else if (effects & Effect::FlagsR && at_host_[k] != static_cast<int>(index)) {
      hot |= left & flags_read(i);
    }
    s.write(i.dst);
    if (!runs_inline(i)) s.operands = s.result = false;  // a helper may write any register
    if (is_fp_compare(i.op) && insts[index].op == Op::FpscrToFlags) s.operands = false;
  }
  flags_needed_[index] = hot;
  for (Recovery& r : points)
    if (r.mask &= static_cast<u8>(~hot); r.mask) recovery_.push_back(r);
  for (Recovery& r : stores)
    if (r.mask &= static_cast<u8>(~hot); r.mask) edge_stores_.push_back(r);
  for (Edge& edge : edges) {
    std::erase_if(edge.points, [&](EdgePoint& p) { return (p.mask &= static_cast<u8>(~hot)) == 0; });
    if (!edge.points.empty()) edges_.push_back(std::move(edge));
  }
}

/// Goes from a head on to where the flags `mask`, which came with control, are overwritten, through other heads too.
/// Calls f(instruction, guest registers changed since, what is left of the flags) wherever they could be looked at;
/// false when it says so, or when they are wanted in their place on the way. `passed`: the ways between heads.
template <class F>
bool Emitter::walk_from_head(u32 head, u8 mask, F f, std::vector<Pass>& passed) const {
  struct State {
    u32 head;
    u16 changed;
    u8 mask;
  };
  std::vector<State> states = {{head, 0, mask}};
  bool grown = true;
  const auto pass = [&](u32 at, u32 to, u16 changed, u8 left) {
    if ((left &= live_at_head_[to]) == 0) return true;
    if (std::any_of(edges_.begin(), edges_.end(), [at](const Edge& e) { return e.skip == at; })) return false;
    if (std::none_of(passed.begin(), passed.end(), [at](const Pass& p) { return p.skip == at; }))
      passed.push_back({at, to});
    for (State& s : states)
      if (s.head == to) {
        grown |= (changed & ~s.changed) || (left & ~s.mask);
        s.changed |= changed;
        s.mask |= left;
        return true;
      }
    grown = true;
    states.push_back({to, changed, left});
    return states.size() <= k_max_passed;
  };
  const auto anywhere = [](u32, u16, u8) { return true; };
  while (std::exchange(grown, false))
    for (std::size_t n = 0; n < states.size(); ++n)
      if (!walk_block(states[n].head, states[n].changed, states[n].mask, anywhere, pass)) return false;
  return std::all_of(states.begin(), states.end(), [&](const State& s) {
    return walk_block(s.head, s.changed, s.mask, f, [](u32, u32, u16, u8) { return true; });
  });
}

/// From a head to the next ones: walk_from_head for one block. `pass(instruction, head, changed, flags)` goes on there.
template <class F, class P>
bool Emitter::walk_block(u32 head, u16 changed, u8 mask, F f, P pass) const {
  const auto& insts = block_->insts;
  const auto write = [&](Value v) {
    if (v.is_reg()) changed |= static_cast<u16>(1u << v.reg_number());
  };
  const auto go = [&](u32 at, u32 to) {
    return (head_at_[to] > at || f(at, changed, mask)) && pass(at, to, changed, mask);
  };
  for (u32 k = head_at_[head] + 1; k < insts.size(); ++k) {
    const Inst& i = insts[k];
    const u8 effects = ir::info(i.op).effects;
    if (i.op == Op::Insn) continue;
    if (!runs_inline(i)) return false;
    if (i.op == Op::Goto) return go(k, static_cast<u32>(i.imm));
    if (is_fp_compare(i.op) && !f(k, changed, mask)) return false;
    if (i.op == Op::SkipIf || i.op == Op::SkipUnless) {
      const bool reads = i.op == Op::SkipUnless && (flags_read(i) & mask);
      if (reads || !plan_.flow[k].side_exit) return false;
      const Inst& exit = insts[k + 1];
      if (exit.op == Op::Goto ? !go(k, static_cast<u32>(exit.imm)) : !f(k, changed, mask)) return false;
      k += 2;
      continue;
    }
    if (is_access(i.op)) {
      const u32 count = plan_.flow[k].group;
      if (!f(k, changed, mask)) return false;
      for (u32 j = 0; j < count; ++j) write(insts[k + j].dst);
      k += count - 1;
      continue;
    }
    if (effects & Effect::Exit) return f(k, changed, mask);
    if (effects & (Effect::Mem | Effect::Trap)) return false;
    if ((effects & Effect::FlagsR) && (flags_read(i) & mask)) return false;
    if (writes_flags(i.op) && (mask &= static_cast<u8>(~ir::flags_written(i))) == 0) return true;
    write(i.dst);
  }
  return false;
}

/// Instructions without effect: flags that nobody stores or tests, temps that nobody reads.
void Emitter::find_dead() {
  const auto& insts = block_->insts;
  dead_.assign(insts.size(), false);
  std::vector<u32> uses(block_->temp_count, 0);
  for (u32 k = static_cast<u32>(insts.size()); k-- > 0;) {
    const Inst& i = insts[k];
    if (writes_flags(i.op) && runs_inline(i) && i.op != Op::FpscrToFlags)
      dead_[k] = i.dst.is_none() && flags_needed_[k] == 0 && !used_at_host_[k];
    else
      dead_[k] = ir::info(i.op).effects == Effect::Pure && i.dst.is_temp() && uses[i.dst.temp_number()] == 0;
    dead_[k] = dead_[k] || plan_.registers.is_folded(i.dst);
    if (dead_[k]) continue;
    const bool fixed = i.op == Op::Vector && runs_inline(i) && fixed_indices(*block_, plan_.xmm, i);
    for (const Value v : {i.a, i.b, fixed ? Value() : i.c})
      if (v.is_temp()) ++uses[v.temp_number()];
  }
}

}  // namespace armvisor::engine::jit
