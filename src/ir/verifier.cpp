// What verify() checks:
//  1. every operand that the opcode's line names is present and of its type, and no other is; a Vector's second and
//     third operands, and the result of an op with effects, may be none;
//  2. at most one operand is the immediate, and none where Inst::imm is an attribute; 32-bit constants fit;
//  3. guest registers are I32; a temp has one type, a number below temp_count, and is written before it is read on
//     every path, once per path;
//  4. labels are below label_count, defined once, after every skip to them, and used by at least one skip or none;
//  5. memory sizes, alignments, masks and conditions are in range;
//  6. control does not fall out of the end, and an Insn starts before the first instruction that may raise;
//  7. what is marked as moving with the block is a 32-bit address where an opcode may have one, and an access has one;
//  8. a region begins with a Head; heads are defined once, and temps do not outlive the block that a Head begins.
#include <fmt/core.h>

#include <bit>

#include "base/assert.h"
#include "ir/access.h"

namespace armvisor::ir {
namespace {

class Verifier {
 public:
  explicit Verifier(const Block& block)
      : block_(block),
        types_(block.temp_count, Type::V),
        written_(block.temp_count, false),
        labels_(block.label_count),
        heads_(block.head_count, false) {}

  std::string run() {
    for (const Inst& inst : block_.insts) {
      if (inst.op >= Op::Count) return at("opcode out of range");
      if (const char* problem = check(inst)) return at(problem);
      ++index_;
    }
    if (reachable_) return "end: control falls out of the block";
    for (u32 k = 0; k < heads_.size(); ++k)
      if (!heads_[k]) return fmt::format("end: head {} is not defined", k);
    for (u32 k = 0; k < labels_.size(); ++k)
      if (labels_[k].skipped_to && !labels_[k].defined)
        return fmt::format("end: label {} is skipped to but not defined", k);
    return {};
  }

 private:
  struct LabelState {
    bool defined = false, skipped_to = false;
    std::vector<bool> written;  ///< temps written on every path that skips here
  };

  std::string at(const char* problem) const {
    Block one;
    one.insts.push_back(block_.insts[index_]);
    std::string text = block_.insts[index_].op < Op::Count ? print(one) : std::string("\n?\n");
    text = text.substr(text.find('\n') + 1);
    return fmt::format("instruction {}: {}: {}", index_, problem, text.substr(0, text.find('\n')));
  }

  const char* check(const Inst& inst) {
    if (inst.op == Op::Label) return check_label(inst);
    if (inst.op == Op::Head) return check_head(inst);
    if (!reachable_) return "not reachable: only a label or a head may follow an exit";
    if (index_ == 0 && !heads_.empty()) return "a region begins with a head";
    if (inst.op == Op::Goto && inst.imm >= heads_.size()) return "head number out of range";
    if (const char* problem = check_operands(inst)) return problem;
    if (const char* problem = check_attributes(inst)) return problem;
    if (const char* problem = check_moves(inst)) return problem;
    if (const char* problem = check_result(inst)) return problem;
    if (inst.op == Op::Insn) in_insn_ = true;
    if (!in_insn_ && (info(inst.op).effects & (Effect::Mem | Effect::Trap | Effect::Exit)))
      return "may raise or exit before the first Insn";
    if (inst.op == Op::SkipIf || inst.op == Op::SkipUnless) return check_skip(inst);
    if (info(inst.op).effects & Effect::Exit) reachable_ = false;
    return nullptr;
  }

  const char* check_operands(const Inst& inst) {
    const Value operands[] = {inst.a, inst.b, inst.c};
    int immediates = 0;
    for (int k = 0; k < 3; ++k) {
      const Type type = info(inst.op).operand[k];
      const Value v = operands[k];
      if (v.is_none()) {
        if (type != Type::V && !(inst.op == Op::Vector && k > 0)) return "operand missing";
        continue;
      }
      if (type == Type::V) return "too many operands";
      if (v.is_imm()) {
        if (imm_is_attribute(inst.op)) return "immediate operand where imm is an attribute";
        if (++immediates > 1) return "more than one immediate operand";
        if (type == Type::V128) return "immediate vector";
        if (type == Type::I32 && inst.imm > 0xffffffff) return "32-bit immediate does not fit";
      } else if (const char* problem = check_read(v, type)) {
        return problem;
      }
    }
    return nullptr;
  }

  const char* check_read(Value v, Type type) {
    if (v.is_reg()) return type == Type::I32 ? nullptr : "guest register where the type is not I32";
    if (!v.is_temp()) return "malformed operand";
    const u32 t = v.temp_number();
    if (t >= block_.temp_count) return "temp number out of range";
    if (!written_[t]) return "temp is read before it is written on some path";
    return types_[t] == type ? nullptr : "temp of another type";
  }

