#include "engine/region.h"

#include <algorithm>
#include <map>
#include <utility>

#include "ir/passes/sink_compare.h"

namespace armvisor::engine {
namespace {

using ir::Inst;
using ir::Op;
using ir::Value;

class Former {
 public:
  Former(u32 pc, const frontend::Context& context, std::span<const u8> page, const std::function<bool(u32 pc)>& known,
         std::span<const u32> stops)
      : pc_(pc), page_va_(pc & ~k_page_mask), context_(context), page_(page), known_(known), stops_(stops) {}

  std::optional<ir::Block> form() {
    if (!discover() || !keep_loop()) return {};
    if (!split() && !(keep_inner() && split())) return {};
    place();
    return join();
  }

 private:
  bool in_page(u32 target) const { return (target & ~k_page_mask) == page_va_; }

  bool translate(u32 pc, u32 end, ir::Block& out) const {
    const frontend::Limits limits{.end = end};
    if (!frontend::translate(context_, pc, page_.subspan(pc & k_page_mask), limits, out)) return false;
    ir::sink_compares(out);
    const auto has_stop = [&out](u32 va) { return va - out.pc < out.guest_bytes; };
    if (std::ranges::any_of(stops_, has_stop)) return false;
    return std::all_of(out.insts.begin(), out.insts.end(), may_join);
  }

  /// Not what goes on inside an IT block, nor what changes how the code behind it is to be translated.
  static bool may_join(const Inst& i) { return i.op != Op::SetIt && i.op != Op::ExitSync && i.op != Op::WriteFpscr; }

  template <class F>
  static void for_each_target(const ir::Block& block, F f) {
    for (const Inst& i : block.insts)
      if (i.op == Op::ExitJump) f(static_cast<u32>(i.imm));
  }

  /// Translates all that can be reached from pc_ inside the page and has run before.
  bool discover() {
    std::vector<u32> todo = {pc_};
    while (!todo.empty()) {
      const u32 pc = todo.back();
      todo.pop_back();
      if (blocks_.contains(pc)) continue;
      if (blocks_.size() == k_max_region_blocks) break;
      ir::Block block;
      if (!translate(pc, k_no_end, block)) {
        if (pc == pc_) return false;
        continue;
      }
      for_each_target(block, [&](u32 target) {
        if (in_page(target) && (target == pc_ || known_(target))) todo.push_back(target);
      });
      blocks_.emplace(pc, std::move(block));
    }
    return true;
  }

  /// Drops the blocks from which pc_ is not reached again.
  bool keep_loop() {
    std::vector<u32> kept;
    const auto has = [&](u32 pc) { return std::find(kept.begin(), kept.end(), pc) != kept.end(); };
    bool loop = false;
    for (bool more = true; more;) {
      more = false;
      for (const auto& [pc, block] : blocks_) {
        if (has(pc)) continue;
        bool leads = false;
        for_each_target(block, [&](u32 target) { leads |= target == pc_ || has(target); });
        if (!leads) continue;
        kept.push_back(pc);
        loop |= pc == pc_;
        more = true;
      }
    }
    std::erase_if(blocks_, [&](const auto& entry) { return !has(entry.first); });
    return loop;
  }

  /// Too many: drops the loops around that of pc_, which compilers place from its head to its last jump back. (Such a
  /// loop may also be entered in the middle.) False: there is none.
  bool keep_inner() {
    u32 last = 0;
    for (const auto& [pc, block] : blocks_)
      for_each_target(block, [&](u32 target) {
        if (target == pc_ && pc >= pc_) last = pc;
      });
    const auto dropped =
        std::erase_if(blocks_, [&](const auto& entry) { return entry.first < pc_ || entry.first > last; });
    if (dropped == 0 || !keep_loop()) return false;
    keep_reached();
    return true;
  }

  /// Drops the blocks that are not reached from pc_.
  void keep_reached() {
    std::vector<u32> reached, todo = {pc_};
    while (!todo.empty()) {
      const u32 pc = todo.back();
      todo.pop_back();
      if (!blocks_.contains(pc) || std::ranges::find(reached, pc) != reached.end()) continue;
      reached.push_back(pc);
      for_each_target(blocks_.at(pc), [&](u32 target) { todo.push_back(target); });
    }
    std::erase_if(blocks_, [&](const auto& e) { return std::ranges::find(reached, e.first) == reached.end(); });
  }

