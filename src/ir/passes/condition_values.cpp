#include "ir/passes/condition_values.h"

#include <span>

#include "arm/psr.h"

namespace armvisor::ir {
namespace {

constexpr std::size_t k_pair = 7;  ///< SkipUnless, Mov, Label, Insn, SkipUnless, Mov, Label

/// A register becomes 0 or 1 if a condition holds.
bool is_conditional_bit(std::span<const Inst> i) {
  return i[0].op == Op::SkipUnless && i[0].attr < static_cast<u8>(arm::Cond::AL) && i[1].op == Op::Mov &&
         i[1].dst.is_reg() && i[1].a.is_imm() && i[1].imm <= 1 && !i[1].moves && i[2].op == Op::Label &&
         i[2].imm == i[0].imm;
}

bool is_pair(std::span<const Inst> i) {
  if (i.size() < k_pair || i[3].op != Op::Insn) return false;
  const auto second = i.subspan(4);
  return is_conditional_bit(i) && is_conditional_bit(second) && second[0].attr == (i[0].attr ^ 1) &&
         second[1].dst == i[1].dst && second[1].imm != i[1].imm;
}

}  // namespace

std::optional<Block> with_condition_values(const Block& block) {
  const std::span<const Inst> insts = block.insts;
  std::optional<Block> out;
  std::size_t done = 0;  // instructions that `out` has, when there is one
  for (std::size_t k = 0; k + k_pair <= insts.size(); ++k) {
    if (!is_pair(insts.subspan(k))) continue;
    if (!out) {
      out = block;
      out->insts.clear();
    }
    out->insts.insert(out->insts.end(), insts.begin() + static_cast<std::ptrdiff_t>(done),
                      insts.begin() + static_cast<std::ptrdiff_t>(k));
    const u8 condition = static_cast<u8>(insts[k].attr ^ (insts[k + 1].imm ^ 1));
    out->insts.push_back({.op = Op::CondValue, .dst = insts[k + 1].dst, .imm = condition});
    out->insts.push_back(insts[k + 3]);
    done = k + k_pair;
    k = done - 1;
  }
  if (out) out->insts.insert(out->insts.end(), insts.begin() + static_cast<std::ptrdiff_t>(done), insts.end());
  return out;
}

}  // namespace armvisor::ir
