// Extension register loads and stores, and transfers between core and extension registers (ARM DDI 0406C A7.6, A7.8,
// A7.9).
#include <array>

#include "arm/vfp_regs.h"
#include "frontend/translate_simd.h"

namespace armvisor::frontend::simd {
namespace {

u32 first_register(const auto& i) { return i('z') ? vd(i) : i('d') << 1 | i('D'); }

/// Base of the A7.6 instructions: PC reads word-aligned.
Operand base_of(Translator& t, const auto& i) { return i('n') == 15 ? Operand(t.pc_aligned()) : t.reg(i('n')); }

/// One register from or to memory. A big-endian doubleword has its high word first, which is what the two word accesses
/// of the manual give.
class Transfer {
 public:
  Transfer(Translator& t, const auto& i) : t_(t), double_(i('z') != 0), access_{AccessKind::Extension, bytes()} {}

  u32 bytes() const { return double_ ? 8 : 4; }
  Value load(Operand base, u32 disp) { return t_.read(access_, base, disp); }
  void store(Operand base, u32 disp, Value v) { t_.write(access_, base, disp, v); }
  Value get(u32 r) { return t_.ir.emit_imm(double_ ? Op::GetD : Op::GetS, r); }
  void set(u32 r, Value v) { t_.ir.emit_imm(double_ ? Op::SetD : Op::SetS, r, v); }