  const char* check_result(const Inst& inst) {
    const OpInfo& op = info(inst.op);
    if (inst.dst.is_none()) {
      const bool may_lack = op.effects != Effect::Pure && op.effects != Effect::FlagsR;
      return op.result == Type::V || may_lack ? nullptr : "result missing";
    }
    if (op.result == Type::V) return "result of an op that has none";
    if (inst.dst.is_reg()) return op.result == Type::I32 ? nullptr : "guest register where the type is not I32";
    if (!inst.dst.is_temp()) return "malformed result";
    const u32 t = inst.dst.temp_number();
    if (t >= block_.temp_count) return "temp number out of range";
    if (written_[t]) return "temp is written twice on a path";
    if (types_[t] != Type::V && types_[t] != op.result) return "temp of two types";
    types_[t] = op.result;
    written_[t] = true;
    return nullptr;
  }

  static const char* check_access(const Access& access) {
    if (!std::has_single_bit(access.alignment)) return "alignment is not a power of two";
    return access.element != 0 ? nullptr : "more elements than bytes";
  }

  static const char* check_attributes(const Inst& inst) {
    const OpInfo& op = info(inst.op);
    const u32 size = inst.attr & MemAttr::size_mask;
    switch (inst.op) {
      case Op::Load:
      case Op::Store:
        if (size != 1 && size != 2 && size != 4) return "size is not 1, 2 or 4";
        return check_access(access_of(inst));
      case Op::Load64:
      case Op::Store64: return size == 8 ? check_access(access_of(inst)) : "size is not 8";
      case Op::LoadEx:
      case Op::StoreEx: return size == 1 || size == 2 || size == 4 ? nullptr : "size is not 1, 2 or 4";
      case Op::LoadEx64:
      case Op::StoreEx64: return size == 8 ? nullptr : "size is not 8";
      case Op::SkipUnless: return inst.attr < 16 ? nullptr : "condition out of range";
      case Op::CondValue: return inst.imm < 15 ? nullptr : "condition out of range";
      case Op::AddF:
      case Op::SubF:
      case Op::AdcF:
      case Op::SbcF: return inst.attr < 16 ? nullptr : "flag mask out of range";
      case Op::Insn: return inst.attr == 2 || inst.attr == 4 ? nullptr : "instruction size is not 2 or 4";
      case Op::Shl:
      case Op::Shr:
      case Op::Sar:
      case Op::Ror: return inst.b.is_imm() && inst.imm > 31 ? "shift amount over 31" : nullptr;
      default: return op.effects & Effect::Mem ? "memory operation without a rule" : nullptr;
    }
  }

  static const char* check_moves(const Inst& inst) {
    const bool imm = inst.moves & Moves::imm, disp = inst.moves & Moves::disp;
    if (!imm && !disp) return nullptr;
    if ((imm && !imm_may_move(inst.op)) || (disp && !disp_may_move(inst.op))) return "an address where none may be";
    if (imm && inst.imm > 0xffffffff) return "an address of more than 32 bits";
    const bool is_operand = inst.a.is_imm() || inst.b.is_imm();
    if (imm && !imm_is_attribute(inst.op) && !is_operand) return "an address that is no operand";
    if (imm && inst.b.is_imm() && info(inst.op).operand[1] != Type::I32) return "an address as a 64-bit operand";
    const bool sum = imm && disp && (info(inst.op).effects & Effect::Mem) && inst.a.is_imm();
    return sum ? "the sum of two addresses" : nullptr;
  }

  const char* check_skip(const Inst& inst) {
    if (inst.imm >= block_.label_count) return "label number out of range";
    LabelState& label = labels_[inst.imm];
    if (label.defined) return "skip backwards";
    merge(label);
    if (inst.op == Op::SkipUnless && inst.attr == 15) reachable_ = false;
    return nullptr;
  }

  void merge(LabelState& label) {
    if (!label.skipped_to) {
      label.written = written_;
    } else {
      for (u32 t = 0; t < written_.size(); ++t) label.written[t] = label.written[t] && written_[t];
    }
    label.skipped_to = true;
  }

  const char* check_head(const Inst& inst) {
    if (inst.imm >= heads_.size()) return "head number out of range";
    if (heads_[inst.imm]) return "head is defined twice";
    heads_[inst.imm] = true;
    written_.assign(written_.size(), false);
    reachable_ = true;
    in_insn_ = false;
    return nullptr;
  }

  const char* check_label(const Inst& inst) {
    if (inst.imm >= block_.label_count) return "label number out of range";
    LabelState& label = labels_[inst.imm];
    if (label.defined) return "label is defined twice";
    label.defined = true;
    if (reachable_) merge(label);
    if (!label.skipped_to) return nullptr;
    written_ = label.written;
    reachable_ = true;
    return nullptr;
  }

  const Block& block_;
  std::vector<Type> types_;
  std::vector<bool> written_;
  std::vector<LabelState> labels_;
  std::vector<bool> heads_;
  std::size_t index_ = 0;
  bool reachable_ = true;
  bool in_insn_ = false;
};

}  // namespace

std::string verify(const Block& block) { return Verifier(block).run(); }

void assert_valid([[maybe_unused]] const Block& block) {
#ifndef NDEBUG
  const std::string problem = verify(block);
  if (!problem.empty()) assertion_failed((problem + "\n" + print(block)).c_str(), __FILE__, __LINE__);
#endif
}

}  // namespace armvisor::ir
