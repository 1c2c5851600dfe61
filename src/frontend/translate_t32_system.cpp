// 32-bit Thumb branches, miscellaneous control and coprocessor instructions (ARM DDI 0406C A6.3.4, A6.3.18).
#include "base/bits.h"
#include "frontend/handlers.h"
#include "frontend/translate_t32_operands.h"
#include "frontend/translator.h"

namespace armvisor::frontend::t32 {
namespace {

/// S:I1:I2:imm10:imm11:'0', with I = NOT(J EOR S), sign-extended. `low` is imm11:'0'.
u32 long_offset(const auto& i, u32 low) {
  const u32 s = i('s'), i1 = (i('j') ^ s) ^ 1, i2 = (i('k') ^ s) ^ 1;
  return sign_extend(s << 24 | i1 << 23 | i2 << 22 | i('h') << 12 | low, 25);
}

}  // namespace

// --- branches
void B_t3(Translator& t, const fields::B_t3& i) {
  if (i('c') >= 14) return t.undefined();  // unallocated miscellaneous control space
  if (t.in_it()) return t.unpredictable();
  const u32 offset = i('s') << 20 | i('k') << 19 | i('j') << 18 | i('h') << 12 | i('l') << 1;
  t.branch_cond(static_cast<Cond>(i('c')), t.pc_value() + sign_extend(offset, 21));
}
void B_t4(Translator& t, const fields::B_t4& i) {
  if (t.inside_it()) return t.unpredictable();
  t.branch(t.pc_value() + long_offset(i, i('l') << 1));
}
void BL_imm(Translator& t, const fields::BL_imm& i) {
  if (t.inside_it()) return t.unpredictable();
  t.branch_link(t.pc_value() + long_offset(i, i('l') << 1));
}
void BLX_imm(Translator& t, const fields::BLX_imm& i) {
  if (t.inside_it()) return t.unpredictable();
  t.branch_link_switch(t.pc_aligned() + long_offset(i, i('l') << 2));
}
/// Without Jazelle, BXJ is BX (A2.10).
void BXJ(Translator& t, const fields::BXJ& i) {
  if (bad_reg(i('m')) || t.inside_it()) return t.unpredictable();
  t.bx(i('m'));
}
/// SUBS PC, LR, #<imm8>: exception return.
void SUBS_PC_LR(Translator& t, const fields::SUBS_PC_LR& i) {
  if (t.inside_it()) return t.unpredictable();
  t.data_processing(DataOp::Sub, true, 15, 14u, Translator::imm(i('i')));
}

// --- status registers, hints, barriers
void MSR_reg(Translator& t, const fields::MSR_reg& i) {
  if (i('k') == 0 || bad_reg(i('n'))) return t.unpredictable();
  t.msr(t.reg(i('n')), i('k'), i('r') != 0);
}
void MRS(Translator& t, const fields::MRS& i) {
  if (bad_reg(i('d'))) return t.unpredictable();
  t.mrs(i('d'), i('r') != 0);
}
void NOP(Translator& t, const fields::NOP&) { t.hint(0); }
void YIELD(Translator& t, const fields::YIELD&) { t.hint(1); }
void WFE(Translator& t, const fields::WFE&) { t.hint(2); }
void WFI(Translator& t, const fields::WFI&) { t.hint(3); }
void SEV(Translator& t, const fields::SEV&) { t.hint(4); }
void HINT(Translator& t, const fields::HINT& i) { t.hint(i('h')); }
void CPS(Translator& t, const fields::CPS& i) {
  const u32 imod = i('I'), mode = i('m');
  const bool a = i('a') != 0, irq = i('b') != 0, f = i('f') != 0, change_mode = i('M') != 0;
  if (t.in_it() || imod == 1 || (imod >= 2) != (a || irq || f) || (!change_mode && mode != 0)) return t.unpredictable();
  t.cps(imod, a, irq, f, change_mode, mode);
}
void CLREX(Translator& t, const fields::CLREX&) { t.clear_exclusive(); }
void DSB(Translator& t, const fields::DSB&) { t.data_barrier(); }
void DMB(Translator& t, const fields::DMB&) { t.data_barrier(); }
void ISB(Translator& t, const fields::ISB&) { t.isb(); }

// --- calls to higher software, permanently undefined
void HVC(Translator& t, const fields::HVC& i) {
  if (t.in_it()) return t.unpredictable();
  t.hvc(i('i'));
}
void SMC(Translator& t, const fields::SMC& i) {
  if (t.inside_it()) return t.unpredictable();
  t.smc(i('i'));
}
void UDF(Translator& t, const fields::UDF&) { t.undefined(); }

// --- coprocessors. SP is UNPREDICTABLE; it is transferred like other registers, as in A32.
void MCR(Translator& t, const fields::MCR& i) {
  if (i('t') == 15) return t.unpredictable();
  t.mcr(i('p'), i('o'), i('t'), i('n'), i('m'), i('q'));
}
void MRC(Translator& t, const fields::MRC& i) { t.mrc(i('p'), i('o'), i('t'), i('n'), i('m'), i('q')); }
void MCRR(Translator& t, const fields::MCRR& i) {
  if (i('t') == 15 || i('u') == 15) return t.unpredictable();
  t.mcrr(i('p'), i('o'), i('t'), i('u'), i('m'));
}
void MRRC(Translator& t, const fields::MRRC& i) {
  if (i('t') == 15 || i('u') == 15 || i('t') == i('u')) return t.unpredictable();
  t.mrrc(i('p'), i('o'), i('t'), i('u'), i('m'));
}

}  // namespace armvisor::frontend::t32