 private:
  Translator& t_;
  bool double_;
  Translator::Access access_;
};

/// The list begins at the base register, or with `before` ends there. The accesses stand side by side, so that an
/// engine can check them together.
void multiple(Translator& t, const auto& i, u32 n, bool writeback, bool before, bool load) {
  const bool is_double = i('z') != 0;
  const u32 words = i('i'), count = is_double ? words / 2 : words, first = first_register(i);
  const bool defined =
      count != 0 && first + count <= 32 && (!is_double || count <= 16) && !(n == 15 && (writeback || t.context.thumb));
  if (!open_vfp(t, defined)) return;
  const Operand base = n == 15 ? Operand(t.pc_aligned()) : t.reg(n);
  const u32 lowest = before ? 0 - words * 4 : 0;
  Transfer x(t, i);
  std::array<Value, 32> v;
  for (u32 k = 0; k < count; ++k) v[k] = load ? x.load(base, lowest + k * x.bytes()) : x.get(first + k);
  for (u32 k = 0; k < count; ++k) {
    if (load)
      x.set(first + k, v[k]);
    else
      x.store(base, lowest + k * x.bytes(), v[k]);
  }
  if (writeback) t.ir.emit_to(Value::reg(n), Op::Add, base, Operand::imm(before ? lowest : words * 4));
}

u32 offset(const auto& i) { return i('U') ? i('i') * 4 : 0 - i('i') * 4; }

}  // namespace

// VSTM{mode}<c> <Rn>{!}, <list> and relatives
void VSTM_ia(Translator& t, const fields::VSTM_ia& i) { multiple(t, i, i('n'), i('W') != 0, false, false); }
void VLDM_ia(Translator& t, const fields::VLDM_ia& i) { multiple(t, i, i('n'), i('W') != 0, false, true); }
void VSTM_db(Translator& t, const fields::VSTM_db& i) { multiple(t, i, i('n'), true, true, false); }
void VLDM_db(Translator& t, const fields::VLDM_db& i) { multiple(t, i, i('n'), true, true, true); }
void VPUSH(Translator& t, const fields::VPUSH& i) { multiple(t, i, 13, true, true, false); }
void VPOP(Translator& t, const fields::VPOP& i) { multiple(t, i, 13, true, false, true); }

/// VSTR<c> <Dd>, [<Rn>{, #+/-<imm>}]
void VSTR(Translator& t, const fields::VSTR& i) {
  if (!open_vfp(t, !(i('n') == 15 && t.context.thumb))) return;
  Transfer x(t, i);
  x.store(base_of(t, i), offset(i), x.get(first_register(i)));
}
/// VLDR<c> <Dd>, [<Rn>{, #+/-<imm>}]
void VLDR(Translator& t, const fields::VLDR& i) {
  if (!open_vfp(t)) return;
  Transfer x(t, i);
  x.set(first_register(i), x.load(base_of(t, i), offset(i)));
}

/// VMOV<c> <Sn>, <Rt>
void VMOV_to_single(Translator& t, const fields::VMOV_to_single& i) {
  if (!open_vfp(t, i('t') != 15)) return;
  t.ir.emit_imm(Op::SetS, i('n') << 1 | i('N'), t.reg(i('t')));
}
/// VMOV<c> <Rt>, <Sn>
void VMOV_from_single(Translator& t, const fields::VMOV_from_single& i) {
  if (!open_vfp(t, i('t') != 15)) return;
  t.ir.emit_imm_to(Value::reg(i('t')), Op::GetS, i('n') << 1 | i('N'));
}

namespace {

/// A lane of a D register as opc1:opc2 give it: size in bits and number; false when they are UNDEFINED.
bool decode_lane(u32 opc1, u32 opc2, u32& esize, u32& lane) {
  if (opc1 & 2) {
    esize = 8;
    lane = (opc1 & 1) << 2 | opc2;
  } else if (opc2 & 1) {
    esize = 16;
    lane = (opc1 & 1) << 1 | opc2 >> 1;
  } else {
    esize = 32;
    lane = opc1 & 1;
    return opc2 == 0;
  }
  return true;
}

/// Words are VFP's, smaller elements Advanced SIMD's.
bool open_lane(Translator& t, bool defined, u32 esize) { return esize == 32 ? open_vfp(t, defined) : open(t, defined); }

}  // namespace

/// VMOV<c>.<size> <Dd[x]>, <Rt>
void VMOV_to_scalar(Translator& t, const fields::VMOV_to_scalar& i) {
  u32 esize = 0, lane = 0;
  const bool defined = decode_lane(i('o'), i('p'), esize, lane) && i('t') != 15;
  if (!open_lane(t, defined, esize)) return;
  const Value v = t.ir.emit_imm(Op::VSetLane, esize | lane << 8, get(t, vd(i), false), t.reg(i('t')));
  set(t, vd(i), false, v);
}
/// VMOV<c>.<dt> <Rt>, <Dn[x]>
void VMOV_from_scalar(Translator& t, const fields::VMOV_from_scalar& i) {
  u32 esize = 0, lane = 0;
  const bool defined = decode_lane(i('o'), i('p'), esize, lane) && i('t') != 15 && !(esize == 32 && i('u'));
  if (!open_lane(t, defined, esize)) return;
  const Value rt = Value::reg(i('t')), n = get(t, vn(i), false);
  if (i('u') || esize == 32) {
    t.ir.emit_imm_to(rt, Op::VGetLane, esize | lane << 8, n);
    return;
  }
  t.ir.emit_to(rt, esize == 8 ? Op::SExt8 : Op::SExt16, t.ir.emit_imm(Op::VGetLane, esize | lane << 8, n));
}

/// VDUP<c>.<size> <Qd>, <Rt>
void VDUP_core(Translator& t, const fields::VDUP_core& i) {
  const bool q = i('Q') != 0;
  const u32 size = i('b') << 1 | i('e');
  if (!open(t, size != 3 && i('t') != 15 && (!q || even(vd(i))))) return;
  set(t, vd(i), q, t.ir.emit_imm(Op::VDup, 32u >> size, t.reg(i('t'))));
}

/// VMOV<c> <Sm>, <Sm1>, <Rt>, <Rt2>
void VMOV_two_to_singles(Translator& t, const fields::VMOV_two_to_singles& i) {
  const u32 m = i('m') << 1 | i('M');
  if (!open_vfp(t, i('t') != 15 && i('u') != 15 && m != 31)) return;
  t.ir.emit_imm(Op::SetS, m, t.reg(i('t')));
  t.ir.emit_imm(Op::SetS, m + 1, t.reg(i('u')));
}
/// VMOV<c> <Rt>, <Rt2>, <Sm>, <Sm1>
void VMOV_two_from_singles(Translator& t, const fields::VMOV_two_from_singles& i) {
  const u32 m = i('m') << 1 | i('M');
  if (!open_vfp(t, i('t') != 15 && i('u') != 15 && i('t') != i('u') && m != 31)) return;
  t.ir.emit_imm_to(Value::reg(i('t')), Op::GetS, m);
  t.ir.emit_imm_to(Value::reg(i('u')), Op::GetS, m + 1);
}
/// VMOV<c> <Dm>, <Rt>, <Rt2>
void VMOV_two_to_double(Translator& t, const fields::VMOV_two_to_double& i) {
  if (!open_vfp(t, i('t') != 15 && i('u') != 15)) return;
  t.ir.emit_imm(Op::SetD, vm(i), t.ir.emit(Op::Pack64, t.reg(i('t')), t.reg(i('u'))));
}
/// VMOV<c> <Rt>, <Rt2>, <Dm>
void VMOV_two_from_double(Translator& t, const fields::VMOV_two_from_double& i) {
  if (!open_vfp(t, i('t') != 15 && i('u') != 15 && i('t') != i('u'))) return;
  const Value v = t.ir.emit_imm(Op::GetD, vm(i));
  t.ir.emit_to(Value::reg(i('t')), Op::Lo32, v);
  t.ir.emit_to(Value::reg(i('u')), Op::Hi32, v);
}

namespace {

enum class VfpReg : u8 { FPSID = 0, MVFR1 = 6, MVFR0 = 7, FPEXC = 8 };

/// The registers other than FPSCR need CPACR and PL1, but not FPEXC.EN (B1.11.3).
bool open_system(Translator& t, const auto& i) {
  t.fp();
  if (t.context.vfp_accessible && t.context.privileged && i('t') != 15) return true;
  t.undefined();
  return false;
}

}  // namespace

/// VMRS<c> <Rt>, FPSCR; VMRS<c> APSR_nzcv, FPSCR
void VMRS(Translator& t, const fields::VMRS& i) {
  if (!open_vfp(t)) return;
  if (i('t') != 15) {
    t.ir.emit_to(Value::reg(i('t')), Op::ReadFpscr);
    return;
  }
  t.ir.emit(Op::FpscrToFlags);
  t.ir.block().insts.back().attr = 15;
}

/// VMSR<c> FPSCR, <Rt>: blocks depend on its modes
void VMSR(Translator& t, const fields::VMSR& i) {
  if (!open_vfp(t, i('t') != 15)) return;
  t.ir.emit(Op::WriteFpscr, t.reg(i('t')));
  t.sync_exit();
}

/// VMRS<c> <Rt>, <spec_reg>
void VMRS_system(Translator& t, const fields::VMRS_system& i) {
  if (!open_system(t, i)) return;
  const Value rt = Value::reg(i('t'));
  const auto constant_register = [&](u32 v) { t.ir.emit_to(rt, Op::Mov, Operand::imm(v)); };
  switch (static_cast<VfpReg>(i('r'))) {
    case VfpReg::FPSID: t.ir.emit_imm_to(rt, Op::ReadSys, arm::find_sysreg32(10, 7, 0, 0, 0)); return;
    case VfpReg::MVFR0: return constant_register(arm::k_mvfr0);
    case VfpReg::MVFR1: return constant_register(arm::k_mvfr1);
    case VfpReg::FPEXC: t.ir.emit_to(rt, Op::ReadFpexc); return;
  }
  t.unpredictable();
}

/// VMSR<c> <spec_reg>, <Rt>: a write of FPSID only waits for the unit
void VMSR_system(Translator& t, const fields::VMSR_system& i) {
  if (!open_system(t, i)) return;
  const VfpReg reg = static_cast<VfpReg>(i('r'));
  if (reg == VfpReg::FPSID) return;
  if (reg != VfpReg::FPEXC) return t.unpredictable();
  t.ir.emit(Op::WriteFpexc, t.reg(i('t')));
  t.sync_exit();
}

}  // namespace armvisor::frontend::simd
