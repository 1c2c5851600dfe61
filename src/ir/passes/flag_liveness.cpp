#include "ir/passes/flag_liveness.h"

namespace armvisor::ir {

u8 flags_written(const Inst& inst) {
  switch (inst.op) {
    case Op::AddF:
    case Op::SubF:
    case Op::AdcF:
    case Op::SbcF: return inst.attr & k_flags_all;
    case Op::SetNZ:
    case Op::SetNZ64: return k_flag_n | k_flag_z;
    case Op::SetC: return k_flag_c;
    case Op::SetNZCV:
    case Op::FpscrToFlags: return k_flags_all;
    default: return 0;  // WriteCpsr may leave flags alone
  }
}

namespace {

u8 flags_read(const Inst& inst) {
  switch (inst.op) {
    case Op::SkipUnless: return flags_read_by(inst.attr);
    case Op::CondValue: return flags_read_by(static_cast<u8>(inst.imm));
    case Op::Adc:
    case Op::Sbc:
    case Op::AdcF:
    case Op::SbcF:
    case Op::Rrx:
    case Op::GetC:
    case Op::ShlCarry:
    case Op::ShrCarry:
    case Op::SarCarry:
    case Op::RorCarry: return k_flag_c;
    default: break;
  }
  return info(inst.op).effects & (FlagsR | Mem | Trap | Exit) ? k_flags_all : 0;
}

}  // namespace

u8 flags_read_by(u8 cond) {
  switch (cond >> 1) {
    case 0: return k_flag_z;
    case 1: return k_flag_c;
    case 2: return k_flag_n;
    case 3: return k_flag_v;
    case 4: return k_flag_c | k_flag_z;
    case 5: return k_flag_n | k_flag_v;
    case 6: return k_flag_n | k_flag_z | k_flag_v;
    default: return 0;
  }
}

std::vector<u8> needed_flags(const Block& block) {
  std::vector<u8> needed(block.insts.size(), 0);
  std::vector<u8> at_label(block.label_count, k_flags_all);
  u8 live = k_flags_all;
  for (std::size_t k = block.insts.size(); k-- > 0;) {
    const Inst& inst = block.insts[k];
    if (inst.op == Op::Label) {
      at_label[inst.imm] = live;
      continue;
    }
    const u8 written = flags_written(inst);
    needed[k] = written & live;
    live = static_cast<u8>((live & ~written) | flags_read(inst));
    if (inst.op == Op::SkipIf || inst.op == Op::SkipUnless) live |= at_label[inst.imm];
  }
  return needed;
}

}  // namespace armvisor::ir
