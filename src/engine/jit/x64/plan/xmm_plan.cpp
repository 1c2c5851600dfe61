#include "engine/jit/x64/plan/xmm_plan.h"

#include <algorithm>
#include <utility>

#include "engine/jit/x64/plan/in_place.h"
#include "engine/jit/x64/plan/register_plan.h"
#include "ir/vector.h"

namespace armvisor::engine::jit {
namespace {

using ir::Inst;
using ir::Op;
using ir::Value;
using Load = XmmPlan::Load;

constexpr u32 k_most_loads = 12;  ///< registers for the loads of one group and for units

bool moves_words(const Inst& i) {
  const bool wide = i.op == Op::Load64 || i.op == Op::Store64;
  return !(i.attr & ir::MemAttr::big) && (wide || (i.attr & ir::MemAttr::size_mask) == 4);
}

/// The operand counts with its low half only.
bool takes_low_half(const Inst& i, u32 operand) {
  using ir::VecOp;
  if (i.op == Op::SetVD || i.op == Op::VLo || i.op == Op::VSetLane) return true;
  if (i.op == Op::VGetLane) return ((i.imm & 0xff) * ((i.imm >> 8) + 1)) <= 64;
  if (i.op != Op::Vector || ir::VectorImm::q(i.imm)) return false;
  const VecOp op = ir::VectorImm::op(i.imm);
  if (op >= VecOp::MovN && op <= VecOp::RSubHN) return false;
  if (op >= VecOp::AddWS && op <= VecOp::SubWU) return operand == 1;
  return op != VecOp::Tbl;
}

/// The code for `i` can make its result in an xmm register.
bool can_define(const Inst& i) {
  switch (i.op) {
    case Op::GetS:
    case Op::GetD:
    case Op::VLo:
    case Op::VHi: return true;
    case Op::Mov:
    case Op::Mov64: return i.a.is_imm() && !i.imm_address().moves;
    default: break;
  }
  if (is_load(i.op)) return moves_words(i);
  return is_fp(i.op) || ir::info(i.op).result == ir::Type::V128;
}

/// The code for `i` can take the operand from an xmm register.
bool can_use(const Inst& i, u32 operand) {
  switch (i.op) {
    case Op::SetS:
    case Op::SetD:
    case Op::VPack: return true;
    default: break;
  }
  if (is_store(i.op)) return operand == 1 && moves_words(i);
  return is_fp(i.op) || ir::info(i.op).operand[operand] == ir::Type::V128;
}

bool is_spread(const std::vector<Inst>& insts, const FlowPlan& flow, const XmmPlan& plan, u32 index) {
  if (index + 1 >= insts.size()) return false;
  const Inst& lane = insts[index];
  const Inst& dup = insts[index + 1];
  return lane.op == Op::VGetLane && dup.op == Op::VDup && flow[index].in_place && lane.dst.is_temp() &&
         dup.a == lane.dst && (lane.imm & 0xff) == dup.imm &&
         plan.temps[lane.dst.temp_number()].last == static_cast<int>(index) + 1;
}

/// Plans what needs the temps and the general registers.
class Moves {
 public:
  Moves(const PlanInput& in, const FlowPlan& flow, const RegisterPlan& registers, XmmPlan& plan)
      : insts_(in.block.insts), in_(in), flow_(flow), registers_(registers), plan_(plan) {}

  void plan() {
    const auto count = static_cast<u32>(insts_.size());
    for (u32 k = 0; k < count; ++k) {
      const Inst& i = insts_[k];
      XmmPlan::Step& step = plan_.steps[k];
      if (is_load(i.op) && flow_[k].group != 0) plan_loads(k, k + flow_[k].group);
      if (!plan_.units.empty() && plan_.holds(i.dst)) step.unit = static_cast<s8>(unit_of_result(k));
      if (i.op == Op::GetD) step.get_pair = is_pair_of_gets(k);
      if (is_set(i.op) && in_.options.xmm_cache && !plan_.holds(i.a)) step.read_again = is_read_again(k);
    }
  }

