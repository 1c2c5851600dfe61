#include "engine/jit/x64/plan/flag_plan.h"

#include <algorithm>
#include <utility>

#include "engine/jit/x64/plan/head_walk.h"
#include "engine/jit/x64/plan/region_plan.h"
#include "engine/jit/x64/plan/register_plan.h"

namespace armvisor::engine::jit {
namespace {

using ir::Effect;
using ir::Inst;
using ir::k_flag_c;
using ir::k_flags_all;
using ir::Op;
using ir::Value;

bool is_plain(Value v) { return v.is_reg() || v.is_imm() || v.is_none(); }
u8 condition_of(const Inst& i) { return i.op == Op::CondValue ? static_cast<u8>(i.imm) : i.attr; }

/// What the flags of an instruction could be made from behind it.
struct FlagSource {
  Value a, b, result_in;
  bool operands = false, result = false;  ///< these stand
  bool stands() const { return operands || result; }
  void write(Value v) {
    if (!v.is_reg()) return;
    operands &= v != a && v != b;
    result &= v != result_in && v != b;
  }
};

/// What all parts of the analysis look at.
struct Facts {
  const PlanInput& in;
  const std::vector<Inst>& insts;
  const FlowPlan& flow;
  const RegisterPlan& registers;
  const XmmPlan& xmm;
  FlagPlan& flags;
  RegionPlan& region;

