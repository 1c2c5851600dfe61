// A32 multiplies, divides, saturation and parallel arithmetic (ARM DDI 0406C A5.2.5 to A5.2.7, A5.4).
#include "frontend/handlers.h"
#include "frontend/translator.h"

namespace armvisor::frontend::a32 {
namespace {

bool bad_long(const auto& i) { return i.any_pc("lhnm") || i('l') == i('h'); }

}  // namespace

/// MUL{S}<c> <Rd>, <Rn>, <Rm>
void MUL(Translator& t, const fields::MUL& i) {
  if (i.any_pc("dnm")) return t.unpredictable();
  t.multiply(i('S') != 0, i('d'), i('n'), i('m'), 15);
}

/// MLA{S}<c> <Rd>, <Rn>, <Rm>, <Ra>
void MLA(Translator& t, const fields::MLA& i) {
  if (i.any_pc("dnma")) return t.unpredictable();
  t.multiply(i('S') != 0, i('d'), i('n'), i('m'), i('a'));
}

/// MLS<c> <Rd>, <Rn>, <Rm>, <Ra>
void MLS(Translator& t, const fields::MLS& i) {
  if (i.any_pc("dnma")) return t.unpredictable();
  t.mls(i('d'), i('n'), i('m'), i('a'));
}

/// UMAAL<c> <RdLo>, <RdHi>, <Rn>, <Rm>
void UMAAL(Translator& t, const fields::UMAAL& i) {
  if (bad_long(i)) return t.unpredictable();
  t.umaal(i('l'), i('h'), i('n'), i('m'));
}

/// UMULL{S}<c> <RdLo>, <RdHi>, <Rn>, <Rm> and relatives
static void multiply_long(Translator& t, const auto& i, LongMultiply op) {
  if (bad_long(i)) return t.unpredictable();
  t.multiply_long(op, i('S') != 0, i('l'), i('h'), i('n'), i('m'));
}
void UMULL(Translator& t, const fields::UMULL& i) { multiply_long(t, i, LongMultiply::Umull); }
void UMLAL(Translator& t, const fields::UMLAL& i) { multiply_long(t, i, LongMultiply::Umlal); }
void SMULL(Translator& t, const fields::SMULL& i) { multiply_long(t, i, LongMultiply::Smull); }
void SMLAL(Translator& t, const fields::SMLAL& i) { multiply_long(t, i, LongMultiply::Smlal); }

/// QADD<c> <Rd>, <Rm>, <Rn> and relatives
static void saturating(Translator& t, const auto& i, Saturating op) {
  if (i.any_pc("dnm")) return t.unpredictable();
  t.saturating(op, i('d'), i('m'), i('n'));
}
void QADD(Translator& t, const fields::QADD& i) { saturating(t, i, Saturating::Qadd); }
void QSUB(Translator& t, const fields::QSUB& i) { saturating(t, i, Saturating::Qsub); }
void QDADD(Translator& t, const fields::QDADD& i) { saturating(t, i, Saturating::Qdadd); }
void QDSUB(Translator& t, const fields::QDSUB& i) { saturating(t, i, Saturating::Qdsub); }

/// SMLA<x><y><c> <Rd>, <Rn>, <Rm>, <Ra>
void SMLAxy(Translator& t, const fields::SMLAxy& i) {
  if (i.any_pc("dnma")) return t.unpredictable();
  t.smla_xy(i('d'), i('n'), i('m'), i('a'), i('x') != 0, i('y') != 0);
}

/// SMUL<x><y><c> <Rd>, <Rn>, <Rm>
void SMULxy(Translator& t, const fields::SMULxy& i) {
  if (i.any_pc("dnm")) return t.unpredictable();
  t.smla_xy(i('d'), i('n'), i('m'), 15, i('x') != 0, i('y') != 0);
}

/// SMLAW<y><c> <Rd>, <Rn>, <Rm>, <Ra>
void SMLAWy(Translator& t, const fields::SMLAWy& i) {
  if (i.any_pc("dnma")) return t.unpredictable();
  t.smlaw_y(i('d'), i('n'), i('m'), i('a'), i('y') != 0);
}

/// SMULW<y><c> <Rd>, <Rn>, <Rm>
void SMULWy(Translator& t, const fields::SMULWy& i) {
  if (i.any_pc("dnm")) return t.unpredictable();
  t.smlaw_y(i('d'), i('n'), i('m'), 15, i('y') != 0);
}

/// SMLAL<x><y><c> <RdLo>, <RdHi>, <Rn>, <Rm>
void SMLALxy(Translator& t, const fields::SMLALxy& i) {
  if (bad_long(i)) return t.unpredictable();
  t.smlal_xy(i('l'), i('h'), i('n'), i('m'), i('x') != 0, i('y') != 0);
}

/// SMLAD{X}<c> <Rd>, <Rn>, <Rm>, <Ra>; without Ra SMUAD{X}; SMLSD{X} and SMUSD{X} likewise
static void dual(Translator& t, const auto& i, u32 a, bool subtract) {
  if (i.any_pc("dnm")) return t.unpredictable();
  t.smlad(i('d'), i('n'), i('m'), a, subtract, i('x') != 0);
}
void SMLAD(Translator& t, const fields::SMLAD& i) { dual(t, i, i('a'), false); }
void SMLSD(Translator& t, const fields::SMLSD& i) { dual(t, i, i('a'), true); }
void SMUAD(Translator& t, const fields::SMUAD& i) { dual(t, i, 15, false); }
void SMUSD(Translator& t, const fields::SMUSD& i) { dual(t, i, 15, true); }

/// SMLALD{X}<c> <RdLo>, <RdHi>, <Rn>, <Rm>; SMLSLD{X} likewise
static void dual_long(Translator& t, const auto& i, bool subtract) {
  if (bad_long(i)) return t.unpredictable();
  t.smlald(i('l'), i('h'), i('n'), i('m'), subtract, i('x') != 0);
}
void SMLALD(Translator& t, const fields::SMLALD& i) { dual_long(t, i, false); }
void SMLSLD(Translator& t, const fields::SMLSLD& i) { dual_long(t, i, true); }

/// SMMLA{R}<c> <Rd>, <Rn>, <Rm>, <Ra>; SMMLS{R} likewise; SMMUL{R} without Ra
static void most_significant(Translator& t, const auto& i, u32 a, bool subtract) {
  if (i.any_pc("dnm") || (subtract && a == 15)) return t.unpredictable();
  t.smmla(i('d'), i('n'), i('m'), a, subtract, i('x') != 0);
}
void SMMLA(Translator& t, const fields::SMMLA& i) { most_significant(t, i, i('a'), false); }
void SMMLS(Translator& t, const fields::SMMLS& i) { most_significant(t, i, i('a'), true); }
void SMMUL(Translator& t, const fields::SMMUL& i) { most_significant(t, i, 15, false); }

/// SDIV<c> <Rd>, <Rn>, <Rm>; UDIV likewise
static void divide(Translator& t, const auto& i, bool is_unsigned) {
  if (i.any_pc("dnm")) return t.unpredictable();
  t.divide(is_unsigned, i('d'), i('n'), i('m'));
}
void SDIV(Translator& t, const fields::SDIV& i) { divide(t, i, false); }
void UDIV(Translator& t, const fields::UDIV& i) { divide(t, i, true); }

/// USAD8<c> <Rd>, <Rn>, <Rm>; USADA8<c> <Rd>, <Rn>, <Rm>, <Ra>
static void usada8(Translator& t, const auto& i, u32 a) {
  if (i.any_pc("dnm")) return t.unpredictable();
  t.usada8(i('d'), i('n'), i('m'), a);
}
void USAD8(Translator& t, const fields::USAD8& i) { usada8(t, i, 15); }
void USADA8(Translator& t, const fields::USADA8& i) { usada8(t, i, i('a')); }

/// SSAT<c> <Rd>, #<imm>, <Rn>{, <shift>}; USAT likewise
void SSAT(Translator& t, const fields::SSAT& i) {
  if (i.any_pc("dn")) return t.unpredictable();
  t.saturate(false, i('d'), i('k') + 1, i('n'), i('y') != 0, i('i'));
}
void USAT(Translator& t, const fields::USAT& i) {
  if (i.any_pc("dn")) return t.unpredictable();
  t.saturate(true, i('d'), i('k'), i('n'), i('y') != 0, i('i'));
}

/// SSAT16<c> <Rd>, #<imm>, <Rn>; USAT16 likewise
void SSAT16(Translator& t, const fields::SSAT16& i) {
  if (i.any_pc("dn")) return t.unpredictable();
  t.saturate16(false, i('d'), i('k') + 1, i('n'));
}
void USAT16(Translator& t, const fields::USAT16& i) {
  if (i.any_pc("dn")) return t.unpredictable();
  t.saturate16(true, i('d'), i('k'), i('n'));
}

/// SADD16<c> <Rd>, <Rn>, <Rm> and the other 35
static void parallel(Translator& t, const auto& i, ir::ParallelPrefix prefix, ir::ParallelKind kind) {
  if (i.any_pc("dnm")) return t.unpredictable();
  t.parallel(prefix, kind, i('d'), i('n'), i('m'));
}
#define AV_PARALLEL(prefix, NAME, kind)                                 \
  void prefix##NAME(Translator& t, const fields::prefix##NAME& i) {     \
    parallel(t, i, ir::ParallelPrefix::prefix, ir::ParallelKind::kind); \
  }
#define AV_PARALLEL_ALL(prefix)     \
  AV_PARALLEL(prefix, ADD16, Add16) \
  AV_PARALLEL(prefix, ASX, Asx)     \
  AV_PARALLEL(prefix, SAX, Sax)     \
  AV_PARALLEL(prefix, SUB16, Sub16) \
  AV_PARALLEL(prefix, ADD8, Add8)   \
  AV_PARALLEL(prefix, SUB8, Sub8)
AV_PARALLEL_ALL(S)
AV_PARALLEL_ALL(Q)
AV_PARALLEL_ALL(SH)
AV_PARALLEL_ALL(U)
AV_PARALLEL_ALL(UQ)
AV_PARALLEL_ALL(UH)
#undef AV_PARALLEL_ALL
#undef AV_PARALLEL

}  // namespace armvisor::frontend::a32