 private:
  /// A group of loads that begins at `index`.
  void plan_loads(u32 index, u32 end) {
    u32 registers = 0;
    for (u32 k = index; k < end; ++k) {
      if (!plan_.holds(insts_[k].dst)) continue;
      Load& load = plan_.steps[k].load;
      if (k > index && plan_.steps[k - 1].load == Load::Pair)
        load = Load::HighOfPair;
      else if (registers++ + plan_.units.size() < k_most_loads)
        load = is_pair_of_loads(index, k, end) ? Load::Pair : Load::Alone;
    }
  }

  /// What the load at `index` and the next give goes to the halves of a Q register and nowhere else. `group` and `end`
  /// are of the loads that are one.
  bool is_pair_of_loads(u32 group, u32 index, u32 end) {
    if (index + 1 >= end || insts_[index].op != Op::Load64) return false;
    const Value low = insts_[index].dst, high = insts_[index + 1].dst;
    if (!plan_.holds(high) || low == high || !is_used_once(low) || !is_used_once(high)) return false;
    u32 set = end;
    while (set < insts_.size() && insts_[set].op == Op::SetD && insts_[set].a != low) ++set;
    if (set + 1 >= insts_.size() || insts_[set].op != Op::SetD || insts_[set + 1].op != Op::SetD) return false;
    const auto d = static_cast<u32>(insts_[set].imm);
    if (insts_[set].a != low || insts_[set + 1].a != high || d % 2 != 0 || insts_[set + 1].imm != d + 1 ||
        !is_better_whole(group, d / 2))
      return false;
    XmmTemp& t = plan_.temps[low.temp_number()];
    t.type = ir::Type::V128;
    t.last = std::max(t.last, static_cast<int>(set) + 1);
    plan_.steps[set].set = XmmPlan::k_set_with_next;
    plan_.steps[set + 1].set = static_cast<int>(low.temp_number());
    return true;
  }

  bool is_used_once(Value v) const {
    return registers_.temps[v.temp_number()].uses == 1 && !plan_.temps[v.temp_number()].stored;
  }

  /// Q register q is better written in one piece, from `index` on.
  bool is_better_whole(u32 index, u32 q) const {
    constexpr u32 k_reach = 32;
    if (!in_.options.xmm_cache) return false;
    if (const int unit = plan_.units.empty() ? -1 : plan_.unit_at_word[4 * q]; unit >= 0)
      return plan_.units[static_cast<u32>(unit)].words == 4;
    for (u32 k = index; k < insts_.size() && k < index + k_reach; ++k)
      if (insts_[k].op == Op::GetQ && insts_[k].imm == q) return true;
    return false;
  }

  bool is_pair_of_gets(u32 index) const {
    if (index + 1 >= insts_.size()) return false;
    const Inst& i = insts_[index];
    const Inst& next = insts_[index + 1];
    if (i.imm % 2 != 0 || next.op != Op::GetD || next.imm != i.imm + 1 || !plan_.holds(i.dst) ||
        !plan_.holds(next.dst) || !is_used_once(i.dst) || !is_used_once(next.dst))
      return false;
    const auto first = static_cast<u32>(registers_.temps[i.dst.temp_number()].last),
               second = static_cast<u32>(registers_.temps[next.dst.temp_number()].last);
    if (insts_[first].op != Op::Store64 || insts_[second].op != Op::Store64 || second != first + 1) return false;
    const int unit = plan_.unit_of(i);
    return unit < 0 || plan_.units[static_cast<u32>(unit)].words == 4;
  }