  u32 count() const { return static_cast<u32>(insts.size()); }
  u8 read(u32 k) const { return flags_read(insts[k], flow[k], flags[k]); }
};

// --- host flags that are still there

/// The instruction whose carry is still in the host's when the one at `index` wants it, or -1.
int carry_at_host(const Facts& f, u32 index) {
  const Op op = f.insts[index].op;
  if (!f.in.options.fuse_carry || (op != Op::Adc && op != Op::Sbc && op != Op::AdcF && op != Op::SbcF)) return -1;
  u32 k = index;
  do {
    if (k-- == 0) return -1;
  } while (f.insts[k].op == Op::Insn);
  const HostFlags kind = flags_kind(f.insts[k]);
  const bool has_carry = kind == HostFlags::Add || kind == HostFlags::Sub;
  return has_carry && f.insts[k].attr & k_flag_c ? static_cast<int>(k) : -1;
}

/// The skip that leads to the label at `index` over nothing but moves and jumps, or -1.
int skip_of(const Facts& f, int label) {
  int skip = label - 1;
  const auto at = [&](int k) -> const Inst& { return f.insts[static_cast<u32>(k)]; };
  while (skip >= 0 && (at(skip).op == Op::Mov || at(skip).op == Op::Insn || at(skip).op == Op::ExitJump)) --skip;
  return skip >= 0 && at(skip).op == Op::SkipUnless && at(skip).imm == at(label).imm ? skip : -1;
}

/// The instruction whose host flags decide the condition at `index`, or -1. Conditions on the way were decided by the
/// same flags, so that nothing but moves and jumps stands between, and values of conditions, whose code leaves the
/// host's flags.
int condition_at_host(const Facts& f, u32 index) {
  if (index == 0 || !f.in.options.fuse_compare) return -1;
  u32 conditions = 1u << condition_of(f.insts[index]);
  for (int k = static_cast<int>(index) - 1; k >= 0;) {
    const Inst& i = f.insts[static_cast<u32>(k)];
    const bool is_earlier_value = i.op == Op::CondValue && f.flags[static_cast<u32>(k)].at_host >= 0;
    if (i.op == Op::Insn || (i.op == Op::Mov && !i.dst.is_none()) || is_earlier_value) {
      --k;
    } else if (i.op == Op::Label) {
      const int skip = skip_of(f, k);
      if (skip < 0) return -1;
      conditions |= 1u << f.insts[static_cast<u32>(skip)].attr;
      k = skip - 1;
    } else {
      u8 cc = 0;
      for (u32 c = 0; c < 16; ++c)
        if ((conditions >> c & 1) && !host_condition(flags_kind(i), static_cast<arm::Cond>(c), cc)) return -1;
      return k;
    }
  }
  return -1;
}

void find_at_host(Facts& f) {
  for (u32 k = 0; k < f.count(); ++k) {
    const Op op = f.insts[k].op;
    const bool condition = op == Op::CondValue || op == Op::SkipUnless;
    const int source = condition ? condition_at_host(f, k) : carry_at_host(f, k);
    f.flags.steps[k].at_host = source;
    if (source >= 0) f.flags.steps[static_cast<u32>(source)].used_at_host = true;
  }
}

// --- which flags are alive

/// One pass backwards, by what is known of heads so far. True: it learned something of them, so go again.
bool find_live(Facts& f, std::vector<u8>& live_after, std::vector<u8>& at_label) {
  u8 live = k_flags_all;
  bool changed = false;
  for (u32 k = f.count(); k-- > 0;) {
    const Inst& i = f.insts[k];
    const u8 effects = ir::info(i.op).effects;
    live_after[k] = live;
    if (i.op == Op::Goto) {
      live = f.region.heads[i.imm].live;
    } else if (i.op == Op::Head) {
      changed |= live != f.region.heads[i.imm].live;
      f.region.heads[i.imm].live = live;
    } else if (effects & (Effect::Exit | Effect::Mem | Effect::Trap)) {
      live = k_flags_all;
    } else if (i.op == Op::Label) {
      at_label[i.imm] = live;
    } else {
      if (is_skip(i.op)) live |= at_label[i.imm];
      if (writes_flags(i.op) && f.flow[k].in_place) live &= static_cast<u8>(~ir::flags_written(i));
      if (effects & Effect::FlagsR) live |= f.read(k);
    }
  }
  return changed;
}

// --- comparisons of numbers

/// The FpscrToFlags at `index` takes what a comparison in place has just found.
bool follows_compare(const Facts& f, u32 index) {
  do {
    if (index-- == 0) return false;
  } while (f.insts[index].op == Op::Insn);
  return is_fp_compare(f.insts[index].op) && f.flow[index].in_place;
}

/// The condition at `index` is decided by registers that a comparison at `compare`, an FpscrToFlags behind it, has
/// used.
bool fp_decides(const Facts& f, u32 compare, u32 index) {
  if (!f.in.options.fuse_compare || !follows_compare(f, compare)) return false;
  for (u32 k = compare + 1; k < index; ++k) {
    const Inst& i = f.insts[k];
    const bool joins = i.op == Op::Label || i.op == Op::SkipUnless;  // where units move
    const bool plain = i.op == Op::Insn || (joins && f.xmm.units.empty()) || i.op == Op::Mov;
    if (!plain || f.xmm.holds(i.dst)) return false;
  }
  return true;
}

// --- what need not be stored at once

/// Follows the flags that one instruction makes to wherever something could look at them.
class Follower {
 public:
  explicit Follower(Facts& facts) : f_(facts), walk_(facts.in.block, facts.flow, facts.flags, facts.region) {}

  void follow(u32 index) {
    index_ = index;
    s_ = source();
    if (!s_.stands()) return;
    left_ = f_.flags[index].needed;
    hot_ = 0;
    points_.clear();
    stores_.clear();
    edges_.clear();
    at_labels_.clear();
    reached_ = true;
    for (u32 k = index + 1; k < f_.count() && (left_ & ~hot_);)
      if (!step(k)) break;
    conclude();
  }

 private:
  const Inst& made_by() const { return f_.insts[index_]; }

  FlagSource source() const {
    const Inst& i = made_by();
    if (i.op == Op::FpscrToFlags) return {{}, {}, {}, follows_compare(f_, index_), false};
    if (i.op == Op::SetC) return source_of_carry();
    if ((i.op != Op::AddF && i.op != Op::SubF && i.op != Op::SetNZ) || !is_plain(i.a) || !is_plain(i.b)) return {};
    if (i.op == Op::SetNZ) return {i.a, {}, {}, true, false};
    if (!is_plain(i.dst)) return {};
    return {i.a, i.b, i.dst, i.dst.is_none() || (i.dst != i.a && i.dst != i.b), i.dst.is_reg() && i.dst != i.b};
  }

