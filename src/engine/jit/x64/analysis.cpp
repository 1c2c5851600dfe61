// What the emitter knows of a block before it emits: where temps live, which flags are ever looked at.
#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {
namespace {

constexpr u8 k_all_flags = 15, k_flag_c = 2;

bool is_fp(const ir::Inst& i) { return i.op >= ir::Op::FAdd32 && i.op <= ir::Op::FixedToF64; }
bool writes_flags(ir::Op op) { return ir::info(op).effects & ir::FlagsW; }

}  // namespace

void Emitter::analyse() {
  analyse_temps();
  analyse_flags();
}

void Emitter::analyse_temps() {
  temps_.assign(block_->temp_count, {});
  std::vector<int> label_positions;
  const auto& insts = block_->insts;
  for (u32 k = 0; k < insts.size(); ++k) {
    const Inst& i = insts[k];
    if (i.op == Op::Label) label_positions.push_back(static_cast<int>(k));
    const bool service =
        !runs_inline(i) || i.op == Op::ExitReturn || is_fp(i);  // the slow path of FP instructions is a service
    for (Value v : {i.a, i.b, i.c}) {
      if (!v.is_temp()) continue;
      temps_[v.temp_number()].last = static_cast<int>(k);
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
    if (t.memory || t.def != static_cast<int>(k) || busy_until > t.def) continue;
    t.in_reg = true;
    busy_until = t.last;
  }
}

void Emitter::analyse_flags() {
  const auto& insts = block_->insts;
  flags_needed_.assign(insts.size(), k_all_flags);
  std::vector<u8> at_label(block_->label_count, 0);
  u8 live = k_all_flags;
  for (u32 k = static_cast<u32>(insts.size()); k-- > 0;) {
    const Inst& i = insts[k];
    const u8 effects = ir::info(i.op).effects;
    if (effects & (ir::Exit | ir::Mem | ir::Trap))
      live = k_all_flags;
    else if (i.op == Op::Label)
      at_label[i.imm] = live;
    else if (i.op == Op::SkipIf)
      live |= at_label[i.imm];
    else if (i.op == Op::SkipUnless)
      live |= at_label[i.imm] | (skip_is_fused(k) ? 0 : k_all_flags);
    else if (writes_flags(i.op) && runs_inline(i)) {
      flags_needed_[k] = options_.dead_flags ? (i.attr & live) : i.attr;
      live &= static_cast<u8>(~i.attr);
      if (effects & ir::FlagsR) live |= k_flag_c;
    } else if (effects & ir::FlagsR) {
      live |= i.op == Op::CondValue || !runs_inline(i) ? k_all_flags : k_flag_c;
    }
  }
}

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

bool Emitter::skip_is_fused(u32 index) const {
  if (index == 0 || !options_.fuse_compare) return false;
  const Inst& skip = block_->insts[index];
  u32 k = index - 1;
  while (k > 0 && block_->insts[k].op == Op::Insn) --k;
  u8 cc = 0;
  return skip.op == Op::SkipUnless &&
         host_condition(flags_kind(block_->insts[k]), static_cast<arm::Cond>(skip.attr), cc);
}

bool Emitter::runs_inline(const Inst& i) const {
  switch (i.op) {
    case Op::SetGE:
    case Op::AddOverflow:
    case Op::QAdd:
    case Op::QSub:
    case Op::SSat:
    case Op::USat:
    case Op::SSat16:
    case Op::USat16:
    case Op::Parallel:
    case Op::Sel:
    case Op::Usad8:
    case Op::LoadEx:
    case Op::LoadEx64:
    case Op::StoreEx:
    case Op::StoreEx64:
    case Op::ClearEx:
    case Op::ReadCpsr:
    case Op::WriteCpsr:
    case Op::ReadSpsr:
    case Op::WriteSpsr:
    case Op::ReadModeReg:
    case Op::WriteModeReg:
    case Op::SetEndian:
    case Op::SetIt:
    case Op::ReadSys:
    case Op::WriteSys:
    case Op::ReadSys64:
    case Op::WriteSys64:
    case Op::ReadFpscr:
    case Op::WriteFpscr:

    case Op::WriteFpexc:
    case Op::Sev: return false;
    case Op::Vector:
    case Op::VGetLane:
    case Op::VSetLane:
    case Op::VDup:
    case Op::Fence: return false;
    default: break;
  }
  if (i.op == Op::FNeg32 || i.op == Op::FAbs32 || i.op == Op::FNeg64 || i.op == Op::FAbs64) return true;
  return !is_fp(i) || fp_runs_inline(i);
}

}  // namespace armvisor::engine::jit