  /// Whether a move of these words to an xmm register follows before they are written.
  bool is_read_again(u32 index) const {
    constexpr u32 k_reach = 48;
    const auto [first, count] = words_of(insts_[index]);
    for (u32 k = index + 1; k < insts_.size() && k < index + k_reach; ++k) {
      const Inst& i = insts_[k];
      if (i.op == Op::Label) return false;
      if (!is_get(i.op) && !is_set(i.op)) continue;
      const Words w = words_of(i);
      if (w.first + w.count <= first || first + count <= w.first) continue;
      return is_get(i.op) && plan_.holds(i.dst) && (w.first == first ? w.count <= count : w.count == 4 && count == 2);
    }
    return false;
  }

  /// The unit that the result of the instruction at `index` is moved to before anything can look at that, or -1. Of a
  /// group of loads one that fails may leave new values in the registers of others.
  int unit_of_result(u32 index) const {
    constexpr u32 k_reach = 16;
    const Value dst = insts_[index].dst;
    u32 from = index;
    while (is_access(insts_[from].op) && flow_[from].group == 0) --from;
    const bool loads = ir::info(insts_[from].op).effects & ir::Mem;
    u32 read = 0;
    for (u32 k = from + 1; k < insts_.size() && k < from + k_reach; ++k) {
      const Inst& i = insts_[k];
      if (is_get(i.op) || is_set(i.op)) {
        const int unit = plan_.unit_of(i);
        const auto n = static_cast<u32>(unit);
        if (is_set(i.op) && i.a == dst)
          return unit < 0 || (read >> n & 1) || words_of(i).count != plan_.units[n].words ? -1 : unit;
        if (unit >= 0) read |= 1u << n;
      } else if (i.op == Op::Label || i.op == Op::Head || is_skip(i.op) || !flow_[k].in_place ||
                 (ir::info(i.op).effects & (ir::Mem | ir::Trap | ir::Exit) && !(loads && is_load(i.op)))) {
        return -1;
      }
    }
    return -1;
  }

