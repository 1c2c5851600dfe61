// 16-bit Thumb instructions (ARM DDI 0406C A6.2): operands decoded, semantics by the shared emitters. Most set the
// flags exactly when they stand outside an IT block.
#include <bit>

#include "base/bits.h"
#include "frontend/handlers.h"
#include "frontend/translator.h"

namespace armvisor::frontend::t16 {
namespace {

bool sets_flags(const Translator& t) { return !t.in_it(); }

void shift_immediate(Translator& t, const auto& i, u32 type) {
  const bool s = sets_flags(t);
  t.data_processing(DataOp::Mov, s, i('d'), 0, t.shifted_reg(i('m'), type, i('i'), s));
}

void shift_register(Translator& t, const auto& i, Shift type) {
  const bool s = sets_flags(t);
  t.data_processing(DataOp::Mov, s, i('d'), 0, t.shift_reg(t.reg(i('d')), type, t.reg(i('m')), s));
}

/// <op>S <Rdn>, <Rm>
void two_operand(Translator& t, const auto& i, DataOp op) {
  t.data_processing(op, sets_flags(t), i('d'), i('d'), t.reg(i('m')));
}

void compare(Translator& t, const auto& i, DataOp op) { t.data_processing(op, true, 0, i('n'), t.reg(i('m'))); }

void immediate(Translator& t, const auto& i, DataOp op, u32 n) {
  t.data_processing(op, sets_flags(t), i('d'), n, Translator::imm(i('i')));
}

Translator::Index offset_by(u32 n, Operand offset) { return {n, offset}; }

void load_immediate(Translator& t, const auto& i, u8 size) {
  t.load(i('t'), size, offset_by(i('n'), Translator::imm(i('i') * size)));
}
void store_immediate(Translator& t, const auto& i, u8 size) {
  t.store(i('t'), size, offset_by(i('n'), Translator::imm(i('i') * size)));
}
void load_register(Translator& t, const auto& i, u8 attr) { t.load(i('t'), attr, offset_by(i('n'), t.reg(i('m')))); }
void store_register(Translator& t, const auto& i, u8 size) { t.store(i('t'), size, offset_by(i('n'), t.reg(i('m')))); }

}  // namespace

// --- shift (immediate), add, subtract, move, compare
/// MOVS: UNPREDICTABLE in an IT block, where it moves and leaves the flags, as LSL by any other number does.
void MOV_reg_t2(Translator& t, const fields::MOV_reg_t2& i) {
  t.data_processing(DataOp::Mov, sets_flags(t), i('d'), 0, t.reg(i('m')));
}
void LSL_imm(Translator& t, const fields::LSL_imm& i) { shift_immediate(t, i, 0); }
void LSR_imm(Translator& t, const fields::LSR_imm& i) { shift_immediate(t, i, 1); }
void ASR_imm(Translator& t, const fields::ASR_imm& i) { shift_immediate(t, i, 2); }
void ADD_reg_t1(Translator& t, const fields::ADD_reg_t1& i) {
  t.data_processing(DataOp::Add, sets_flags(t), i('d'), i('n'), t.reg(i('m')));
}
void SUB_reg(Translator& t, const fields::SUB_reg& i) {
  t.data_processing(DataOp::Sub, sets_flags(t), i('d'), i('n'), t.reg(i('m')));
}
void ADD_imm_t1(Translator& t, const fields::ADD_imm_t1& i) { immediate(t, i, DataOp::Add, i('n')); }
void SUB_imm_t1(Translator& t, const fields::SUB_imm_t1& i) { immediate(t, i, DataOp::Sub, i('n')); }
void MOV_imm(Translator& t, const fields::MOV_imm& i) { immediate(t, i, DataOp::Mov, 0); }
void CMP_imm(Translator& t, const fields::CMP_imm& i) {
  t.data_processing(DataOp::Cmp, true, 0, i('n'), Translator::imm(i('i')));
}
void ADD_imm_t2(Translator& t, const fields::ADD_imm_t2& i) { immediate(t, i, DataOp::Add, i('d')); }
void SUB_imm_t2(Translator& t, const fields::SUB_imm_t2& i) { immediate(t, i, DataOp::Sub, i('d')); }

// --- data processing
void AND_reg(Translator& t, const fields::AND_reg& i) { two_operand(t, i, DataOp::And); }
void EOR_reg(Translator& t, const fields::EOR_reg& i) { two_operand(t, i, DataOp::Eor); }
void LSL_reg(Translator& t, const fields::LSL_reg& i) { shift_register(t, i, Shift::LSL); }
void LSR_reg(Translator& t, const fields::LSR_reg& i) { shift_register(t, i, Shift::LSR); }
void ASR_reg(Translator& t, const fields::ASR_reg& i) { shift_register(t, i, Shift::ASR); }
void ADC_reg(Translator& t, const fields::ADC_reg& i) { two_operand(t, i, DataOp::Adc); }
void SBC_reg(Translator& t, const fields::SBC_reg& i) { two_operand(t, i, DataOp::Sbc); }
void ROR_reg(Translator& t, const fields::ROR_reg& i) { shift_register(t, i, Shift::ROR); }
void TST_reg(Translator& t, const fields::TST_reg& i) { compare(t, i, DataOp::Tst); }
void RSB_imm(Translator& t, const fields::RSB_imm& i) {
  t.data_processing(DataOp::Rsb, sets_flags(t), i('d'), i('n'), Translator::imm(0));
}
void CMP_reg_t1(Translator& t, const fields::CMP_reg_t1& i) { compare(t, i, DataOp::Cmp); }
void CMN_reg(Translator& t, const fields::CMN_reg& i) { compare(t, i, DataOp::Cmn); }
void ORR_reg(Translator& t, const fields::ORR_reg& i) { two_operand(t, i, DataOp::Orr); }
void MUL(Translator& t, const fields::MUL& i) { t.multiply(sets_flags(t), i('d'), i('n'), i('d'), 15); }
void BIC_reg(Translator& t, const fields::BIC_reg& i) { two_operand(t, i, DataOp::Bic); }
void MVN_reg(Translator& t, const fields::MVN_reg& i) {
  t.data_processing(DataOp::Mvn, sets_flags(t), i('d'), 0, t.reg(i('m')));
}

// --- special data instructions and branch and exchange: any register, flags only by CMP
void ADD_reg_t2(Translator& t, const fields::ADD_reg_t2& i) {
  const u32 d = i('d'), m = i('m');
  if ((d == 15 && m == 15) || (d == 15 && t.inside_it())) return t.unpredictable();
  t.data_processing(DataOp::Add, false, d, d, t.reg(m));
}
/// Two of R0 to R7 are UNPREDICTABLE; they are compared, as by the other form.
void CMP_reg_t2(Translator& t, const fields::CMP_reg_t2& i) {
  if (i('n') == 15 || i('m') == 15) return t.unpredictable();
  compare(t, i, DataOp::Cmp);
}
void MOV_reg_t1(Translator& t, const fields::MOV_reg_t1& i) {
  const u32 d = i('d');
  if (d == 15 && t.inside_it()) return t.unpredictable();
  const u32 m = i('m');
  if (d == 15 && m == 14) return t.write_pc_alu(t.reg(m), BranchHint::Return);
  t.move_to(d, t.reg(m));
}
void BX(Translator& t, const fields::BX& i) {
  if (t.inside_it()) return t.unpredictable();
  t.bx(i('m'));
}
void BLX_reg(Translator& t, const fields::BLX_reg& i) {
  if (i('m') == 15 || t.inside_it()) return t.unpredictable();
  t.blx(i('m'));
}

// --- load and store of a single item
void LDR_lit(Translator& t, const fields::LDR_lit& i) { t.load(i('t'), 4, offset_by(15, Translator::imm(i('i') * 4))); }
void STR_reg(Translator& t, const fields::STR_reg& i) { store_register(t, i, 4); }
void STRH_reg(Translator& t, const fields::STRH_reg& i) { store_register(t, i, 2); }
void STRB_reg(Translator& t, const fields::STRB_reg& i) { store_register(t, i, 1); }
void LDRSB_reg(Translator& t, const fields::LDRSB_reg& i) { load_register(t, i, 1 | MemAttr::sign); }
void LDR_reg(Translator& t, const fields::LDR_reg& i) { load_register(t, i, 4); }
void LDRH_reg(Translator& t, const fields::LDRH_reg& i) { load_register(t, i, 2); }
void LDRB_reg(Translator& t, const fields::LDRB_reg& i) { load_register(t, i, 1); }
void LDRSH_reg(Translator& t, const fields::LDRSH_reg& i) { load_register(t, i, 2 | MemAttr::sign); }
void STR_imm_t1(Translator& t, const fields::STR_imm_t1& i) { store_immediate(t, i, 4); }
void LDR_imm_t1(Translator& t, const fields::LDR_imm_t1& i) { load_immediate(t, i, 4); }
void STRB_imm(Translator& t, const fields::STRB_imm& i) { store_immediate(t, i, 1); }
void LDRB_imm(Translator& t, const fields::LDRB_imm& i) { load_immediate(t, i, 1); }
void STRH_imm(Translator& t, const fields::STRH_imm& i) { store_immediate(t, i, 2); }
void LDRH_imm(Translator& t, const fields::LDRH_imm& i) { load_immediate(t, i, 2); }
void STR_imm_t2(Translator& t, const fields::STR_imm_t2& i) {
  t.store(i('t'), 4, offset_by(13, Translator::imm(i('i') * 4)));
}
void LDR_imm_t2(Translator& t, const fields::LDR_imm_t2& i) {
  t.load(i('t'), 4, offset_by(13, Translator::imm(i('i') * 4)));
}

// --- PC- and SP-relative addresses
void ADR(Translator& t, const fields::ADR& i) { t.add_sub_pc_aligned(i('d'), true, i('i') * 4); }
void ADD_SP_imm_t1(Translator& t, const fields::ADD_SP_imm_t1& i) {
  t.data_processing(DataOp::Add, false, i('d'), 13u, Translator::imm(i('i') * 4));
}
void ADD_SP_imm_t2(Translator& t, const fields::ADD_SP_imm_t2& i) {
  t.data_processing(DataOp::Add, false, 13, 13u, Translator::imm(i('i') * 4));
}
void SUB_SP_imm(Translator& t, const fields::SUB_SP_imm& i) {
  t.data_processing(DataOp::Sub, false, 13, 13u, Translator::imm(i('i') * 4));
}

// --- miscellaneous
void CBZ(Translator& t, const fields::CBZ& i) {
  if (t.in_it()) return t.unpredictable();
  t.compare_branch(false, i('n'), t.pc_value() + i('i') * 2);
}
void CBNZ(Translator& t, const fields::CBNZ& i) {
  if (t.in_it()) return t.unpredictable();
  t.compare_branch(true, i('n'), t.pc_value() + i('i') * 2);
}
void SXTH(Translator& t, const fields::SXTH& i) { t.extend(Extend::Sxth, i('d'), 15, i('m'), 0); }
void SXTB(Translator& t, const fields::SXTB& i) { t.extend(Extend::Sxtb, i('d'), 15, i('m'), 0); }
void UXTH(Translator& t, const fields::UXTH& i) { t.extend(Extend::Uxth, i('d'), 15, i('m'), 0); }
void UXTB(Translator& t, const fields::UXTB& i) { t.extend(Extend::Uxtb, i('d'), 15, i('m'), 0); }
void PUSH(Translator& t, const fields::PUSH& i) {
  const u32 list = i('r') | i('M') << 14;
  if (list == 0) return t.unpredictable();
  t.store_multiple(13, list, BlockMode::DB, true);
}
void POP(Translator& t, const fields::POP& i) {
  const u32 list = i('r') | i('M') << 15;
  if (list == 0 || (i('M') && t.inside_it())) return t.unpredictable();
  t.load_multiple(13, list, BlockMode::IA, true);
}
void SETEND(Translator& t, const fields::SETEND& i) {
  if (t.in_it()) return t.unpredictable();
  t.setend(i('e') != 0);
}
void CPS(Translator& t, const fields::CPS& i) {
  if (t.in_it()) return t.unpredictable();
  const u32 f = i('f');
  t.cps(2 | i('p'), bit<2>(f), bit<1>(f), bit<0>(f), false, 0);
}
void REV(Translator& t, const fields::REV& i) { t.unary(Op::Rev, i('d'), i('m')); }
void REV16(Translator& t, const fields::REV16& i) { t.unary(Op::Rev16, i('d'), i('m')); }
void REVSH(Translator& t, const fields::REVSH& i) { t.unary(Op::Revsh, i('d'), i('m')); }
void HLT(Translator& t, const fields::HLT& i) { t.hlt(i('i')); }
void BKPT(Translator& t, const fields::BKPT&) { t.bkpt(); }
void IT(Translator& t, const fields::IT& i) {
  const u32 it = i.raw() & 0xff, first = it >> 4;
  if (t.in_it() || first == 15 || (first == 14 && std::popcount(it & 15) != 1)) return t.unpredictable();
  t.set_it(static_cast<u8>(it));
}
void NOP(Translator& t, const fields::NOP&) { t.hint(0); }
void YIELD(Translator& t, const fields::YIELD&) { t.hint(1); }
void WFE(Translator& t, const fields::WFE&) { t.hint(2); }
void WFI(Translator& t, const fields::WFI&) { t.hint(3); }
void SEV(Translator& t, const fields::SEV&) { t.hint(4); }
void HINT(Translator& t, const fields::HINT& i) { t.hint(i('h')); }

// --- store and load multiple
void STM(Translator& t, const fields::STM& i) {
  if (i('r') == 0) return t.unpredictable();
  t.store_multiple(i('n'), i('r'), BlockMode::IA, true);
}
void LDM(Translator& t, const fields::LDM& i) {
  const u32 n = i('n'), list = i('r');
  if (list == 0) return t.unpredictable();
  t.load_multiple(n, list, BlockMode::IA, ((list >> n) & 1) == 0);
}

// --- branches and supervisor call
void B_t1(Translator& t, const fields::B_t1& i) {
  if (t.in_it()) return t.unpredictable();
  t.branch_cond(static_cast<Cond>(i('c')), t.pc_value() + sign_extend(i('i') << 1, 9));
}
void UDF(Translator& t, const fields::UDF&) { t.undefined(); }
void SVC(Translator& t, const fields::SVC& i) { t.svc(i('i')); }
void B_t2(Translator& t, const fields::B_t2& i) {
  if (t.inside_it()) return t.unpredictable();
  t.branch(t.pc_value() + sign_extend(i('i') << 1, 12));
}

}  // namespace armvisor::frontend::t16
