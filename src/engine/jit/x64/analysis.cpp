// What the emitter knows of a block before it emits: where temps live, which flags are ever looked at.
#include <algorithm>

#include "engine/jit/x64/emitter.h"
#include "engine/jit/x64/plan/in_place.h"
#include "ir/passes/flag_liveness.h"

namespace armvisor::engine::jit {
void Emitter::analyse() { analyse_flags(); }

void Emitter::load_copies() {
  for (const Copy& c : plan_.registers.copies) mov(Reg32(c.host), guest(c.guest));
}

void Emitter::park() {
  if (!region_) return;
  if (!cold_dirty_) {
    store_dirty(dirty_units());
    xmm_.set_dirty(0);
  } else {
    store_dirty(*cold_dirty_);
  }
  for (const Copy& c : plan_.registers.copies) {
    if (c.written) mov(guest(c.guest), Reg32(c.host));
    if (c.owner >= 0) mov(Reg32(c.host), guest(static_cast<u32>(c.owner)));
  }
}

/// The side exit at `index` leads to the instruction it stands in or to one before.
bool Emitter::is_backward(u32 index) const { return block_->insts[index + 1].imm <= insn_address(*block_, index); }

Emitter::HostFlags Emitter::flags_kind(const Inst& i) {
  switch (i.op) {
    case Op::AddF:
    case Op::AdcF: return HostFlags::Add;
    case Op::SubF:
    case Op::SbcF: return HostFlags::Sub;
    case Op::SetNZ: return HostFlags::Logic;
    default: return HostFlags::None;
  }
}

bool Emitter::host_condition(HostFlags kind, arm::Cond cond, u8& cc) {
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

/// The instruction whose carry is still in the host's when the one at `index` wants it, or -1.
int Emitter::carry_at_host(u32 index) const {
  const auto& insts = block_->insts;
  const Op op = insts[index].op;
  if (!options_.fuse_carry || (op != Op::Adc && op != Op::Sbc && op != Op::AdcF && op != Op::SbcF)) return -1;
  u32 k = index;
  do {
    if (k-- == 0) return -1;
  } while (insts[k].op == Op::Insn);
  const HostFlags kind = flags_kind(insts[k]);
  return (kind == HostFlags::Add || kind == HostFlags::Sub) && insts[k].attr & ir::k_flag_c ? static_cast<int>(k) : -1;
}

int Emitter::find_flags_at_host(u32 index) const {
  const auto& insts = block_->insts;
  const bool is_value = insts[index].op == Op::CondValue;
  if (index == 0 || !options_.fuse_compare || (!is_value && insts[index].op != Op::SkipUnless)) return -1;
  // Conditions on the way were decided by the same flags, so that nothing but moves and jumps stands between, and
  // values of conditions, whose code leaves the host's flags.
  std::vector<u8> conditions = {is_value ? static_cast<u8>(insts[index].imm) : insts[index].attr};
  int k = static_cast<int>(index) - 1;
  while (k >= 0) {
    const Inst& i = insts[static_cast<u32>(k)];
    const bool is_earlier_value = i.op == Op::CondValue && at_host_[static_cast<u32>(k)] >= 0;
    if (i.op == Op::Insn || (i.op == Op::Mov && !i.dst.is_none()) || is_earlier_value) {
      --k;
    } else if (i.op == Op::Label) {
      int skip = k - 1;
      while (skip >= 0 &&
             (insts[static_cast<u32>(skip)].op == Op::Mov || insts[static_cast<u32>(skip)].op == Op::Insn ||
              insts[static_cast<u32>(skip)].op == Op::ExitJump))
        --skip;
      if (skip < 0 || insts[static_cast<u32>(skip)].op != Op::SkipUnless || insts[static_cast<u32>(skip)].imm != i.imm)
        return -1;
      conditions.push_back(insts[static_cast<u32>(skip)].attr);
      k = skip - 1;
    } else {
      const HostFlags kind = flags_kind(i);
      u8 cc = 0;
      for (const u8 c : conditions)
        if (!host_condition(kind, static_cast<arm::Cond>(c), cc)) return -1;
      return k;
    }
  }
  return -1;
}

}  // namespace armvisor::engine::jit