  /// A block that runs into another one ends there.
  bool split() {
    u32 insns = 0;
    for (auto it = blocks_.begin(); it != blocks_.end(); ++it) {
      const auto next = std::next(it);
      ir::Block& block = it->second;
      if (next != blocks_.end() && next->first < block.pc + block.guest_bytes &&
          !translate(block.pc, next->first, block))
        return false;
      insns += block.insn_count;
    }
    return insns <= k_max_region_insns;
  }

  /// In the order in which they run on: behind a block comes, if it can, what its last jump leads to.
  void place() {
    std::vector<u32> left;
    for (const auto& entry : blocks_) left.push_back(entry.first);
    // The rest from pc_ on, then what lies before it.
    std::rotate(left.begin(), std::find(left.begin(), left.end(), pc_), left.end());
    while (!left.empty()) {
      u32 next = left.front();
      if (!order_.empty()) {
        const Inst& last = blocks_.at(order_.back()).insts.back();
        const auto target = static_cast<u32>(last.imm);
        if (last.op == Op::ExitJump && std::find(left.begin(), left.end(), target) != left.end()) next = target;
      }
      order_.push_back(next);
      std::erase(left, next);
    }
  }

  /// How many loops the block is in, by the jumps back over it.
  u8 depth(u32 pc) const {
    std::map<u32, u32> loops;  // last jump back to each head
    for (const auto& [from, block] : blocks_)
      for_each_target(block, [&](u32 target) {
        if (target <= from && blocks_.contains(target)) loops[target] = std::max(loops[target], from);
      });
    return static_cast<u8>(std::count_if(loops.begin(), loops.end(),
                                         [pc](const auto& loop) { return loop.first <= pc && pc <= loop.second; }));
  }

  ir::Block join() {
    std::map<u32, u32> heads;
    for (u32 k = 0; k < order_.size(); ++k) heads[order_[k]] = k;
    ir::Block out;
    out.pc = pc_;
    out.head_count = static_cast<u32>(order_.size());
    u32 first = pc_, last = pc_;
    std::vector<std::size_t> head_at;
    for (u32 k = 0; k < order_.size(); ++k) {
      const ir::Block& block = blocks_.at(order_[k]);
      first = std::min(first, block.pc);
      last = std::max(last, block.pc + block.guest_bytes);
      head_at.push_back(out.insts.size());
      out.insts.push_back({.op = Op::Head, .attr2 = depth(block.pc), .disp = block.insn_count, .imm = k});
      for (Inst i : block.insts) {
        for (Value* v : {&i.dst, &i.a, &i.b, &i.c})
          if (v->is_temp()) *v = Value::temp(v->temp_number() + out.temp_count);
        if (i.op == Op::SkipIf || i.op == Op::SkipUnless || i.op == Op::Label) i.imm += out.label_count;
        if (i.op == Op::ExitJump) {
          if (const auto head = heads.find(static_cast<u32>(i.imm)); head != heads.end()) {
            i = {.op = Op::Goto, .imm = head->second};
            if (head->second <= k) out.insts[head_at[head->second]].attr = 1;
          }
        }
        out.insts.push_back(i);
      }
      out.temp_count += block.temp_count;
      out.label_count += block.label_count;
      out.insn_count += block.insn_count;
      out.fp |= block.fp;
    }
    out.before = pc_ - first;
    out.guest_bytes = last - first;
    return out;
  }

  static constexpr u32 k_no_end = 1;
  const u32 pc_, page_va_;
  const frontend::Context context_;
  const std::span<const u8> page_;
  const std::function<bool(u32 pc)>& known_;
  const std::span<const u32> stops_;
  std::map<u32, ir::Block> blocks_;  ///< by address
  std::vector<u32> order_;
};

}  // namespace

std::optional<ir::Block> form_region(u32 pc, const frontend::Context& context, std::span<const u8> page,
                                     const std::function<bool(u32 pc)>& known, std::span<const u32> stops) {
  return Former(pc, context, page, known, stops).form();
}

}  // namespace armvisor::engine