  /// Of a SetC: a constant, or a bit of a register.
  FlagSource source_of_carry() const {
    const Value carry = made_by().a;
    if (carry.is_imm()) return {{}, {}, {}, true, false};
    if (!carry.is_temp()) return {};
    const auto def = static_cast<u32>(f_.registers.temps[carry.temp_number()].def);
    const Inst& bit = f_.insts[def];
    if (bit.op != Op::UBfx || bit.imm >> 8 != 1 || !bit.a.is_reg()) return {};
    FlagSource s{bit.a, {}, {}, true, false};
    for (u32 k = def; k < index_; ++k) {
      if (f_.insts[k].op == Op::Label) return {};
      s.write(f_.insts[k].dst);
    }
    return s;
  }

  /// An access or exit may look at them: its cold path makes them.
  void defer(u32 k) {
    if (!s_.stands())
      hot_ |= left_;
    else if (left_)
      points_.push_back({k, index_, left_, !s_.operands});
  }

  /// A condition.
  void want(u32 k) {
    const u8 cond = condition_of(f_.insts[k]), read = ir::flags_read_by(cond);
    if (!(read & left_) || f_.flags[k].at_host >= 0) return;
    const bool one_source = (read & ~left_) == 0;
    if (made_by().op == Op::FpscrToFlags && one_source && fp_decides(f_, index_, k)) return;
    u8 cc = 0;
    if (one_source && host_condition(flags_kind(made_by()), static_cast<arm::Cond>(cond), cc) && s_.stands()) {
      f_.flags.steps[k].remake = static_cast<s32>(index_);
      f_.flags.steps[k].from_result = !s_.operands;
    } else {
      hot_ |= read & left_;
    }
  }

  /// Control may go on to `head` from the instruction k, a Goto or a skip.
  void go_on(u32 k, u32 head) {
    if (f_.region.heads[head].at <= k) defer(k);  // an interrupt may be taken there
    left_ &= f_.region.heads[head].live;
    if (!left_ || (hot_ & left_) == left_) return;
    Edge edge{.skip = k, .head = head, .source = index_, .points = {}, .passed = {}};
    if (find_edge(edge)) {
      if (!edge.points.empty()) edges_.push_back(std::move(edge));
    } else if (f_.in.options.lazy_edges && s_.stands()) {
      stores_.push_back({k, index_, left_, !s_.operands});
    } else {
      hot_ |= left_;
    }
  }

  /// The flags can be pending on the way: from what stands behind the head, or from operands that are saved on it.
  bool find_edge(Edge& edge) const {
    if (!f_.in.options.lazy_edges || f_.region.edges.size() + edges_.size() >= RegionPlan::k_max_edges ||
        f_.region.passes(edge.skip))
      return false;
    const auto point = [&](u32 at, u16 changed, u8 mask) {
      if (is_fp_compare(f_.insts[at].op)) return made_by().op != Op::FpscrToFlags;
      FlagSource there = s_;
      for (u32 n = 0; n < 15; ++n)
        if (changed >> n & 1) there.write(Value::reg(n));
      edge.points.push_back({at, mask, !there.operands});
      return there.stands();
    };
    if (walk_.from(edge.head, left_, point, edge.passed)) return true;
    const auto same_way = [&](const Edge& e) { return e.saved && e.skip == edge.skip; };
    if (!s_.operands || flags_kind(made_by()) == HostFlags::None ||
        std::any_of(f_.region.edges.begin(), f_.region.edges.end(), same_way))
      return false;
    const auto saved_point = [&](u32 at, u16, u8 mask) {
      if (!is_fp_compare(f_.insts[at].op)) edge.points.push_back({at, mask, false});
      return true;
    };
    edge.points.clear();
    edge.passed.clear();
    return edge.saved = walk_.from(edge.head, left_, saved_point, edge.passed);
  }

