// 32-bit Thumb shifts by register, extension, parallel arithmetic, multiplies and divides (ARM DDI 0406C A6.3.12 to
// A6.3.17).
#include "base/bits.h"
#include "frontend/handlers.h"
#include "frontend/translate_t32_operands.h"
#include "frontend/translator.h"

namespace armvisor::frontend::t32 {
namespace {

using ir::ParallelKind;
using ir::ParallelPrefix;

void shift_by_register(Translator& t, const auto& i, Shift type) {
  const u32 d = i('d'), n = i('n'), m = i('m');
  const bool s = i('S') != 0;
  if (any_bad(d, n, m)) return t.unpredictable();
  t.data_processing(DataOp::Mov, s, d, 0u, t.shift_reg(t.reg(n), type, t.reg(m), s));
}

/// <op> <Rd>, <Rn>, <Rm>{, ROR #<rotation>}; without Rn where the line has no field n.
void extend_add(Translator& t, const auto& i, Extend kind) {
  if (any_bad(i('d'), i('n'), i('m'))) return t.unpredictable();
  t.extend(kind, i('d'), i('n'), i('m'), i('r') * 8);
}
void extend_only(Translator& t, const auto& i, Extend kind) {
  if (any_bad(i('d'), i('m'))) return t.unpredictable();
  t.extend(kind, i('d'), 15, i('m'), i('r') * 8);
}

void parallel(Translator& t, const auto& i, ParallelPrefix prefix, ParallelKind kind) {
  if (any_bad(i('d'), i('n'), i('m'))) return t.unpredictable();
  t.parallel(prefix, kind, i('d'), i('n'), i('m'));
}

void saturating(Translator& t, const auto& i, Saturating op) {
  if (any_bad(i('d'), i('n'), i('m'))) return t.unpredictable();
  t.saturating(op, i('d'), i('m'), i('n'));
}

/// CLZ, RBIT, REV...: Rm stands in both register fields.
void unary(Translator& t, const auto& i, Op op) {
  if (any_bad(i('d'), i('m')) || i('n') != i('m')) return t.unpredictable();
  t.unary(op, i('d'), i('m'));
}

bool three_ok(const auto& i) { return !any_bad(i('d'), i('n'), i('m')); }
bool four_ok(const auto& i) { return three_ok(i) && i('a') != 13; }
bool long_ok(const auto& i) { return !any_bad(i('l'), i('h'), i('n'), i('m')) && i('l') != i('h'); }

void multiply_long(Translator& t, const auto& i, LongMultiply op) {
  if (!long_ok(i)) return t.unpredictable();
  t.multiply_long(op, false, i('l'), i('h'), i('n'), i('m'));
}

void divide(Translator& t, const auto& i, bool is_unsigned) {
  if (!three_ok(i)) return t.unpredictable();
  t.divide(is_unsigned, i('d'), i('n'), i('m'));
}

}  // namespace

// --- shifts by register
void LSL_reg(Translator& t, const fields::LSL_reg& i) { shift_by_register(t, i, Shift::LSL); }
void LSR_reg(Translator& t, const fields::LSR_reg& i) { shift_by_register(t, i, Shift::LSR); }
void ASR_reg(Translator& t, const fields::ASR_reg& i) { shift_by_register(t, i, Shift::ASR); }
void ROR_reg(Translator& t, const fields::ROR_reg& i) { shift_by_register(t, i, Shift::ROR); }

// --- extension, with and without addition
void SXTAH(Translator& t, const fields::SXTAH& i) { extend_add(t, i, Extend::Sxth); }
void SXTH(Translator& t, const fields::SXTH& i) { extend_only(t, i, Extend::Sxth); }
void UXTAH(Translator& t, const fields::UXTAH& i) { extend_add(t, i, Extend::Uxth); }
void UXTH(Translator& t, const fields::UXTH& i) { extend_only(t, i, Extend::Uxth); }
void SXTAB16(Translator& t, const fields::SXTAB16& i) { extend_add(t, i, Extend::Sxtb16); }
void SXTB16(Translator& t, const fields::SXTB16& i) { extend_only(t, i, Extend::Sxtb16); }
void UXTAB16(Translator& t, const fields::UXTAB16& i) { extend_add(t, i, Extend::Uxtb16); }
void UXTB16(Translator& t, const fields::UXTB16& i) { extend_only(t, i, Extend::Uxtb16); }
void SXTAB(Translator& t, const fields::SXTAB& i) { extend_add(t, i, Extend::Sxtb); }
void SXTB(Translator& t, const fields::SXTB& i) { extend_only(t, i, Extend::Sxtb); }
void UXTAB(Translator& t, const fields::UXTAB& i) { extend_add(t, i, Extend::Uxtb); }
void UXTB(Translator& t, const fields::UXTB& i) { extend_only(t, i, Extend::Uxtb); }

// --- parallel addition and subtraction
void SADD16(Translator& t, const fields::SADD16& i) { parallel(t, i, ParallelPrefix::S, ParallelKind::Add16); }
void SASX(Translator& t, const fields::SASX& i) { parallel(t, i, ParallelPrefix::S, ParallelKind::Asx); }
void SSAX(Translator& t, const fields::SSAX& i) { parallel(t, i, ParallelPrefix::S, ParallelKind::Sax); }
void SSUB16(Translator& t, const fields::SSUB16& i) { parallel(t, i, ParallelPrefix::S, ParallelKind::Sub16); }
void SADD8(Translator& t, const fields::SADD8& i) { parallel(t, i, ParallelPrefix::S, ParallelKind::Add8); }
void SSUB8(Translator& t, const fields::SSUB8& i) { parallel(t, i, ParallelPrefix::S, ParallelKind::Sub8); }
void QADD16(Translator& t, const fields::QADD16& i) { parallel(t, i, ParallelPrefix::Q, ParallelKind::Add16); }
void QASX(Translator& t, const fields::QASX& i) { parallel(t, i, ParallelPrefix::Q, ParallelKind::Asx); }
void QSAX(Translator& t, const fields::QSAX& i) { parallel(t, i, ParallelPrefix::Q, ParallelKind::Sax); }
void QSUB16(Translator& t, const fields::QSUB16& i) { parallel(t, i, ParallelPrefix::Q, ParallelKind::Sub16); }
void QADD8(Translator& t, const fields::QADD8& i) { parallel(t, i, ParallelPrefix::Q, ParallelKind::Add8); }
void QSUB8(Translator& t, const fields::QSUB8& i) { parallel(t, i, ParallelPrefix::Q, ParallelKind::Sub8); }
void SHADD16(Translator& t, const fields::SHADD16& i) { parallel(t, i, ParallelPrefix::SH, ParallelKind::Add16); }
void SHASX(Translator& t, const fields::SHASX& i) { parallel(t, i, ParallelPrefix::SH, ParallelKind::Asx); }
void SHSAX(Translator& t, const fields::SHSAX& i) { parallel(t, i, ParallelPrefix::SH, ParallelKind::Sax); }
void SHSUB16(Translator& t, const fields::SHSUB16& i) { parallel(t, i, ParallelPrefix::SH, ParallelKind::Sub16); }
void SHADD8(Translator& t, const fields::SHADD8& i) { parallel(t, i, ParallelPrefix::SH, ParallelKind::Add8); }
void SHSUB8(Translator& t, const fields::SHSUB8& i) { parallel(t, i, ParallelPrefix::SH, ParallelKind::Sub8); }
void UADD16(Translator& t, const fields::UADD16& i) { parallel(t, i, ParallelPrefix::U, ParallelKind::Add16); }
void UASX(Translator& t, const fields::UASX& i) { parallel(t, i, ParallelPrefix::U, ParallelKind::Asx); }
void USAX(Translator& t, const fields::USAX& i) { parallel(t, i, ParallelPrefix::U, ParallelKind::Sax); }
void USUB16(Translator& t, const fields::USUB16& i) { parallel(t, i, ParallelPrefix::U, ParallelKind::Sub16); }
void UADD8(Translator& t, const fields::UADD8& i) { parallel(t, i, ParallelPrefix::U, ParallelKind::Add8); }
void USUB8(Translator& t, const fields::USUB8& i) { parallel(t, i, ParallelPrefix::U, ParallelKind::Sub8); }
void UQADD16(Translator& t, const fields::UQADD16& i) { parallel(t, i, ParallelPrefix::UQ, ParallelKind::Add16); }
void UQASX(Translator& t, const fields::UQASX& i) { parallel(t, i, ParallelPrefix::UQ, ParallelKind::Asx); }
void UQSAX(Translator& t, const fields::UQSAX& i) { parallel(t, i, ParallelPrefix::UQ, ParallelKind::Sax); }
void UQSUB16(Translator& t, const fields::UQSUB16& i) { parallel(t, i, ParallelPrefix::UQ, ParallelKind::Sub16); }
void UQADD8(Translator& t, const fields::UQADD8& i) { parallel(t, i, ParallelPrefix::UQ, ParallelKind::Add8); }
void UQSUB8(Translator& t, const fields::UQSUB8& i) { parallel(t, i, ParallelPrefix::UQ, ParallelKind::Sub8); }
void UHADD16(Translator& t, const fields::UHADD16& i) { parallel(t, i, ParallelPrefix::UH, ParallelKind::Add16); }
void UHASX(Translator& t, const fields::UHASX& i) { parallel(t, i, ParallelPrefix::UH, ParallelKind::Asx); }
void UHSAX(Translator& t, const fields::UHSAX& i) { parallel(t, i, ParallelPrefix::UH, ParallelKind::Sax); }
void UHSUB16(Translator& t, const fields::UHSUB16& i) { parallel(t, i, ParallelPrefix::UH, ParallelKind::Sub16); }
void UHADD8(Translator& t, const fields::UHADD8& i) { parallel(t, i, ParallelPrefix::UH, ParallelKind::Add8); }
void UHSUB8(Translator& t, const fields::UHSUB8& i) { parallel(t, i, ParallelPrefix::UH, ParallelKind::Sub8); }

// --- miscellaneous operations
void QADD(Translator& t, const fields::QADD& i) { saturating(t, i, Saturating::Qadd); }
void QDADD(Translator& t, const fields::QDADD& i) { saturating(t, i, Saturating::Qdadd); }
void QSUB(Translator& t, const fields::QSUB& i) { saturating(t, i, Saturating::Qsub); }
void QDSUB(Translator& t, const fields::QDSUB& i) { saturating(t, i, Saturating::Qdsub); }
void REV(Translator& t, const fields::REV& i) { unary(t, i, Op::Rev); }
void REV16(Translator& t, const fields::REV16& i) { unary(t, i, Op::Rev16); }
void RBIT(Translator& t, const fields::RBIT& i) { unary(t, i, Op::Rbit); }
void REVSH(Translator& t, const fields::REVSH& i) { unary(t, i, Op::Revsh); }
void CLZ(Translator& t, const fields::CLZ& i) { unary(t, i, Op::Clz); }
void SEL(Translator& t, const fields::SEL& i) {
  if (!three_ok(i)) return t.unpredictable();
  t.sel(i('d'), i('n'), i('m'));
}

// --- multiplies: the lines without an accumulator are those whose field a is 15
void MLA(Translator& t, const fields::MLA& i) {
  if (!four_ok(i)) return t.unpredictable();
  t.multiply(false, i('d'), i('n'), i('m'), i('a'));
}
void MUL(Translator& t, const fields::MUL& i) {
  if (!three_ok(i)) return t.unpredictable();
  t.multiply(false, i('d'), i('n'), i('m'), 15);
}
void MLS(Translator& t, const fields::MLS& i) {
  if (!four_ok(i) || i('a') == 15) return t.unpredictable();
  t.mls(i('d'), i('n'), i('m'), i('a'));
}
void SMLAxy(Translator& t, const fields::SMLAxy& i) {
  if (!four_ok(i)) return t.unpredictable();
  t.smla_xy(i('d'), i('n'), i('m'), i('a'), i('x') != 0, i('y') != 0);
}
void SMULxy(Translator& t, const fields::SMULxy& i) {
  if (!three_ok(i)) return t.unpredictable();
  t.smla_xy(i('d'), i('n'), i('m'), 15, i('x') != 0, i('y') != 0);
}
void SMLAD(Translator& t, const fields::SMLAD& i) {
  if (!four_ok(i)) return t.unpredictable();
  t.smlad(i('d'), i('n'), i('m'), i('a'), false, i('x') != 0);
}
void SMUAD(Translator& t, const fields::SMUAD& i) {
  if (!three_ok(i)) return t.unpredictable();
  t.smlad(i('d'), i('n'), i('m'), 15, false, i('x') != 0);
}
void SMLAW(Translator& t, const fields::SMLAW& i) {
  if (!four_ok(i)) return t.unpredictable();
  t.smlaw_y(i('d'), i('n'), i('m'), i('a'), i('y') != 0);
}
void SMULW(Translator& t, const fields::SMULW& i) {
  if (!three_ok(i)) return t.unpredictable();
  t.smlaw_y(i('d'), i('n'), i('m'), 15, i('y') != 0);
}
void SMLSD(Translator& t, const fields::SMLSD& i) {
  if (!four_ok(i)) return t.unpredictable();
  t.smlad(i('d'), i('n'), i('m'), i('a'), true, i('x') != 0);
}
void SMUSD(Translator& t, const fields::SMUSD& i) {
  if (!three_ok(i)) return t.unpredictable();
  t.smlad(i('d'), i('n'), i('m'), 15, true, i('x') != 0);
}
void SMMLA(Translator& t, const fields::SMMLA& i) {
  if (!four_ok(i)) return t.unpredictable();
  t.smmla(i('d'), i('n'), i('m'), i('a'), false, i('r') != 0);
}
void SMMUL(Translator& t, const fields::SMMUL& i) {
  if (!three_ok(i)) return t.unpredictable();
  t.smmla(i('d'), i('n'), i('m'), 15, false, i('r') != 0);
}
void SMMLS(Translator& t, const fields::SMMLS& i) {
  if (!four_ok(i) || i('a') == 15) return t.unpredictable();
  t.smmla(i('d'), i('n'), i('m'), i('a'), true, i('r') != 0);
}
void USADA8(Translator& t, const fields::USADA8& i) {
  if (!four_ok(i)) return t.unpredictable();
  t.usada8(i('d'), i('n'), i('m'), i('a'));
}
void USAD8(Translator& t, const fields::USAD8& i) {
  if (!three_ok(i)) return t.unpredictable();
  t.usada8(i('d'), i('n'), i('m'), 15);
}

// --- long multiplies and divides
void SMULL(Translator& t, const fields::SMULL& i) { multiply_long(t, i, LongMultiply::Smull); }
void UMULL(Translator& t, const fields::UMULL& i) { multiply_long(t, i, LongMultiply::Umull); }
void SMLAL(Translator& t, const fields::SMLAL& i) { multiply_long(t, i, LongMultiply::Smlal); }
void UMLAL(Translator& t, const fields::UMLAL& i) { multiply_long(t, i, LongMultiply::Umlal); }
void SMLALxy(Translator& t, const fields::SMLALxy& i) {
  if (!long_ok(i)) return t.unpredictable();
  t.smlal_xy(i('l'), i('h'), i('n'), i('m'), i('x') != 0, i('y') != 0);
}
void SMLALD(Translator& t, const fields::SMLALD& i) {
  if (!long_ok(i)) return t.unpredictable();
  t.smlald(i('l'), i('h'), i('n'), i('m'), false, i('x') != 0);
}
void SMLSLD(Translator& t, const fields::SMLSLD& i) {
  if (!long_ok(i)) return t.unpredictable();
  t.smlald(i('l'), i('h'), i('n'), i('m'), true, i('x') != 0);
}
void UMAAL(Translator& t, const fields::UMAAL& i) {
  if (!long_ok(i)) return t.unpredictable();
  t.umaal(i('l'), i('h'), i('n'), i('m'));
}
void SDIV(Translator& t, const fields::SDIV& i) { divide(t, i, false); }
void UDIV(Translator& t, const fields::UDIV& i) { divide(t, i, true); }

}  // namespace armvisor::frontend::t32
