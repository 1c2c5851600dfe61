// A32 loads and stores (ARM DDI 0406C A5.2.8 to A5.2.10, A5.3, A5.5, A5.7 memory hints).
#include "frontend/handlers.h"
#include "frontend/translator.h"

namespace armvisor::frontend::a32 {
namespace {

constexpr u8 k_signed = MemAttr::sign, k_unprivileged = MemAttr::unprivileged;

/// [<Rn>{, #+/-<imm>}]{!} and [<Rn>], #+/-<imm>: P, U, W as encoded.
Translator::Index indexed(const auto& i, Operand offset) {
  const bool p = i.or_zero('P') != 0;
  return {.n = i('n'), .offset = offset, .add = i('U') != 0, .index = p, .writeback = !p || i.or_zero('W') != 0};
}

Translator::Index imm_index(const auto& i) { return indexed(i, Translator::imm(i('i'))); }

/// [<Rn>, +/-<Rm>{, <shift>}]{!}. The halfword and doubleword forms have no shift fields, which read as LSL #0.
Translator::Index reg_index(Translator& t, const auto& i) {
  return indexed(i, t.shifted_reg(i('m'), i.or_zero('y'), i.or_zero('i'), false).value);
}

/// The base may be its own index (since ARMv6).
bool bad_reg_index(const auto& i, const Translator::Index& x) { return i('m') == 15 || (x.writeback && i('n') == 15); }

/// `attr` has the size. Only word loads and stores may name PC.
void load_imm(Translator& t, const auto& i, u8 attr) {
  if (i('t') == 15 && attr != 4) return t.unpredictable();
  t.load(i('t'), attr, imm_index(i));
}

void load_reg(Translator& t, const auto& i, u8 attr) {
  const auto x = reg_index(t, i);
  if (bad_reg_index(i, x) || (i('t') == 15 && attr != 4)) return t.unpredictable();
  t.load(i('t'), attr, x);
}

void store_imm(Translator& t, const auto& i, u8 attr) {
  if (i('t') == 15 && attr != 4) return t.unpredictable();
  t.store(i('t'), attr, imm_index(i));
}

void store_reg(Translator& t, const auto& i, u8 attr) {
  const auto x = reg_index(t, i);
  if (bad_reg_index(i, x) || (i('t') == 15 && attr != 4)) return t.unpredictable();
  t.store(i('t'), attr, x);
}

bool bad_pair(const auto& i) { return (i('t') & 1) != 0 || i('t') == 14; }
/// P == 0 with W == 1 has no meaning for doublewords.
bool bad_dual_mode(const auto& i) { return i('P') == 0 && i('W') != 0; }

}  // namespace

/// LDR<c> <Rt>, [<Rn>...] and relatives; the T forms are post-indexed and unprivileged
#define AV_ACCESS(NAME, kind, attr)                                                       \
  void NAME##_imm(Translator& t, const fields::NAME##_imm& i) { kind##_imm(t, i, attr); } \
  void NAME##_reg(Translator& t, const fields::NAME##_reg& i) { kind##_reg(t, i, attr); }
AV_ACCESS(STR, store, 4)
AV_ACCESS(LDR, load, 4)
AV_ACCESS(STRB, store, 1)
AV_ACCESS(LDRB, load, 1)
AV_ACCESS(STRH, store, 2)
AV_ACCESS(LDRH, load, 2)
AV_ACCESS(LDRSB, load, 1 | k_signed)
AV_ACCESS(LDRSH, load, 2 | k_signed)
AV_ACCESS(STRT, store, 4 | k_unprivileged)
AV_ACCESS(LDRT, load, 4 | k_unprivileged)
AV_ACCESS(STRBT, store, 1 | k_unprivileged)
AV_ACCESS(LDRBT, load, 1 | k_unprivileged)
AV_ACCESS(STRHT, store, 2 | k_unprivileged)
AV_ACCESS(LDRHT, load, 2 | k_unprivileged)
AV_ACCESS(LDRSBT, load, 1 | k_signed | k_unprivileged)
AV_ACCESS(LDRSHT, load, 2 | k_signed | k_unprivileged)
#undef AV_ACCESS

/// LDRD<c> <Rt>, <Rt2>, [<Rn>...]
void LDRD_imm(Translator& t, const fields::LDRD_imm& i) {
  if (bad_pair(i) || bad_dual_mode(i)) return t.unpredictable();
  t.load_dual(i('t'), i('t') + 1, imm_index(i));
}
void LDRD_reg(Translator& t, const fields::LDRD_reg& i) {
  const auto x = reg_index(t, i);
  if (bad_pair(i) || bad_dual_mode(i) || bad_reg_index(i, x) || i('m') == i('t') || i('m') == i('t') + 1)
    return t.unpredictable();
  t.load_dual(i('t'), i('t') + 1, x);
}

/// STRD<c> <Rt>, <Rt2>, [<Rn>...]
void STRD_imm(Translator& t, const fields::STRD_imm& i) {
  if (bad_pair(i) || bad_dual_mode(i)) return t.unpredictable();
  t.store_dual(i('t'), i('t') + 1, imm_index(i));
}
void STRD_reg(Translator& t, const fields::STRD_reg& i) {
  const auto x = reg_index(t, i);
  if (bad_pair(i) || bad_dual_mode(i) || bad_reg_index(i, x)) return t.unpredictable();
  t.store_dual(i('t'), i('t') + 1, x);
}

/// SWP{B}<c> <Rt>, <Rt2>, [<Rn>]: UNDEFINED while SCTLR.SW is 0, and this CPU does not let it be set
void SWP(Translator& t, const fields::SWP&) { t.undefined(); }

/// LDREX<c> <Rt>, [<Rn>] and relatives
static void load_exclusive(Translator& t, const auto& i, u32 size) {
  if (i('n') == 15 || i('t') == 15 || (size == 8 && bad_pair(i))) return t.unpredictable();
  t.load_exclusive(size, i('t'), i('t') + 1, i('n'), 0);
}
void LDREX(Translator& t, const fields::LDREX& i) { load_exclusive(t, i, 4); }
void LDREXD(Translator& t, const fields::LDREXD& i) { load_exclusive(t, i, 8); }
void LDREXB(Translator& t, const fields::LDREXB& i) { load_exclusive(t, i, 1); }
void LDREXH(Translator& t, const fields::LDREXH& i) { load_exclusive(t, i, 2); }

/// STREX<c> <Rd>, <Rt>, [<Rn>] and relatives
static void store_exclusive(Translator& t, const auto& i, u32 size) {
  if (i('n') == 15 || i('t') == 15 || i('d') == 15 || (size == 8 && bad_pair(i))) return t.unpredictable();
  t.store_exclusive(size, i('d'), i('t'), i('t') + 1, i('n'), 0);
}
void STREX(Translator& t, const fields::STREX& i) { store_exclusive(t, i, 4); }
void STREXD(Translator& t, const fields::STREXD& i) { store_exclusive(t, i, 8); }
void STREXB(Translator& t, const fields::STREXB& i) { store_exclusive(t, i, 1); }
void STREXH(Translator& t, const fields::STREXH& i) { store_exclusive(t, i, 2); }

/// CLREX
void CLREX(Translator& t, const fields::CLREX&) { t.clear_exclusive(); }

static BlockMode block_mode(const auto& i) { return static_cast<BlockMode>(i('P') << 1 | i('U')); }

/// LDM{<amode>}<c> <Rn>{!}, <registers>
void LDM(Translator& t, const fields::LDM& i) { t.load_multiple(i('n'), i('l'), block_mode(i), i('W') != 0); }
/// STM{<amode>}<c> <Rn>{!}, <registers>
void STM(Translator& t, const fields::STM& i) { t.store_multiple(i('n'), i('l'), block_mode(i), i('W') != 0); }
/// LDM{<amode>}<c> <Rn>, <registers_without_pc>^
void LDM_user(Translator& t, const fields::LDM_user& i) { t.load_multiple_user(i('n'), i('l'), block_mode(i)); }
/// STM{<amode>}<c> <Rn>, <registers>^
void STM_user(Translator& t, const fields::STM_user& i) { t.store_multiple_user(i('n'), i('l'), block_mode(i)); }
/// LDM{<amode>}<c> <Rn>{!}, <registers_with_pc>^
void LDM_return(Translator& t, const fields::LDM_return& i) {
  t.load_multiple_return(i('n'), i('l') | 0x8000, block_mode(i), i('W') != 0);
}
/// SRS{<amode>} SP{!}, #<mode>
void SRS(Translator& t, const fields::SRS& i) { t.srs(i('m'), block_mode(i), i('W') != 0); }
/// RFE{<amode>} <Rn>{!}
void RFE(Translator& t, const fields::RFE& i) { t.rfe(i('n'), block_mode(i), i('W') != 0); }

// Preloads change no architectural state.
void PLD_imm(Translator&, const fields::PLD_imm&) {}
void PLD_reg(Translator&, const fields::PLD_reg&) {}
void PLI_imm(Translator&, const fields::PLI_imm&) {}
void PLI_reg(Translator&, const fields::PLI_reg&) {}
void HINT_imm(Translator&, const fields::HINT_imm&) {}
void HINT_reg(Translator&, const fields::HINT_reg&) {}

}  // namespace armvisor::frontend::a32
