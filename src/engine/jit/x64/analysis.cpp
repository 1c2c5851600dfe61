// What the emitter knows of a block before it emits: where temps live, which flags are ever looked at.
#include <algorithm>

#include "engine/jit/x64/emitter.h"
#include "engine/jit/x64/plan/in_place.h"
#include "ir/passes/flag_liveness.h"

namespace armvisor::engine::jit {
void Emitter::analyse() {
  analyse_temps();
  choose_copies();
  choose_units();
  analyse_flags();
}

/// Gives the host registers that no temp has to the guest registers without one that the block uses most. A region
/// also takes the host registers of guest registers that it uses less.
void Emitter::choose_copies() {
  if (!options_.register_copies) return;
  std::array<u32, 15> uses{}, pinned_uses{};
  std::array<bool, 15> written{};
  u32 weight = 1;
  const auto used = [&](Value v) {
    if (v.is_reg()) (k_pinned[v.reg_number()] == k_not_pinned ? uses : pinned_uses)[v.reg_number()] += weight;
  };
  for (const Inst& i : block_->insts) {
    if (i.op == Op::Head) weight = 1u << std::min(4 * i.attr2, 20);
    for (const Value v : {i.a, i.b, i.c}) used(v);
    if (!i.dst.is_reg()) continue;
    if (region_) used(i.dst);  // elsewhere a write goes to memory just the same
    written[i.dst.reg_number()] = true;
  }
  const auto add = [&](auto most, int host, int owner) {
    const auto guest = static_cast<u32>(most - uses.begin());
    guest_host_[guest] = host;
    copies_.push_back({guest, host, owner, written[guest]});
    *most = 0;
  };
  u32 temp_uses = 0;
  for (const TempInfo& t : temps_) temp_uses += t.in_reg ? static_cast<u32>(t.uses) : 0;
  for (const int host : k_copies) {
    const auto most = std::max_element(uses.begin(), uses.end());
    if (*most < 2 || (host == k_temp && *most <= temp_uses)) break;
    add(most, host, -1);
    if (host != k_temp) continue;
    for (TempInfo& t : temps_) t.in_reg = false;
  }
  while (region_) {
    const auto most = std::max_element(uses.begin(), uses.end());
    u32 owner = 0;
    for (u32 n = 1; n < k_pinned.size(); ++n)
      if (guest_host_[n] == k_pinned[n] && guest_host_[n] != k_not_pinned &&
          (guest_host_[owner] != k_pinned[owner] || pinned_uses[n] < pinned_uses[owner]))
        owner = n;
    if (*most <= pinned_uses[owner] || guest_host_[owner] != k_pinned[owner]) break;
    guest_host_[owner] = k_not_pinned;
    add(most, k_pinned[owner], static_cast<int>(owner));
  }
}

void Emitter::load_copies() {
  for (const Copy& c : copies_) mov(Reg32(c.host), guest(c.guest));
}

void Emitter::park() {
  if (!region_) return;
  if (!cold_dirty_) {
    store_dirty(dirty_units());
    xmm_.set_dirty(0);
  } else {
    store_dirty(*cold_dirty_);
  }
  for (const Copy& c : copies_) {
    if (c.written) mov(guest(c.guest), Reg32(c.host));
    if (c.owner >= 0) mov(Reg32(c.host), guest(static_cast<u32>(c.owner)));
  }
}

void Emitter::analyse_temps() {
  temps_.assign(block_->temp_count, {});
  analyse_xmm();
  std::vector<int> label_positions;
  const auto& insts = block_->insts;
  for (u32 k = 0; k < insts.size(); ++k) {
    const Inst& i = insts[k];
    if (i.op == Op::Label) label_positions.push_back(static_cast<int>(k));
    const bool service =
        !runs_inline(i) || i.op == Op::ExitReturn || is_fp(i.op);  // the slow path of FP instructions is a service
    for (Value v : {i.a, i.b, i.c}) {
      if (!v.is_temp()) continue;
      temps_[v.temp_number()].last = static_cast<int>(k);
      ++temps_[v.temp_number()].uses;
      temps_[v.temp_number()].memory |= service;
    }
    if (!i.dst.is_temp()) continue;
    TempInfo& t = temps_[i.dst.temp_number()];
    t.memory |= service || t.def >= 0 || ir::info(i.op).result == ir::Type::V128;
    if (t.def < 0) t.def = static_cast<int>(k);
    if (t.last < static_cast<int>(k)) t.last = static_cast<int>(k);
  }
  for (TempInfo& t : temps_)
    for (int label : label_positions) t.memory |= t.def < label && label < t.last;
  int busy_until = -1;
  for (u32 k = 0; k < insts.size(); ++k) {
    if (!insts[k].dst.is_temp()) continue;
    TempInfo& t = temps_[insts[k].dst.temp_number()];
    if (!t.memory && t.uses == 1 && t.last == static_cast<int>(k) + 1 && is_access(insts[k + 1].op) &&
        insts[k + 1].a == insts[k].dst && insts[k + 1].b != insts[k].dst) {
      t.in_eax = true;
      continue;
    }
    t.in_ecx = is_next_operand(k);
    t.in_eax = is_split(k);
    t.folded = is_folded_shift(k);
    if (t.memory || t.in_eax || t.in_ecx || t.folded || t.def != static_cast<int>(k) || busy_until > t.def) continue;
    t.in_reg = true;
    busy_until = t.last;
  }
}

/// The instruction at `index` makes, in whatever register, what the next one adds, compares or the like, and only that.
bool Emitter::is_next_operand(u32 index) const {
  const auto& insts = block_->insts;
  const Inst& i = insts[index];
  const TempInfo& t = temps_[i.dst.temp_number()];
  if (t.memory || t.uses != 1 || t.last != static_cast<int>(index) + 1 || is_folded_shift(index)) return false;
  switch (i.op) {
    case Op::Shl:
    case Op::Shr:
    case Op::Sar:
    case Op::Ror:
      if (!i.b.is_imm()) return false;
      break;
    case Op::Not:
    case Op::SExt8:
    case Op::SExt16:
    case Op::ZExt8:
    case Op::ZExt16: break;
    default: return false;
  }
  const Inst& next = insts[index + 1];
  switch (next.op) {
    case Op::Add:
    case Op::Sub:
    case Op::And:
    case Op::Or:
    case Op::Xor:
    case Op::AddF:
    case Op::SubF: return next.b == i.dst && next.a != i.dst;
    default: return false;
  }
}

/// The instruction at `index` makes a doubleword whose halves the next two take, and nothing else does.
bool Emitter::is_split(u32 index) const {
  const auto& insts = block_->insts;
  const Op op = insts[index].op;
  if (op != Op::MulU64 && op != Op::MulS64 && op != Op::Add64 && op != Op::Sub64 && op != Op::Load64) return false;
  const Value whole = insts[index].dst;
  const TempInfo& t = temps_[whole.temp_number()];
  return !t.memory && t.uses == 2 && index + 2 < insts.size() && insts[index + 1].op == Op::Lo32 &&
         insts[index + 1].a == whole && insts[index + 2].op == Op::Hi32 && insts[index + 2].a == whole;
}

/// The instruction at `index` shifts a guest register by what an address on the host can, and the next one adds that.
bool Emitter::is_folded_shift(u32 index) const {
  const auto& insts = block_->insts;
  const Inst& shift = insts[index];
  if (!options_.fold_shifts || shift.op != Op::Shl || !shift.a.is_reg() || !shift.b.is_imm() || shift.imm < 1 ||
      shift.imm > 3 || index + 1 == insts.size())
    return false;
  const TempInfo& t = temps_[shift.dst.temp_number()];
  const Inst& add = insts[index + 1];
  return !t.memory && t.uses == 1 && add.op == Op::Add && add.b == shift.dst && add.a.is_reg();
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