  /// Where a skip leads around the way to `head`, what goes on there is as it was.
  void go_on_aside(u32 k, u32 head) {
    const u8 behind = left_;
    go_on(k, head);
    left_ = behind;
  }

  void side_exit(u32 k) {
    const Inst& exit = f_.insts[k + 1];
    if (f_.insts[k].op == Op::SkipUnless) want(k);
    if (exit.op == Op::Goto)
      go_on_aside(k, static_cast<u32>(exit.imm));
    else if (exit.imm <= insn_address(f_.in.block, k) && !f_.region.is_region())
      hot_ |= left_;  // a loop's branch is most often taken: no detour to make flags
    else if (f_.flags[k].at_host == static_cast<int>(index_))
      points_.push_back({k, index_, left_, false});
    else
      defer(k);
  }

  /// Control joins: what stands is what stood at the skips to this label, which left it as it was there.
  void join(u64 label) {
    for (const auto& [to, there] : at_labels_) {
      if (to != label) continue;
      s_.operands = there.operands && (!reached_ || s_.operands);
      s_.result = there.result && (!reached_ || s_.result);
      reached_ = true;
    }
  }

  void skip(u32 k) {
    const Inst& i = f_.insts[k];
    if (i.op == Op::SkipUnless) want(k);
    at_labels_.emplace_back(i.imm, s_);
    reached_ = i.op == Op::SkipIf || static_cast<arm::Cond>(i.attr) <= arm::Cond::AL;
  }

  /// Flags are made anew by the instruction k. False: nothing goes on.
  bool overwrite(u32 k) {
    if (ir::info(f_.insts[k].op).effects & Effect::FlagsR) hot_ |= left_ & f_.read(k);
    if (!f_.flow[k].in_place || f_.flow[k].conditional) {
      hot_ |= left_;
      return false;
    }
    left_ &= static_cast<u8>(~ir::flags_written(f_.insts[k]));
    return true;
  }

  /// The instruction k may leave the straight run.
  void leave(u32 k) {
    const bool exits = ir::info(f_.insts[k].op).effects & Effect::Exit;
    if (is_access(f_.insts[k].op) || (f_.region.is_region() && exits))
      defer(k);
    else
      hot_ |= left_;
  }

  /// The instruction k, which becomes the next one. False: nothing goes on.
  bool step(u32& k) {
    const u32 at = k++;
    const Inst& i = f_.insts[at];
    const FlowPlan::Step& flow = f_.flow[at];
    const u8 effects = ir::info(i.op).effects;
    if (i.op == Op::Head) return false;
    if (i.op == Op::Label) {
      join(i.imm);
      return true;
    }
    if (i.op == Op::Goto) {
      go_on_aside(at, static_cast<u32>(i.imm));
      return flow.conditional;
    }
    if (is_access(i.op) && !flow.conditional) {
      defer(at);
      for (u32 j = 0; j < flow.group; ++j) s_.write(f_.insts[at + j].dst);
      k = at + flow.group;
      return true;
    }
    if (flow.side_exit) {
      side_exit(at);
      k = at + 2;
    } else if (is_skip(i.op)) {
      skip(at);
    } else if (writes_flags(i.op)) {
      if (!overwrite(at)) return false;
    } else if (effects & (Effect::Exit | Effect::Mem | Effect::Trap)) {
      leave(at);
      if (effects & Effect::Exit) return flow.conditional;
    } else if (i.op == Op::CondValue) {
      want(at);
    } else if (effects & Effect::FlagsR && f_.flags[at].at_host != static_cast<int>(index_)) {
      hot_ |= left_ & f_.read(at);
    }
    s_.write(i.dst);
    if (!flow.in_place) s_.operands = s_.result = false;  // a function in C++ may write any register
    if (is_fp_compare(i.op) && made_by().op == Op::FpscrToFlags) s_.operands = false;
    return true;
  }