  const std::vector<Inst>& insts_;
  const PlanInput& in_;
  const FlowPlan& flow_;
  const RegisterPlan& registers_;
  XmmPlan& plan_;
};

/// The extension registers that a region uses most. What is also used as part of something larger belongs to that.
void choose_units(const ir::Block& block, XmmPlan& plan) {
  std::array<u32, 64> size{}, uses{};
  std::array<bool, 64> written{};
  u32 weight = 1;
  for (const Inst& i : block.insts) {
    if (i.op == Op::Head) weight = 1u << std::min(4 * i.attr2, 20);
    if (!is_get(i.op) && !is_set(i.op)) continue;
    const Words w = words_of(i);
    for (u32 k = 0; k < w.count; ++k) {
      size[w.first + k] = std::max(size[w.first + k], w.count);
      written[w.first + k] |= is_set(i.op);
    }
    uses[w.first] += weight;
  }
  std::vector<std::pair<u32, Unit>> found;
  const auto most = [&](u32 first, u32 count) { return *std::max_element(&size[first], &size[first] + count); };
  for (u32 first = 0; first < 64;) {
    const u32 words = most(first & ~3u, 4) == 4 ? 4 : most(first & ~1u, 2);
    Unit unit{first, std::max(words, 1u), 0, false};
    u32 used = 0;
    for (u32 k = first; k < first + unit.words; ++k) used += uses[k], unit.written |= written[k];
    if (used >= 2) found.push_back({used, unit});
    first += unit.words;
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  plan.unit_at_word.fill(-1);
  for (auto& [used, unit] : found) {
    const auto n = static_cast<u32>(plan.units.size());
    if (n == XmmPlan::k_most_units) break;
    unit.home = static_cast<int>(XmmPlan::k_last_register - n);
    plan.units.push_back(unit);
    for (u32 k = unit.first; k < unit.first + unit.words; ++k) plan.unit_at_word[k] = static_cast<s8>(n);
  }
}

}  // namespace

Words words_of(const Inst& i) {
  const u32 n = static_cast<u32>(i.imm);
  switch (i.op) {
    case Op::GetS:
    case Op::SetS: return {n, 1};
    case Op::GetQ:
    case Op::SetQ: return {4 * n, 4};
    default: return {2 * n, 2};
  }
}

int XmmPlan::unit_of(const Inst& i) const { return units.empty() ? -1 : unit_at_word[words_of(i).first]; }

std::optional<u64> fixed_indices(const ir::Block& block, const XmmPlan& plan, const Inst& i) {
  using ir::VectorImm;
  if (VectorImm::op(i.imm) != ir::VecOp::Tbl || (VectorImm::imm(i.imm) >> 8 & 1) || !i.c.is_temp()) return {};
  const Inst& pack = block.insts[static_cast<u32>(plan.temps[i.c.temp_number()].def)];
  if (pack.op != Op::VPack || !pack.a.is_temp()) return {};
  const Inst& constant = block.insts[static_cast<u32>(plan.temps[pack.a.temp_number()].def)];
  if (constant.op != Op::Mov64 || !constant.a.is_imm()) return {};
  return constant.imm;
}

void plan_xmm_temps(const PlanInput& in, const FlowPlan& flow, XmmPlan& plan) {
  const auto& insts = in.block.insts;
  XmmTemp unused;
  unused.in_xmm = true;
  plan.temps.assign(in.block.temp_count, unused);
  plan.steps.assign(insts.size(), {});
  plan.units.clear();
  if (in.block.temp_count == 0) return;
  std::vector<int> labels;
  bool has_lanes = false;
  for (u32 k = 0; k < insts.size(); ++k) {
    const Inst& i = insts[k];
    const int at = static_cast<int>(k);
    if (i.op == Op::Label) labels.push_back(at);
    has_lanes |= i.op == Op::VGetLane || i.op == Op::VSetLane;
    const bool in_cpp = !flow[k].in_place || i.op == Op::ExitReturn;
    const Value operands[] = {i.a, i.b, i.c};
    for (u32 n = 0; n < 3; ++n) {
      if (!operands[n].is_temp()) continue;
      XmmTemp& t = plan.temps[operands[n].temp_number()];
      t.last = at;
      t.in_xmm &= can_use(i, n);
      t.stored |= in_cpp;
      t.wide |= !takes_low_half(i, n);
    }
    if (!i.dst.is_temp()) continue;
    XmmTemp& t = plan.temps[i.dst.temp_number()];
    t.in_xmm &= can_define(i);
    t.stored |= in_cpp || t.def >= 0;
    t.type = ir::info(i.op).result;
    if (t.def < 0) t.def = at;
    t.last = std::max(t.last, at);
  }
  for (XmmTemp& t : plan.temps)
    for (const int label : labels) t.stored |= t.def < label && label < t.last;
  if (!has_lanes) return;
  for (u32 k = static_cast<u32>(insts.size()); k-- > 0;)
    if (insts[k].op == Op::VSetLane)
      plan.temps[insts[k].a.temp_number()].wide |=
          plan.temps[insts[k].dst.temp_number()].wide || (insts[k].imm & 0xff) * ((insts[k].imm >> 8) + 1) > 64;
  // A lane that is spread at once is taken from where it is.
  for (u32 k = 0; k + 1 < insts.size(); ++k) {
    if (!is_spread(insts, flow, plan, k)) continue;
    plan.steps[k].spread = true;
    if (!insts[k].a.is_temp()) continue;
    XmmTemp& t = plan.temps[insts[k].a.temp_number()];
    t.last = std::max(t.last, static_cast<int>(k) + 1);
  }
}

void plan_xmm(const PlanInput& in, const FlowPlan& flow, const RegisterPlan& registers, XmmPlan& plan) {
  if (in.block.head_count != 0 && in.options.xmm_regions && in.options.xmm_cache) choose_units(in.block, plan);
  Moves(in, flow, registers, plan).plan();
}

}  // namespace armvisor::engine::jit
