// 32-bit Thumb loads and stores (ARM DDI 0406C A6.3.5 to A6.3.10). Rt = 15 in loads of bytes and halfwords is the
// memory hint space: PLD, PLDW, PLI and unallocated hints, which do nothing here.
#include "base/bits.h"
#include "frontend/handlers.h"
#include "frontend/translate_t32_operands.h"
#include "frontend/translator.h"

namespace armvisor::frontend::t32 {
namespace {

constexpr u8 k_size = MemAttr::size_mask;

/// Loads of words may write SP and, last in an IT block, PC; others neither.
bool load_target_ok(const Translator& t, u32 rt, u8 attr) {
  if ((attr & k_size) != 4) return !bad_reg(rt);
  return rt != 15 || !t.inside_it();
}
bool store_source_ok(u32 rt, u8 attr) { return (attr & k_size) == 4 ? rt != 15 : !bad_reg(rt); }

/// Rn = 15: bits 23 (add) and 11:0 of every load encoding are those of the literal form.
void load_literal(Translator& t, const auto& i, u8 attr) {
  const u32 rt = i('t');
  if (rt == 15 && (attr & k_size) != 4) return;
  if (!load_target_ok(t, rt, attr)) return t.unpredictable();
  t.load(rt, attr, {15, Translator::imm(i.raw() & 0xfff), bit<23>(i.raw())});
}

void load_imm12(Translator& t, const auto& i, u8 attr) {
  if (i('n') == 15) return load_literal(t, i, attr);
  if (!load_target_ok(t, i('t'), attr)) return t.unpredictable();
  t.load(i('t'), attr, {i('n'), Translator::imm(i('i'))});
}
void load_imm8(Translator& t, const auto& i, u8 attr) {
  const u32 rt = i('t'), n = i('n');
  const bool index = i('P') != 0, writeback = i('W') != 0;
  if (n == 15) return load_literal(t, i, attr);
  if (!index && !writeback) return t.undefined();
  if (!load_target_ok(t, rt, attr) || (writeback && n == rt)) return t.unpredictable();
  t.load(rt, attr, {n, Translator::imm(i('i')), i('U') != 0, index, writeback});
}
void load_unprivileged(Translator& t, const auto& i, u8 attr) {
  if (i('n') == 15) return load_literal(t, i, attr);
  if (bad_reg(i('t'))) return t.unpredictable();
  t.load(i('t'), attr | MemAttr::unprivileged, {i('n'), Translator::imm(i('i'))});
}
void load_reg(Translator& t, const auto& i, u8 attr) {
  if (i('n') == 15) return load_literal(t, i, attr);
  if (bad_reg(i('m')) || !load_target_ok(t, i('t'), attr)) return t.unpredictable();
  t.load(i('t'), attr, {i('n'), t.shift_imm(t.reg(i('m')), Shift::LSL, i('i'), false).value});
}

void store_imm12(Translator& t, const auto& i, u8 attr) {
  if (i('n') == 15) return t.undefined();
  if (!store_source_ok(i('t'), attr)) return t.unpredictable();
  t.store(i('t'), attr, {i('n'), Translator::imm(i('i'))});
}
void store_imm8(Translator& t, const auto& i, u8 attr) {
  const u32 rt = i('t'), n = i('n');
  const bool index = i('P') != 0, writeback = i('W') != 0;
  if (n == 15 || (!index && !writeback)) return t.undefined();
  if (!store_source_ok(rt, attr) || (writeback && n == rt)) return t.unpredictable();
  t.store(rt, attr, {n, Translator::imm(i('i')), i('U') != 0, index, writeback});
}
void store_unprivileged(Translator& t, const auto& i, u8 attr) {
  if (i('n') == 15) return t.undefined();
  if (bad_reg(i('t'))) return t.unpredictable();
  t.store(i('t'), attr | MemAttr::unprivileged, {i('n'), Translator::imm(i('i'))});
}
void store_reg(Translator& t, const auto& i, u8 attr) {
  if (i('n') == 15) return t.undefined();
  if (bad_reg(i('m')) || !store_source_ok(i('t'), attr)) return t.unpredictable();
  t.store(i('t'), attr, {i('n'), t.shift_imm(t.reg(i('m')), Shift::LSL, i('i'), false).value});
}

// One register is UNPREDICTABLE here; it is transferred, as programs that came with Android count on.
void store_multiple(Translator& t, const auto& i, BlockMode mode) {
  const u32 n = i('n'), list = i('r');
  const bool writeback = i('W') != 0;
  if (n == 15 || list == 0 || (list & 0xa000) || (writeback && bit<0>(list >> n))) return t.unpredictable();
  t.store_multiple(n, list, mode, writeback);
}
void load_multiple(Translator& t, const auto& i, BlockMode mode) {
  const u32 n = i('n'), list = i('r');
  const bool writeback = i('W') != 0;
  if (n == 15 || list == 0 || (list & 0x2000) || (list & 0xc000) == 0xc000) return t.unpredictable();
  if ((bit<15>(list) && t.inside_it()) || (writeback && bit<0>(list >> n))) return t.unpredictable();
  t.load_multiple(n, list, mode, writeback);
}

void load_exclusive(Translator& t, const auto& i, u32 size) {
  if (bad_reg(i('t')) || i('n') == 15) return t.unpredictable();
  t.load_exclusive(size, i('t'), 15, i('n'), i.or_zero('i') * 4);
}
void store_exclusive(Translator& t, const auto& i, u32 size) {
  const u32 d = i('d'), n = i('n'), rt = i('t');
  if (any_bad(d, rt) || n == 15 || d == n || d == rt) return t.unpredictable();
  t.store_exclusive(size, d, rt, 15, n, i.or_zero('i') * 4);
}

void table_branch(Translator& t, const auto& i, bool half) {
  if (i('n') == 13 || bad_reg(i('m')) || t.inside_it()) return t.unpredictable();
  t.table_branch(i('n'), i('m'), half);
}

bool dual_ok(const auto& i) {
  const u32 n = i('n'), rt = i('t'), rt2 = i('u');
  return !any_bad(rt, rt2) && !(i('W') && (n == rt || n == rt2 || n == 15));
}
Translator::Index dual_index(const auto& i) {
  return {i('n'), Translator::imm(i('i') * 4), i('U') != 0, i('P') != 0, i('W') != 0};
}

}  // namespace

// --- load and store multiple
void STM(Translator& t, const fields::STM& i) { store_multiple(t, i, BlockMode::IA); }
void LDM(Translator& t, const fields::LDM& i) { load_multiple(t, i, BlockMode::IA); }
void STMDB(Translator& t, const fields::STMDB& i) { store_multiple(t, i, BlockMode::DB); }
void LDMDB(Translator& t, const fields::LDMDB& i) { load_multiple(t, i, BlockMode::DB); }
void SRSDB(Translator& t, const fields::SRSDB& i) { t.srs(i('o'), BlockMode::DB, i('W') != 0); }
void SRSIA(Translator& t, const fields::SRSIA& i) { t.srs(i('o'), BlockMode::IA, i('W') != 0); }
void RFEDB(Translator& t, const fields::RFEDB& i) {
  if (i('n') == 15 || t.inside_it()) return t.unpredictable();
  t.rfe(i('n'), BlockMode::DB, i('W') != 0);
}
void RFEIA(Translator& t, const fields::RFEIA& i) {
  if (i('n') == 15 || t.inside_it()) return t.unpredictable();
  t.rfe(i('n'), BlockMode::IA, i('W') != 0);
}

// --- exclusives and table branches
void STREX(Translator& t, const fields::STREX& i) { store_exclusive(t, i, 4); }
void LDREX(Translator& t, const fields::LDREX& i) { load_exclusive(t, i, 4); }
void STREXB(Translator& t, const fields::STREXB& i) { store_exclusive(t, i, 1); }
void STREXH(Translator& t, const fields::STREXH& i) { store_exclusive(t, i, 2); }
void STREXD(Translator& t, const fields::STREXD& i) {
  const u32 d = i('d'), n = i('n'), rt = i('t'), rt2 = i('u');
  if (any_bad(d, rt, rt2) || n == 15 || d == n || d == rt || d == rt2) return t.unpredictable();
  t.store_exclusive(8, d, rt, rt2, n, 0);
}
void TBB(Translator& t, const fields::TBB& i) { table_branch(t, i, false); }
void TBH(Translator& t, const fields::TBH& i) { table_branch(t, i, true); }
void LDREXB(Translator& t, const fields::LDREXB& i) { load_exclusive(t, i, 1); }
void LDREXH(Translator& t, const fields::LDREXH& i) { load_exclusive(t, i, 2); }
void LDREXD(Translator& t, const fields::LDREXD& i) {
  const u32 rt = i('t'), rt2 = i('u');
  if (any_bad(rt, rt2) || rt == rt2 || i('n') == 15) return t.unpredictable();
  t.load_exclusive(8, rt, rt2, i('n'), 0);
}

// --- load and store dual
void STRD_imm(Translator& t, const fields::STRD_imm& i) {
  if (!i('P') && !i('W')) return t.undefined();
  if (!dual_ok(i) || i('n') == 15) return t.unpredictable();
  t.store_dual(i('t'), i('u'), dual_index(i));
}
void LDRD_imm(Translator& t, const fields::LDRD_imm& i) {
  if (!i('P') && !i('W')) return t.undefined();
  if (!dual_ok(i) || i('t') == i('u')) return t.unpredictable();
  t.load_dual(i('t'), i('u'), dual_index(i));
}

// --- single items
void STRB_imm12(Translator& t, const fields::STRB_imm12& i) { store_imm12(t, i, 1); }
void STRB_imm8(Translator& t, const fields::STRB_imm8& i) { store_imm8(t, i, 1); }
void STRBT(Translator& t, const fields::STRBT& i) { store_unprivileged(t, i, 1); }
void STRB_reg(Translator& t, const fields::STRB_reg& i) { store_reg(t, i, 1); }
void STRH_imm12(Translator& t, const fields::STRH_imm12& i) { store_imm12(t, i, 2); }
void STRH_imm8(Translator& t, const fields::STRH_imm8& i) { store_imm8(t, i, 2); }
void STRHT(Translator& t, const fields::STRHT& i) { store_unprivileged(t, i, 2); }
void STRH_reg(Translator& t, const fields::STRH_reg& i) { store_reg(t, i, 2); }
void STR_imm12(Translator& t, const fields::STR_imm12& i) { store_imm12(t, i, 4); }
void STR_imm8(Translator& t, const fields::STR_imm8& i) { store_imm8(t, i, 4); }
void STRT(Translator& t, const fields::STRT& i) { store_unprivileged(t, i, 4); }
void STR_reg(Translator& t, const fields::STR_reg& i) { store_reg(t, i, 4); }
void LDRB_imm12(Translator& t, const fields::LDRB_imm12& i) { load_imm12(t, i, 1); }
void LDRB_imm8(Translator& t, const fields::LDRB_imm8& i) { load_imm8(t, i, 1); }
void LDRBT(Translator& t, const fields::LDRBT& i) { load_unprivileged(t, i, 1); }
void LDRB_reg(Translator& t, const fields::LDRB_reg& i) { load_reg(t, i, 1); }
void LDRB_lit(Translator& t, const fields::LDRB_lit& i) { load_literal(t, i, 1); }
void LDRH_imm12(Translator& t, const fields::LDRH_imm12& i) { load_imm12(t, i, 2); }
void LDRH_imm8(Translator& t, const fields::LDRH_imm8& i) { load_imm8(t, i, 2); }
void LDRHT(Translator& t, const fields::LDRHT& i) { load_unprivileged(t, i, 2); }
void LDRH_reg(Translator& t, const fields::LDRH_reg& i) { load_reg(t, i, 2); }
void LDRH_lit(Translator& t, const fields::LDRH_lit& i) { load_literal(t, i, 2); }
void LDR_imm12(Translator& t, const fields::LDR_imm12& i) { load_imm12(t, i, 4); }
void LDR_imm8(Translator& t, const fields::LDR_imm8& i) { load_imm8(t, i, 4); }
void LDRT(Translator& t, const fields::LDRT& i) { load_unprivileged(t, i, 4); }
void LDR_reg(Translator& t, const fields::LDR_reg& i) { load_reg(t, i, 4); }
void LDR_lit(Translator& t, const fields::LDR_lit& i) { load_literal(t, i, 4); }
void LDRSB_imm12(Translator& t, const fields::LDRSB_imm12& i) { load_imm12(t, i, 1 | MemAttr::sign); }
void LDRSB_imm8(Translator& t, const fields::LDRSB_imm8& i) { load_imm8(t, i, 1 | MemAttr::sign); }
void LDRSBT(Translator& t, const fields::LDRSBT& i) { load_unprivileged(t, i, 1 | MemAttr::sign); }
void LDRSB_reg(Translator& t, const fields::LDRSB_reg& i) { load_reg(t, i, 1 | MemAttr::sign); }
void LDRSB_lit(Translator& t, const fields::LDRSB_lit& i) { load_literal(t, i, 1 | MemAttr::sign); }
void LDRSH_imm12(Translator& t, const fields::LDRSH_imm12& i) { load_imm12(t, i, 2 | MemAttr::sign); }
void LDRSH_imm8(Translator& t, const fields::LDRSH_imm8& i) { load_imm8(t, i, 2 | MemAttr::sign); }
void LDRSHT(Translator& t, const fields::LDRSHT& i) { load_unprivileged(t, i, 2 | MemAttr::sign); }
void LDRSH_reg(Translator& t, const fields::LDRSH_reg& i) { load_reg(t, i, 2 | MemAttr::sign); }
void LDRSH_lit(Translator& t, const fields::LDRSH_lit& i) { load_literal(t, i, 2 | MemAttr::sign); }

// --- memory hints
void PLD_imm12(Translator&, const fields::PLD_imm12&) {}
void PLD_neg(Translator&, const fields::PLD_neg&) {}
void PLD_reg(Translator&, const fields::PLD_reg&) {}
void PLD_lit(Translator&, const fields::PLD_lit&) {}
void PLDW_imm12(Translator&, const fields::PLDW_imm12&) {}
void PLDW_neg(Translator&, const fields::PLDW_neg&) {}
void PLDW_reg(Translator&, const fields::PLDW_reg&) {}
void PLDW_lit(Translator&, const fields::PLDW_lit&) {}
void PLI_imm12(Translator&, const fields::PLI_imm12&) {}
void PLI_neg(Translator&, const fields::PLI_neg&) {}
void PLI_reg(Translator&, const fields::PLI_reg&) {}
void PLI_lit(Translator&, const fields::PLI_lit&) {}
void HINT_mem_imm12(Translator&, const fields::HINT_mem_imm12&) {}
void HINT_mem_neg(Translator&, const fields::HINT_mem_neg&) {}
void HINT_mem_reg(Translator&, const fields::HINT_mem_reg&) {}
void HINT_mem_lit(Translator&, const fields::HINT_mem_lit&) {}

}  // namespace armvisor::frontend::t32
