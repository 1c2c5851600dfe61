// A32 data processing, multiplies and media instructions (ARM DDI 0406C A5.2, A5.4).
#include "base/bits.h"
#include "frontend/handlers.h"
#include "frontend/translator.h"

namespace armvisor::frontend::a32 {
namespace {

/// <op>{S}<c> <Rd>, <Rn>, #<const>
void data_imm(Translator& t, const Inst& i, DataOp op) {
  const bool s = i('S') != 0;
  t.data_processing(op, s, i('d'), i('n'), t.a32_modified_imm(i('i'), s && Translator::takes_carry(op)));
}

/// <op>{S}<c> <Rd>, <Rn>, <Rm>{, <shift>}
void data_reg(Translator& t, const Inst& i, DataOp op) {
  const bool s = i('S') != 0;
  t.data_processing(op, s, i('d'), i('n'), t.shifted_reg(i('m'), i('y'), i('i'), s && Translator::takes_carry(op)));
}

/// <op>{S}<c> <Rd>, <Rn>, <Rm>, <type> <Rs>
void data_rsr(Translator& t, const Inst& i, DataOp op, const char* registers = "dnms") {
  if (any_pc(i, registers)) return t.unpredictable();
  const bool s = i('S') != 0;
  const auto m =
      t.shift_reg(t.reg(i('m')), static_cast<Shift>(i('y')), t.reg(i('s')), s && Translator::takes_carry(op));
  t.data_processing(op, s, i('d'), i('n'), m);
}

/// <op><c> <Rn>, ...: the tests and compares, which always set flags
void test_imm(Translator& t, const Inst& i, DataOp op) {
  t.data_processing(op, true, 0, i('n'), t.a32_modified_imm(i('i'), Translator::takes_carry(op)));
}

void test_reg(Translator& t, const Inst& i, DataOp op) {
  t.data_processing(op, true, 0, i('n'), t.shifted_reg(i('m'), i('y'), i('i'), Translator::takes_carry(op)));
}

void test_rsr(Translator& t, const Inst& i, DataOp op) {
  if (any_pc(i, "nms")) return t.unpredictable();
  const auto m = t.shift_reg(t.reg(i('m')), static_cast<Shift>(i('y')), t.reg(i('s')), Translator::takes_carry(op));
  t.data_processing(op, true, 0, i('n'), m);
}

/// <shift>{S}<c> <Rd>, <Rm>, #<imm> (type as encoded)
void shift_by_imm(Translator& t, const Inst& i, u32 type) {
  const bool s = i('S') != 0;
  t.data_processing(DataOp::Mov, s, i('d'), Operand{}, t.shifted_reg(i('m'), type, i('i'), s));
}

/// <shift>{S}<c> <Rd>, <Rm>, <Rs>
void shift_by_reg(Translator& t, const Inst& i, Shift type) {
  if (any_pc(i, "dms")) return t.unpredictable();
  const bool s = i('S') != 0;
  t.data_processing(DataOp::Mov, s, i('d'), Operand{}, t.shift_reg(t.reg(i('m')), type, t.reg(i('s')), s));
}

}  // namespace

#define AV_DATA(NAME, op)                                                       \
  void NAME##_imm(Translator& t, const Inst& i) { data_imm(t, i, DataOp::op); } \
  void NAME##_reg(Translator& t, const Inst& i) { data_reg(t, i, DataOp::op); } \
  void NAME##_rsr(Translator& t, const Inst& i) { data_rsr(t, i, DataOp::op); }
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

#define AV_TEST(NAME, op)                                                       \
  void NAME##_imm(Translator& t, const Inst& i) { test_imm(t, i, DataOp::op); } \
  void NAME##_reg(Translator& t, const Inst& i) { test_reg(t, i, DataOp::op); } \
  void NAME##_rsr(Translator& t, const Inst& i) { test_rsr(t, i, DataOp::op); }
AV_TEST(TST, Tst)
AV_TEST(TEQ, Teq)
AV_TEST(CMP, Cmp)
AV_TEST(CMN, Cmn)
#undef AV_TEST

void MOV_imm(Translator& t, const Inst& i) { data_imm(t, i, DataOp::Mov); }
void MOV_reg(Translator& t, const Inst& i) { shift_by_imm(t, i, 0); }
void MVN_imm(Translator& t, const Inst& i) { data_imm(t, i, DataOp::Mvn); }
void MVN_reg(Translator& t, const Inst& i) { data_reg(t, i, DataOp::Mvn); }
void MVN_rsr(Translator& t, const Inst& i) { data_rsr(t, i, DataOp::Mvn, "dms"); }
void LSL_imm(Translator& t, const Inst& i) { shift_by_imm(t, i, 0); }
void LSR_imm(Translator& t, const Inst& i) { shift_by_imm(t, i, 1); }
void ASR_imm(Translator& t, const Inst& i) { shift_by_imm(t, i, 2); }
void ROR_imm(Translator& t, const Inst& i) { shift_by_imm(t, i, 3); }
void RRX(Translator& t, const Inst& i) { shift_by_imm(t, i, 3); }
void LSL_reg(Translator& t, const Inst& i) { shift_by_reg(t, i, Shift::LSL); }
void LSR_reg(Translator& t, const Inst& i) { shift_by_reg(t, i, Shift::LSR); }
void ASR_reg(Translator& t, const Inst& i) { shift_by_reg(t, i, Shift::ASR); }
void ROR_reg(Translator& t, const Inst& i) { shift_by_reg(t, i, Shift::ROR); }

/// MOVW<c> <Rd>, #<imm16>
void MOVW(Translator& t, const Inst& i) {
  if (i('d') == 15) return t.unpredictable();
  t.set_reg(i('d'), Translator::imm(i('i')));
}

/// MOVT<c> <Rd>, #<imm16>
void MOVT(Translator& t, const Inst& i) {
  if (i('d') == 15) return t.unpredictable();
  t.movt(i('d'), i('i'));
}

/// CLZ<c> <Rd>, <Rm>; REV, REV16, REVSH, RBIT likewise
static void unary(Translator& t, const Inst& i, Op op) {
  if (any_pc(i, "dm")) return t.unpredictable();
  t.unary(op, i('d'), i('m'));
}
void CLZ(Translator& t, const Inst& i) { unary(t, i, Op::Clz); }
void REV(Translator& t, const Inst& i) { unary(t, i, Op::Rev); }
void REV16(Translator& t, const Inst& i) { unary(t, i, Op::Rev16); }
void REVSH(Translator& t, const Inst& i) { unary(t, i, Op::Revsh); }
void RBIT(Translator& t, const Inst& i) { unary(t, i, Op::Rbit); }

/// PKHBT<c> <Rd>, <Rn>, <Rm>{, LSL #<imm>}; PKHTB<c> <Rd>, <Rn>, <Rm>{, ASR #<imm>}
static void pkh(Translator& t, const Inst& i, bool tb) {
  if (any_pc(i, "dnm")) return t.unpredictable();
  t.pkh(tb, i('d'), i('n'), i('m'), i('i'));
}
void PKHBT(Translator& t, const Inst& i) { pkh(t, i, false); }
void PKHTB(Translator& t, const Inst& i) { pkh(t, i, true); }

/// SXTAB<c> <Rd>, <Rn>, <Rm>{, <rotation>} and relatives; SXTB and relatives have no Rn
static void extend(Translator& t, const Inst& i, Extend kind, bool add) {
  if (any_pc(i, "dm")) return t.unpredictable();
  t.extend(kind, i('d'), add ? i('n') : 15, i('m'), i('r') * 8);
}
void SXTAB16(Translator& t, const Inst& i) { extend(t, i, Extend::Sxtb16, true); }
void SXTAB(Translator& t, const Inst& i) { extend(t, i, Extend::Sxtb, true); }
void SXTAH(Translator& t, const Inst& i) { extend(t, i, Extend::Sxth, true); }
void UXTAB16(Translator& t, const Inst& i) { extend(t, i, Extend::Uxtb16, true); }
void UXTAB(Translator& t, const Inst& i) { extend(t, i, Extend::Uxtb, true); }
void UXTAH(Translator& t, const Inst& i) { extend(t, i, Extend::Uxth, true); }
void SXTB16(Translator& t, const Inst& i) { extend(t, i, Extend::Sxtb16, false); }
void SXTB(Translator& t, const Inst& i) { extend(t, i, Extend::Sxtb, false); }
void SXTH(Translator& t, const Inst& i) { extend(t, i, Extend::Sxth, false); }
void UXTB16(Translator& t, const Inst& i) { extend(t, i, Extend::Uxtb16, false); }
void UXTB(Translator& t, const Inst& i) { extend(t, i, Extend::Uxtb, false); }
void UXTH(Translator& t, const Inst& i) { extend(t, i, Extend::Uxth, false); }

/// SEL<c> <Rd>, <Rn>, <Rm>
void SEL(Translator& t, const Inst& i) {
  if (any_pc(i, "dnm")) return t.unpredictable();
  t.sel(i('d'), i('n'), i('m'));
}

/// SBFX<c> <Rd>, <Rn>, #<lsb>, #<width>; UBFX likewise
static void bfx(Translator& t, const Inst& i, bool is_unsigned) {
  const u32 width = i('w') + 1;
  if (any_pc(i, "dn") || i('l') + width > 32) return t.unpredictable();
  t.bfx(is_unsigned, i('d'), i('n'), i('l'), width);
}
void SBFX(Translator& t, const Inst& i) { bfx(t, i, false); }
void UBFX(Translator& t, const Inst& i) { bfx(t, i, true); }

/// BFC<c> <Rd>, #<lsb>, #<width>; BFI<c> <Rd>, <Rn>, #<lsb>, #<width>
static void bfi(Translator& t, const Inst& i, u32 n) {
  if (i('d') == 15 || i('h') < i('l')) return t.unpredictable();
  t.bfi(i('d'), n, i('l'), i('h') - i('l') + 1);
}
void BFC(Translator& t, const Inst& i) { bfi(t, i, 15); }
void BFI(Translator& t, const Inst& i) { bfi(t, i, i('n')); }

}  // namespace armvisor::frontend::a32
