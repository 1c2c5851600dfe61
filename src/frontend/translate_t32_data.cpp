// 32-bit Thumb data processing (ARM DDI 0406C A6.3.1, A6.3.3, A6.3.11). Register choices that the manual makes
// UNPREDICTABLE (SP and PC, in general) are refused here; the emitters are given what is allowed.
#include "base/bits.h"
#include "frontend/handlers.h"
#include "frontend/translate_t32_operands.h"
#include "frontend/translator.h"

namespace armvisor::frontend::t32 {
namespace {

/// How an operation may use SP.
enum class SpRule : u8 {
  None,  ///< not at all
  Both,  ///< as Rn, and as Rd when Rn is SP too (ADD, SUB)
};

bool registers_ok(SpRule rule, u32 d, u32 n) {
  if (d == 15 || n == 15) return false;
  if (rule == SpRule::Both) return d != 13 || n == 13;
  return d != 13 && n != 13;
}

void shifted_register(Translator& t, const auto& i, DataOp op, SpRule rule = SpRule::None) {
  const u32 d = i('d'), n = i('n'), m = i('m');
  const bool s = i('S') != 0;
  if (!registers_ok(rule, d, n) || bad_reg(m)) return t.unpredictable();
  if (d == 13 && (i('y') != 0 || i('i') > 3)) return t.unpredictable();
  t.data_processing(op, s, d, n, t.shifted_reg(m, i('y'), i('i'), s && Translator::takes_carry(op)));
}

void compare_register(Translator& t, const auto& i, DataOp op, bool sp_allowed) {
  const u32 n = i('n'), m = i('m');
  if (n == 15 || (n == 13 && !sp_allowed) || bad_reg(m)) return t.unpredictable();
  t.data_processing(op, true, 0, n, t.shifted_reg(m, i('y'), i('i'), Translator::takes_carry(op)));
}

void modified_immediate(Translator& t, const auto& i, DataOp op, SpRule rule = SpRule::None) {
  const u32 d = i('d'), n = i('n');
  const bool s = i('S') != 0;
  bool ok = false;
  const auto value = t.t32_modified_imm(i('i'), s && Translator::takes_carry(op), ok);
  if (!ok || !registers_ok(rule, d, n)) return t.unpredictable();
  t.data_processing(op, s, d, n, value);
}

void compare_immediate(Translator& t, const auto& i, DataOp op, bool sp_allowed) {
  const u32 n = i('n');
  bool ok = false;
  const auto value = t.t32_modified_imm(i('i'), Translator::takes_carry(op), ok);
  if (!ok || n == 15 || (n == 13 && !sp_allowed)) return t.unpredictable();
  t.data_processing(op, true, 0, n, value);
}

void move_immediate(Translator& t, const auto& i, DataOp op) {
  const bool s = i('S') != 0;
  bool ok = false;
  const auto value = t.t32_modified_imm(i('i'), s, ok);
  if (!ok || bad_reg(i('d'))) return t.unpredictable();
  t.data_processing(op, s, i('d'), 0u, value);
}

}  // namespace

// --- shifted register: <op>{S} <Rd>, <Rn>, <Rm>{, <shift> #<imm>}
void AND_reg(Translator& t, const fields::AND_reg& i) { shifted_register(t, i, DataOp::And); }
void TST_reg(Translator& t, const fields::TST_reg& i) { compare_register(t, i, DataOp::Tst, false); }
void BIC_reg(Translator& t, const fields::BIC_reg& i) { shifted_register(t, i, DataOp::Bic); }
void ORR_reg(Translator& t, const fields::ORR_reg& i) { shifted_register(t, i, DataOp::Orr); }
void RRX(Translator& t, const fields::RRX& i) {
  if (bad_reg(i('d')) || bad_reg(i('m'))) return t.unpredictable();
  const bool s = i('S') != 0;
  t.data_processing(DataOp::Mov, s, i('d'), 0u, t.shift_imm(t.reg(i('m')), Shift::RRX, 1, s));
}
/// MOV (register) and LSL, LSR, ASR, ROR (immediate). Only MOV without S may move from or to SP.
void MOV_reg(Translator& t, const fields::MOV_reg& i) {
  const u32 d = i('d'), m = i('m');
  const bool s = i('S') != 0, plain = i('y') == 0 && i('i') == 0;
  if (d == 15 || m == 15 || (d == 13 && m == 13)) return t.unpredictable();
  if ((s || !plain) && (d == 13 || m == 13)) return t.unpredictable();
  t.data_processing(DataOp::Mov, s, d, 0u, t.shifted_reg(m, i('y'), i('i'), s));
}
void ORN_reg(Translator& t, const fields::ORN_reg& i) { shifted_register(t, i, DataOp::Orn); }
void MVN_reg(Translator& t, const fields::MVN_reg& i) {
  if (bad_reg(i('d')) || bad_reg(i('m'))) return t.unpredictable();
  const bool s = i('S') != 0;
  t.data_processing(DataOp::Mvn, s, i('d'), 0u, t.shifted_reg(i('m'), i('y'), i('i'), s));
}
void EOR_reg(Translator& t, const fields::EOR_reg& i) { shifted_register(t, i, DataOp::Eor); }
void TEQ_reg(Translator& t, const fields::TEQ_reg& i) { compare_register(t, i, DataOp::Teq, false); }
void ADD_reg(Translator& t, const fields::ADD_reg& i) { shifted_register(t, i, DataOp::Add, SpRule::Both); }
void CMN_reg(Translator& t, const fields::CMN_reg& i) { compare_register(t, i, DataOp::Cmn, true); }
void ADC_reg(Translator& t, const fields::ADC_reg& i) { shifted_register(t, i, DataOp::Adc); }
void SBC_reg(Translator& t, const fields::SBC_reg& i) { shifted_register(t, i, DataOp::Sbc); }
void SUB_reg(Translator& t, const fields::SUB_reg& i) { shifted_register(t, i, DataOp::Sub, SpRule::Both); }
void CMP_reg(Translator& t, const fields::CMP_reg& i) { compare_register(t, i, DataOp::Cmp, true); }
void RSB_reg(Translator& t, const fields::RSB_reg& i) { shifted_register(t, i, DataOp::Rsb); }
void PKH(Translator& t, const fields::PKH& i) {
  if (any_bad(i('d'), i('n'), i('m'))) return t.unpredictable();
  t.pkh(i('y') != 0, i('d'), i('n'), i('m'), i('i'));
}

// --- modified immediate: <op>{S} <Rd>, <Rn>, #<const>
void AND_imm(Translator& t, const fields::AND_imm& i) { modified_immediate(t, i, DataOp::And); }
void TST_imm(Translator& t, const fields::TST_imm& i) { compare_immediate(t, i, DataOp::Tst, false); }
void BIC_imm(Translator& t, const fields::BIC_imm& i) { modified_immediate(t, i, DataOp::Bic); }
void ORR_imm(Translator& t, const fields::ORR_imm& i) { modified_immediate(t, i, DataOp::Orr); }
void MOV_imm(Translator& t, const fields::MOV_imm& i) { move_immediate(t, i, DataOp::Mov); }
void ORN_imm(Translator& t, const fields::ORN_imm& i) { modified_immediate(t, i, DataOp::Orn); }
void MVN_imm(Translator& t, const fields::MVN_imm& i) { move_immediate(t, i, DataOp::Mvn); }
void EOR_imm(Translator& t, const fields::EOR_imm& i) { modified_immediate(t, i, DataOp::Eor); }
void TEQ_imm(Translator& t, const fields::TEQ_imm& i) { compare_immediate(t, i, DataOp::Teq, false); }
void ADD_imm(Translator& t, const fields::ADD_imm& i) { modified_immediate(t, i, DataOp::Add, SpRule::Both); }
void CMN_imm(Translator& t, const fields::CMN_imm& i) { compare_immediate(t, i, DataOp::Cmn, true); }
void ADC_imm(Translator& t, const fields::ADC_imm& i) { modified_immediate(t, i, DataOp::Adc); }
void SBC_imm(Translator& t, const fields::SBC_imm& i) { modified_immediate(t, i, DataOp::Sbc); }
void SUB_imm(Translator& t, const fields::SUB_imm& i) { modified_immediate(t, i, DataOp::Sub, SpRule::Both); }
void CMP_imm(Translator& t, const fields::CMP_imm& i) { compare_immediate(t, i, DataOp::Cmp, true); }
void RSB_imm(Translator& t, const fields::RSB_imm& i) { modified_immediate(t, i, DataOp::Rsb); }

// --- plain binary immediate
void ADDW(Translator& t, const fields::ADDW& i) {
  if (!registers_ok(SpRule::Both, i('d'), i('n'))) return t.unpredictable();
  t.data_processing(DataOp::Add, false, i('d'), i('n'), Translator::imm(i('i')));
}
void ADR_add(Translator& t, const fields::ADR_add& i) {
  if (bad_reg(i('d'))) return t.unpredictable();
  t.add_sub_pc_aligned(i('d'), true, i('i'));
}
void MOVW(Translator& t, const fields::MOVW& i) {
  if (bad_reg(i('d'))) return t.unpredictable();
  t.move_to(i('d'), Translator::imm(i('k') << 12 | i('i')));
}
void SUBW(Translator& t, const fields::SUBW& i) {
  if (!registers_ok(SpRule::Both, i('d'), i('n'))) return t.unpredictable();
  t.data_processing(DataOp::Sub, false, i('d'), i('n'), Translator::imm(i('i')));
}
void ADR_sub(Translator& t, const fields::ADR_sub& i) {
  if (bad_reg(i('d'))) return t.unpredictable();
  t.add_sub_pc_aligned(i('d'), false, i('i'));
}
void MOVT(Translator& t, const fields::MOVT& i) {
  if (bad_reg(i('d'))) return t.unpredictable();
  t.movt(i('d'), i('k') << 12 | i('i'));
}
void SSAT(Translator& t, const fields::SSAT& i) {
  // sh set with a shift of 0 is SSAT16's space; with its should-be-zero bits set it is UNDEFINED.
  if (i('y') && i('i') == 0) return t.undefined();
  if (any_bad(i('d'), i('n'))) return t.unpredictable();
  t.saturate(false, i('d'), i('w') + 1, i('n'), i('y') != 0, i('i'));
}
void SSAT16(Translator& t, const fields::SSAT16& i) {
  if (any_bad(i('d'), i('n'))) return t.unpredictable();
  t.saturate16(false, i('d'), i('w') + 1, i('n'));
}
void SBFX(Translator& t, const fields::SBFX& i) {
  if (any_bad(i('d'), i('n')) || i('i') + i('w') > 31) return t.unpredictable();
  t.bfx(false, i('d'), i('n'), i('i'), i('w') + 1);
}
void BFI(Translator& t, const fields::BFI& i) {
  if (any_bad(i('d'), i('n')) || i('w') < i('i')) return t.unpredictable();
  t.bfi(i('d'), i('n'), i('i'), i('w') - i('i') + 1);
}
void BFC(Translator& t, const fields::BFC& i) {
  if (bad_reg(i('d')) || i('w') < i('i')) return t.unpredictable();
  t.bfi(i('d'), 15, i('i'), i('w') - i('i') + 1);
}
void USAT(Translator& t, const fields::USAT& i) {
  if (i('y') && i('i') == 0) return t.undefined();
  if (any_bad(i('d'), i('n'))) return t.unpredictable();
  t.saturate(true, i('d'), i('w'), i('n'), i('y') != 0, i('i'));
}
void USAT16(Translator& t, const fields::USAT16& i) {
  if (any_bad(i('d'), i('n'))) return t.unpredictable();
  t.saturate16(true, i('d'), i('w'), i('n'));
}
void UBFX(Translator& t, const fields::UBFX& i) {
  if (any_bad(i('d'), i('n')) || i('i') + i('w') > 31) return t.unpredictable();
  t.bfx(true, i('d'), i('n'), i('i'), i('w') + 1);
}

}  // namespace armvisor::frontend::t32
