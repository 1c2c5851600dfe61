// A32 branches, program status, exception generation and system registers (ARM DDI 0406C A5.2.11, A5.2.12, A5.5 to
// A5.7).
#include "base/bits.h"
#include "frontend/handlers.h"
#include "frontend/translator.h"

namespace armvisor::frontend::a32 {

/// B<c> <label>
void B(Translator& t, const fields::B& i) { t.branch(t.pc_value() + sign_extend(i('i'), 24) * 4); }
/// BL<c> <label>
void BL(Translator& t, const fields::BL& i) { t.branch_link(t.pc_value() + sign_extend(i('i'), 24) * 4); }
/// BLX <label>
void BLX_imm(Translator& t, const fields::BLX_imm& i) {
  t.branch_link_switch(t.pc_value() + sign_extend(i('i'), 24) * 4 + i('H') * 2);
}
/// BX<c> <Rm>
void BX(Translator& t, const fields::BX& i) { t.bx(i('m')); }
/// BXJ<c> <Rm>: as BX with the trivial Jazelle implementation
void BXJ(Translator& t, const fields::BXJ& i) {
  if (i('m') == 15) return t.unpredictable();
  t.bx(i('m'));
}
/// BLX<c> <Rm>
void BLX_reg(Translator& t, const fields::BLX_reg& i) {
  if (i('m') == 15) return t.unpredictable();
  t.blx(i('m'));
}

/// MRS<c> <Rd>, <spec_reg>
void MRS(Translator& t, const fields::MRS& i) {
  if (i('d') == 15) return t.unpredictable();
  t.mrs(i('d'), i('R') != 0);
}
/// MSR<c> <spec_reg>, #<const>
void MSR_imm(Translator& t, const fields::MSR_imm& i) {
  t.msr(t.a32_modified_imm(i('i'), false).value, i('k'), i('R') != 0);
}
/// MSR<c> <spec_reg>, <Rn>
void MSR_reg(Translator& t, const fields::MSR_reg& i) {
  if (i('n') == 15) return t.unpredictable();
  t.msr(t.reg(i('n')), i('k'), i('R') != 0);
}

/// CPS<effect> <iflags>{, #<mode>}; CPS #<mode>
void CPS(Translator& t, const fields::CPS& i) {
  const u32 imod = i('I');
  const bool m = i('M') != 0, flags = (i('a') | i('b') | i('f')) != 0;
  if ((i('m') != 0 && !m) || (imod >= 2) != flags || imod == 1 || (imod == 0 && !m)) return t.unpredictable();
  t.cps(imod, i('a') != 0, i('b') != 0, i('f') != 0, m, i('m'));
}

/// SETEND <endian_specifier>
void SETEND(Translator& t, const fields::SETEND& i) { t.setend(i('E') != 0); }

/// NOP, YIELD, WFE, WFI, SEV, DBG
void HINT(Translator& t, const fields::HINT& i) { t.hint(i('i')); }
/// DMB, DSB, ISB <option>
void DMB(Translator& t, const fields::DMB&) { t.data_barrier(); }
void DSB(Translator& t, const fields::DSB&) { t.data_barrier(); }
void ISB(Translator& t, const fields::ISB&) { t.isb(); }

/// SVC<c> #<imm24>
void SVC(Translator& t, const fields::SVC& i) { t.svc(i('i')); }
/// HLT #<imm16>
void HLT(Translator& t, const fields::HLT& i) { t.hlt(i('i')); }
/// HVC #<imm16>
void HVC(Translator& t, const fields::HVC& i) {
  if (i('c') != 14) return t.unpredictable();
  t.hvc(i('i'));
}
/// SMC<c> #<imm4>
void SMC(Translator& t, const fields::SMC& i) { t.smc(i('i')); }
/// BKPT #<imm16>
void BKPT(Translator& t, const fields::BKPT& i) {
  if (i('c') != 14) return t.unpredictable();
  t.bkpt();
}
/// UDF<c> #<imm16>
void UDF(Translator& t, const fields::UDF&) { t.undefined(); }

/// MCR<c> <coproc>, <opc1>, <Rt>, <CRn>, <CRm>, <opc2>; MRC, MCRR, MRRC likewise
void MCR(Translator& t, const fields::MCR& i) { t.mcr(i('p'), i('o'), i('t'), i('n'), i('m'), i('q')); }
void MRC(Translator& t, const fields::MRC& i) { t.mrc(i('p'), i('o'), i('t'), i('n'), i('m'), i('q')); }
void MCRR(Translator& t, const fields::MCRR& i) { t.mcrr(i('p'), i('o'), i('t'), i('u'), i('m')); }
void MRRC(Translator& t, const fields::MRRC& i) { t.mrrc(i('p'), i('o'), i('t'), i('u'), i('m')); }

}  // namespace armvisor::frontend::a32
