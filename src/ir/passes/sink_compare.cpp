#include "ir/passes/sink_compare.h"

#include <algorithm>

namespace armvisor::ir {
namespace {

bool may_sink(const Inst& i) { return i.op == Op::SubF || i.op == Op::AddF || i.op == Op::SetNZ; }

bool touches(const Inst& i, Value v) { return !v.is_none() && (i.dst == v || i.a == v || i.b == v || i.c == v); }

/// `i` and `compare` may change places.
bool independent(const Inst& i, const Inst& compare) {
  if (i.op == Op::Insn) return true;
  if (info(i.op).effects != Pure || i.op == Op::Label || i.op == Op::SkipIf) return false;
  if (touches(i, compare.dst)) return false;
  for (const Value v : {compare.a, compare.b})
    if ((v.is_reg() || v.is_temp()) && i.dst == v) return false;
  return true;
}

}  // namespace

void sink_compares(Block& block) {
  auto& insts = block.insts;
  for (std::size_t k = 0; k < insts.size(); ++k) {
    if (insts[k].op != Op::SkipUnless) continue;
    std::size_t from = k;
    while (from > 0 && !may_sink(insts[from - 1])) {
      const Inst& i = insts[from - 1];
      if (i.op != Op::Insn && (info(i.op).effects != Pure || i.op == Op::Label || i.op == Op::SkipIf)) break;
      --from;
    }
    if (from == 0 || from == k || !may_sink(insts[from - 1])) continue;
    const Inst compare = insts[from - 1];
    if (!std::all_of(insts.begin() + static_cast<std::ptrdiff_t>(from), insts.begin() + static_cast<std::ptrdiff_t>(k),
                     [&](const Inst& i) { return independent(i, compare); }))
      continue;
    // To just before the last Insn, which is the branch's own.
    std::size_t to = k;
    if (insts[to - 1].op == Op::Insn) --to;
    std::rotate(insts.begin() + static_cast<std::ptrdiff_t>(from - 1),
                insts.begin() + static_cast<std::ptrdiff_t>(from), insts.begin() + static_cast<std::ptrdiff_t>(to));
  }
}

}  // namespace armvisor::ir
