// A32 data processing, multiplies and media instructions (ARM DDI 0406C A5.2, A5.4).
#include "base/bits.h"
#include "frontend/handlers.h"
#include "frontend/translator.h"

namespace armvisor::frontend::a32 {
namespace {

/// <op>{S}<c> <Rd>, <Rn>, #<const>
void data_imm(Translator& t, const auto& i, DataOp op) {
  const bool s = i('S') != 0;
  t.data_processing(op, s, i('d'), i.or_zero('n'), t.a32_modified_imm(i('i'), s && Translator::takes_carry(op)));
}

/// <op>{S}<c> <Rd>, <Rn>, <Rm>{, <shift>}
void data_reg(Translator& t, const auto& i, DataOp op) {
  const bool s = i('S') != 0;
  t.data_processing(op, s, i('d'), i.or_zero('n'),
                    t.shifted_reg(i('m'), i('y'), i('i'), s && Translator::takes_carry(op)));
}

/// <op>{S}<c> <Rd>, <Rn>, <Rm>, <type> <Rs>
void data_rsr(Translator& t, const auto& i, DataOp op) {
  if (i.any_pc("dms") || i.or_zero('n') == 15) return t.unpredictable();
  const bool s = i('S') != 0;
  const auto m =
      t.shift_reg(t.reg(i('m')), static_cast<Shift>(i('y')), t.reg(i('s')), s && Translator::takes_carry(op));
  t.data_processing(op, s, i('d'), i.or_zero('n'), m);
}

/// <op><c> <Rn>, ...: the tests and compares, which always set flags
void test_imm(Translator& t, const auto& i, DataOp op) {
  t.data_processing(op, true, 0, i('n'), t.a32_modified_imm(i('i'), Translator::takes_carry(op)));
}

void test_reg(Translator& t, const auto& i, DataOp op) {
  t.data_processing(op, true, 0, i('n'), t.shifted_reg(i('m'), i('y'), i('i'), Translator::takes_carry(op)));
}

void test_rsr(Translator& t, const auto& i, DataOp op) {
  if (i.any_pc("nms")) return t.unpredictable();
  const auto m = t.shift_reg(t.reg(i('m')), static_cast<Shift>(i('y')), t.reg(i('s')), Translator::takes_carry(op));
  t.data_processing(op, true, 0, i('n'), m);
}

/// <shift>{S}<c> <Rd>, <Rm>, #<imm> (type as encoded)
void shift_by_imm(Translator& t, const auto& i, u32 type) {
  const bool s = i('S') != 0;
  t.data_processing(DataOp::Mov, s, i('d'), Operand{}, t.shifted_reg(i('m'), type, i.or_zero('i'), s));
}

/// <shift>{S}<c> <Rd>, <Rm>, <Rs>
void shift_by_reg(Translator& t, const auto& i, Shift type) {
  if (i.any_pc("dms")) return t.unpredictable();
  const bool s = i('S') != 0;
  t.data_processing(DataOp::Mov, s, i('d'), Operand{}, t.shift_reg(t.reg(i('m')), type, t.reg(i('s')), s));
}

}  // namespace

#define AV_DATA(NAME, op)                                                                     \
  void NAME##_imm(Translator& t, const fields::NAME##_imm& i) { data_imm(t, i, DataOp::op); } \
  void NAME##_reg(Translator& t, const fields::NAME##_reg& i) { data_reg(t, i, DataOp::op); } \
  void NAME##_rsr(Translator& t, const fields::NAME##_rsr& i) { data_rsr(t, i, DataOp::op); }
AV_DATA(AND, And)
AV_DATA(EOR, Eor)
AV_DATA(SUB, Sub)
AV_DATA(RSB, Rsb)
AV_DATA(ADD, Add)
AV_DATA(ADC, Adc)
AV_DATA(SBC, Sbc)
AV_DATA(RSC, Rsc)
AV_DATA(ORR, Orr)
AV_DATA(BIC, Bic)
#undef AV_DATA

#define AV_TEST(NAME, op)                                                                     \
  void NAME##_imm(Translator& t, const fields::NAME##_imm& i) { test_imm(t, i, DataOp::op); } \
  void NAME##_reg(Translator& t, const fields::NAME##_reg& i) { test_reg(t, i, DataOp::op); } \
  void NAME##_rsr(Translator& t, const fields::NAME##_rsr& i) { test_rsr(t, i, DataOp::op); }
AV_TEST(TST, Tst)
AV_TEST(TEQ, Teq)
AV_TEST(CMP, Cmp)
AV_TEST(CMN, Cmn)
#undef AV_TEST

void MOV_imm(Translator& t, const fields::MOV_imm& i) { data_imm(t, i, DataOp::Mov); }
void MOV_reg(Translator& t, const fields::MOV_reg& i) { shift_by_imm(t, i, 0); }
void MVN_imm(Translator& t, const fields::MVN_imm& i) { data_imm(t, i, DataOp::Mvn); }
void MVN_reg(Translator& t, const fields::MVN_reg& i) { data_reg(t, i, DataOp::Mvn); }
void MVN_rsr(Translator& t, const fields::MVN_rsr& i) { data_rsr(t, i, DataOp::Mvn); }
void LSL_imm(Translator& t, const fields::LSL_imm& i) { shift_by_imm(t, i, 0); }
void LSR_imm(Translator& t, const fields::LSR_imm& i) { shift_by_imm(t, i, 1); }
void ASR_imm(Translator& t, const fields::ASR_imm& i) { shift_by_imm(t, i, 2); }
void ROR_imm(Translator& t, const fields::ROR_imm& i) { shift_by_imm(t, i, 3); }
void RRX(Translator& t, const fields::RRX& i) { shift_by_imm(t, i, 3); }
void LSL_reg(Translator& t, const fields::LSL_reg& i) { shift_by_reg(t, i, Shift::LSL); }
void LSR_reg(Translator& t, const fields::LSR_reg& i) { shift_by_reg(t, i, Shift::LSR); }
void ASR_reg(Translator& t, const fields::ASR_reg& i) { shift_by_reg(t, i, Shift::ASR); }
void ROR_reg(Translator& t, const fields::ROR_reg& i) { shift_by_reg(t, i, Shift::ROR); }

/// MOVW<c> <Rd>, #<imm16>
void MOVW(Translator& t, const fields::MOVW& i) {
  if (i('d') == 15) return t.unpredictable();
  t.set_reg(i('d'), Translator::imm(i('i')));
}

/// MOVT<c> <Rd>, #<imm16>
void MOVT(Translator& t, const fields::MOVT& i) {
  if (i('d') == 15) return t.unpredictable();
  t.movt(i('d'), i('i'));
}

/// CLZ<c> <Rd>, <Rm>; REV, REV16, REVSH, RBIT likewise
static void unary(Translator& t, const auto& i, Op op) {
  if (i.any_pc("dm")) return t.unpredictable();
  t.unary(op, i('d'), i('m'));
}
void CLZ(Translator& t, const fields::CLZ& i) { unary(t, i, Op::Clz); }
void REV(Translator& t, const fields::REV& i) { unary(t, i, Op::Rev); }
void REV16(Translator& t, const fields::REV16& i) { unary(t, i, Op::Rev16); }
void REVSH(Translator& t, const fields::REVSH& i) { unary(t, i, Op::Revsh); }
void RBIT(Translator& t, const fields::RBIT& i) { unary(t, i, Op::Rbit); }

/// PKHBT<c> <Rd>, <Rn>, <Rm>{, LSL #<imm>}; PKHTB<c> <Rd>, <Rn>, <Rm>{, ASR #<imm>}
static void pkh(Translator& t, const auto& i, bool tb) {
  if (i.any_pc("dnm")) return t.unpredictable();
  t.pkh(tb, i('d'), i('n'), i('m'), i('i'));
}
void PKHBT(Translator& t, const fields::PKHBT& i) { pkh(t, i, false); }
void PKHTB(Translator& t, const fields::PKHTB& i) { pkh(t, i, true); }

/// SXTAB<c> <Rd>, <Rn>, <Rm>{, <rotation>} and relatives; SXTB and relatives have no Rn
static void extend(Translator& t, const auto& i, Extend kind, bool add) {
  if (i.any_pc("dm")) return t.unpredictable();
  t.extend(kind, i('d'), add ? i.or_zero('n') : 15, i('m'), i('r') * 8);
}
void SXTAB16(Translator& t, const fields::SXTAB16& i) { extend(t, i, Extend::Sxtb16, true); }
void SXTAB(Translator& t, const fields::SXTAB& i) { extend(t, i, Extend::Sxtb, true); }
void SXTAH(Translator& t, const fields::SXTAH& i) { extend(t, i, Extend::Sxth, true); }
void UXTAB16(Translator& t, const fields::UXTAB16& i) { extend(t, i, Extend::Uxtb16, true); }
void UXTAB(Translator& t, const fields::UXTAB& i) { extend(t, i, Extend::Uxtb, true); }
void UXTAH(Translator& t, const fields::UXTAH& i) { extend(t, i, Extend::Uxth, true); }
void SXTB16(Translator& t, const fields::SXTB16& i) { extend(t, i, Extend::Sxtb16, false); }
void SXTB(Translator& t, const fields::SXTB& i) { extend(t, i, Extend::Sxtb, false); }
void SXTH(Translator& t, const fields::SXTH& i) { extend(t, i, Extend::Sxth, false); }
void UXTB16(Translator& t, const fields::UXTB16& i) { extend(t, i, Extend::Uxtb16, false); }
void UXTB(Translator& t, const fields::UXTB& i) { extend(t, i, Extend::Uxtb, false); }
void UXTH(Translator& t, const fields::UXTH& i) { extend(t, i, Extend::Uxth, false); }

/// SEL<c> <Rd>, <Rn>, <Rm>
void SEL(Translator& t, const fields::SEL& i) {
  if (i.any_pc("dnm")) return t.unpredictable();
  t.sel(i('d'), i('n'), i('m'));
}

/// SBFX<c> <Rd>, <Rn>, #<lsb>, #<width>; UBFX likewise
static void bfx(Translator& t, const auto& i, bool is_unsigned) {
  const u32 width = i('w') + 1;
  if (i.any_pc("dn") || i('l') + width > 32) return t.unpredictable();
  t.bfx(is_unsigned, i('d'), i('n'), i('l'), width);
}
void SBFX(Translator& t, const fields::SBFX& i) { bfx(t, i, false); }
void UBFX(Translator& t, const fields::UBFX& i) { bfx(t, i, true); }

/// BFC<c> <Rd>, #<lsb>, #<width>; BFI<c> <Rd>, <Rn>, #<lsb>, #<width>
static void bfi(Translator& t, const auto& i, u32 n) {
  if (i('d') == 15 || i('h') < i('l')) return t.unpredictable();
  t.bfi(i('d'), n, i('l'), i('h') - i('l') + 1);
}
void BFC(Translator& t, const fields::BFC& i) { bfi(t, i, 15); }
void BFI(Translator& t, const fields::BFI& i) { bfi(t, i, i('n')); }

}  // namespace armvisor::frontend::a32