  /// What is stored at once is nobody else's.
  void conclude() {
    const auto cold = static_cast<u8>(~hot_);
    f_.flags.steps[index_].needed = hot_;
    for (Recovery& r : points_)
      if (r.mask &= cold; r.mask) f_.flags.recovery.push_back(r);
    for (Recovery& r : stores_)
      if (r.mask &= cold; r.mask) f_.region.stores.push_back(r);
    for (Edge& edge : edges_) {
      std::erase_if(edge.points, [&](EdgePoint& p) { return (p.mask &= cold) == 0; });
      if (!edge.points.empty()) f_.region.edges.push_back(std::move(edge));
    }
  }

  Facts& f_;
  const HeadWalk walk_;
  u32 index_ = 0;
  FlagSource s_;
  u8 left_ = 0, hot_ = 0;  ///< not yet overwritten; to be stored at once
  std::vector<Recovery> points_, stores_;
  std::vector<Edge> edges_;
  std::vector<std::pair<u64, FlagSource>> at_labels_;
  bool reached_ = true;
};

}  // namespace

HostFlags flags_kind(const Inst& i) {
  switch (i.op) {
    case Op::AddF:
    case Op::AdcF: return HostFlags::Add;
    case Op::SubF:
    case Op::SbcF: return HostFlags::Sub;
    case Op::SetNZ: return HostFlags::Logic;
    default: return HostFlags::None;
  }
}

bool host_condition(HostFlags kind, arm::Cond cond, u8& cc) {
  using arm::Cond;
  // x86 condition codes: O 0, NO 1, B 2, AE 3, E 4, NE 5, BE 6, A 7, S 8, NS 9, L 12, GE 13, LE 14, G 15.
  static constexpr u8 k_sub[14] = {4, 5, 3, 2, 8, 9, 0, 1, 7, 6, 13, 12, 15, 14};
  if (kind == HostFlags::None || cond >= Cond::AL) return false;
  if (kind == HostFlags::Logic && cond != Cond::EQ && cond != Cond::NE && cond != Cond::MI && cond != Cond::PL)
    return false;
  if (kind == HostFlags::Add && (cond == Cond::HI || cond == Cond::LS)) return false;
  cc = k_sub[static_cast<u8>(cond)];
  if (kind == HostFlags::Add && (cond == Cond::CS || cond == Cond::CC)) cc ^= 1;
  return true;
}

u8 flags_read(const Inst& i, const FlowPlan::Step& flow, const FlagPlan::Step& flags) {
  if (!flow.in_place) return k_flags_all;
  if (i.op == Op::SkipUnless || i.op == Op::CondValue) return ir::flags_read_by(condition_of(i));
  return flags.at_host >= 0 ? u8{0} : k_flag_c;
}

bool FlagPlan::recovers(u32 index) const {
  return std::any_of(recovery.begin(), recovery.end(), [index](const Recovery& r) { return r.at == index; });
}

void plan_flags(const PlanInput& in, const FlowPlan& flow, const RegisterPlan& registers, const XmmPlan& xmm,
                FlagPlan& plan, RegionPlan& region) {
  plan.steps.assign(in.block.insts.size(), {});
  plan.recovery.clear();
  plan_heads(in.block, region);
  Facts facts{in, in.block.insts, flow, registers, xmm, plan, region};
  find_at_host(facts);
  std::vector<u8> live_after(facts.count()), at_label(in.block.label_count);
  while (find_live(facts, live_after, at_label)) {
  }
  Follower follower(facts);
  for (u32 k = 0; k < facts.count(); ++k) {
    const Inst& i = facts.insts[k];
    if (!writes_flags(i.op) || !flow[k].in_place) continue;
    const u8 made = i.op == Op::FpscrToFlags ? k_flags_all : i.attr;
    u8& needed = plan.steps[k].needed;
    needed = in.options.dead_flags ? made & live_after[k] : made;
    if (in.options.lazy_flags && !flow[k].conditional && needed != 0) follower.follow(k);
  }
}

}  // namespace armvisor::engine::jit
