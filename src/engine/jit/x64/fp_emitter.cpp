#include "engine/jit/x64/fp_emitter.h"

#include "arm/fp.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using IrType = ir::Type;
using Xbyak::Xmm;

bool is_double(Op op) { return op >= Op::FAdd64 && op <= Op::FCmp64; }
IrType type_of(bool wide) { return wide ? IrType::I64 : IrType::I32; }

/// The four flags as CpuState has them, one byte each.
constexpr u32 k_byte_n = 1, k_byte_z = 1u << 8, k_byte_c = 1u << 16, k_byte_v = 1u << 24;

}  // namespace

/// Jumps to `slow` unless the number in x is neither NaN nor the smallest normal number.
void FpEmitter::check_ordinary(const Xmm& x, bool wide, Label slow) {
  const Label unusual = code_.label(), ordinary = code_.label();
  const ScratchXmm0 xmm0(code_.scratch);
  const Xbyak::Address magnitude = wide ? code_.constant(~u64{0} >> 1, ~u64{0} >> 1) : code_.constant32(0x7fffffff);
  if (host_.avx) {
    code_.vandps(xmm0, x, magnitude);
  } else {
    code_.movaps(xmm0, x);
    code_.andps(xmm0, magnitude);
  }
  if (wide)
    code_.ucomisd(xmm0, code_.constant(u64{1} << 52, u64{1} << 52));
  else
    code_.ucomiss(xmm0, code_.constant32(1u << 23));
  code_.jbe(unusual, Code::T_NEAR);  // NaN, smaller, or it
  code_.L(ordinary);
  cold_.add([this, unusual, ordinary, slow] {
    code_.L(unusual);
    code_.jp(slow, Code::T_NEAR);
    code_.jb(ordinary, Code::T_NEAR);
    code_.jmp(slow, Code::T_NEAR);
  });
}

void FpEmitter::check_number(const Xmm& x, bool wide, Label slow) {
  wide ? code_.ucomisd(x, x) : code_.ucomiss(x, x);
  code_.jp(slow, Code::T_NEAR);
}

void FpEmitter::emit(const ir::Inst& i) {
  xmm_.begin();
  switch (i.op) {
    case Op::FCmp32:
    case Op::FCmp64: return compare(i);
    case Op::FixedToF32:
    case Op::FixedToF64: return from_int(i);
    default: break;
  }
  const Label slow = code_.label(), done = code_.label();
  switch (i.op) {
    case Op::FCvt32To64:
    case Op::FCvt64To32: resize(i, slow); break;
    case Op::F32ToFixed:
    case Op::F64ToFixed: to_int(i, slow); break;
    default: arithmetic(i, slow);
  }
  code_.L(done);
  calls_.add_slow_path(i, slow, done);
}

/// The operation itself; returns the register of its result.
Xmm FpEmitter::compute(const ir::Inst& i, IrType type) {
  const bool fused = i.op == Op::FMulAdd32 || i.op == Op::FMulAdd64;
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  const ScratchXmm2 xmm2(code_.scratch);
  const Xmm a = xmm_.use(i, i.a, type, xmm0);
  const Xmm b = i.b.is_none() ? a : i.b == i.a ? a : xmm_.use(i, i.b, type, xmm1);
  const Xmm c = fused ? xmm_.use(i, i.c, type, xmm2) : Xmm(xmm2);
  const Xmm d = xmm_.result(i.dst);
#define TWO(name) host_.avx ? code_.v##name(d, a, b) : (code_.movaps(d, a), code_.name(d, b))
  switch (i.op) {
    case Op::FAdd32: TWO(addss); break;
    case Op::FSub32: TWO(subss); break;
    case Op::FMul32: TWO(mulss); break;
    case Op::FDiv32: TWO(divss); break;
    case Op::FAdd64: TWO(addsd); break;
    case Op::FSub64: TWO(subsd); break;
    case Op::FMul64: TWO(mulsd); break;
    case Op::FDiv64: TWO(divsd); break;
    case Op::FSqrt32:
    case Op::FSqrt64:
      code_.movaps(d, a);
      type == IrType::I64 ? code_.sqrtsd(d, a) : code_.sqrtss(d, a);
      break;
    case Op::FMulAdd32:
    case Op::FMulAdd64:
      code_.movaps(d, a);
      type == IrType::I64 ? code_.vfmadd231sd(d, b, c) : code_.vfmadd231ss(d, b, c);
      break;
    default: AV_UNREACHABLE();
  }
#undef TWO
  return d;
}

void FpEmitter::arithmetic(const ir::Inst& i, Label slow) {
  const bool wide = is_double(i.op);
  const IrType type = type_of(wide);
  const Xmm d = compute(i, type);
  switch (i.op) {
    case Op::FAdd32:
    case Op::FSub32:
    case Op::FSqrt32:
    case Op::FAdd64:
    case Op::FSub64:
    case Op::FSqrt64: check_number(d, wide, slow); break;
    default: check_ordinary(d, wide, slow);
  }
  xmm_.finish(i.dst, d, type);
}

/// The next instruction that does something.
u32 FpEmitter::next_op(u32 index) const {
  do ++index;
  while (index < at_.block->insts.size() && at_.block->insts[index].op == Op::Insn);
  return index;
}

void FpEmitter::compare(const ir::Inst& i) {
  const bool wide = i.op == Op::FCmp64;
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  const Xmm a = xmm_.use(i, i.a, type_of(wide), xmm0), b = xmm_.use(i, i.b, type_of(wide), xmm1);
  if (wide)
    i.imm ? code_.comisd(a, b) : code_.ucomisd(a, b);
  else
    i.imm ? code_.comiss(a, b) : code_.ucomiss(a, b);
  const ScratchEax eax(code_.scratch);
  code_.lahf();
  code_.mov(context8(AV_CONTEXT(scratch.compared)), Xbyak::util::ah);
  const u32 next = next_op(at_.index);
  if (next >= at_.block->insts.size() || at_.block->insts[next].op != Op::FpscrToFlags) return;
  if (at_.plan.flags[next].needed != 0) {
    // Greater: C. Less: N. Equal: Z and C. Unordered: C and V (A2.7.5).
    const ScratchEcx ecx(code_.scratch);
    code_.mov(eax, k_byte_c);
    code_.mov(ecx, k_byte_n);
    code_.cmovb(eax, ecx);
    code_.mov(ecx, k_byte_z | k_byte_c);
    code_.cmove(eax, ecx);
    code_.mov(ecx, k_byte_c | k_byte_v);
    code_.cmovp(eax, ecx);
    code_.mov(context32(AV_STATE(n)), eax);
  }
  compared_ = Compared{.flags = next, .changes = xmm_.changes(), .a = a, .b = b, .wide = wide};
}

std::optional<u8> FpEmitter::condition(arm::Cond cond) {
  using arm::Cond;
  if (!stands() || at_.index <= compared_->flags) return std::nullopt;
  const auto again = [this](const Xmm& a, const Xmm& b) {
    compared_->wide ? code_.ucomisd(a, b) : code_.ucomiss(a, b);
  };
  const bool swapped = cond == Cond::CS || cond == Cond::CC || cond == Cond::MI || cond == Cond::PL ||
                       cond == Cond::HI || cond == Cond::LS;
  const bool stand = at_.index == next_op(compared_->flags);  // nothing has been emitted since
  if (swapped)
    again(compared_->b, compared_->a);
  else if (!stand)
    again(compared_->a, compared_->b);
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  switch (cond) {
    case Cond::EQ:
    case Cond::NE:
      code_.setnp(eax.cvt8());
      code_.sete(ecx.cvt8());
      code_.test(eax.cvt8(), ecx.cvt8());
      return cond == Cond::EQ ? 5 : 4;
    case Cond::VS:
    case Cond::VC:
      code_.setp(eax.cvt8());
      code_.test(eax.cvt8(), eax.cvt8());
      return cond == Cond::VS ? 5 : 4;
    case Cond::MI:
    case Cond::CC: return 7;
    case Cond::PL:
    case Cond::CS: return 6;
    case Cond::HI: return 2;
    case Cond::LS: return 3;
    case Cond::GE: return 3;
    case Cond::LT: return 2;
    case Cond::GT: return 7;
    case Cond::LE: return 6;
    default: AV_UNREACHABLE();
  }
}

void FpEmitter::resize(const ir::Inst& i, Label slow) {
  const bool to_double = i.op == Op::FCvt32To64;
  const ScratchXmm1 xmm1(code_.scratch);
  const Xmm a = xmm_.use(i, i.a, type_of(!to_double), xmm1), d = xmm_.result(i.dst);
  code_.xorps(d, d);
  if (to_double) {
    code_.cvtss2sd(d, a);
    check_number(d, true, slow);
  } else {
    code_.cvtsd2ss(d, a);
    check_ordinary(d, false, slow);
  }
  xmm_.finish(i.dst, d, type_of(to_double));
}

void FpEmitter::to_int(const ir::Inst& i, Label slow) {
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  const Xmm a = xmm_.use(i, i.a, type_of(i.op == Op::F64ToFixed), xmm0);
  const Xmm d = xmm_.holds(i.dst) ? xmm_.result(i.dst) : Xmm(xmm1);
  {
    const ScratchEax eax(code_.scratch);
    ir::FixedAttr::is_unsigned(i.imm) ? to_unsigned(i, eax, a, slow) : to_signed(i, eax, a, slow);
    if (!xmm_.holds(i.dst)) return operands_.finish(i.dst, eax);
    code_.movd(d, eax);
  }
  xmm_.finish(i.dst, d, IrType::I32);
}

void FpEmitter::to_signed(const ir::Inst& i, const ScratchEax& eax, const Xmm& a, Label slow) {
  const bool wide = i.op == Op::F64ToFixed;
  if (ir::FixedAttr::round_zero(i.imm))
    wide ? code_.cvttsd2si(eax, a) : code_.cvttss2si(eax, a);
  else
    wide ? code_.cvtsd2si(eax, a) : code_.cvtss2si(eax, a);
  code_.cmp(eax, 0x80000000u);
  code_.je(slow, Code::T_NEAR);
}

/// Negative and too large numbers are told apart before converting, which would set the inexact flag for some.
void FpEmitter::to_unsigned(const ir::Inst& i, const ScratchEax& eax, const Xmm& a, Label slow) {
  const bool wide = i.op == Op::F64ToFixed;
  const Xbyak::Reg64 rax = eax.cvt64();
  if (wide) {
    const ScratchEcx ecx(code_.scratch);
    code_.movq(rax, a);
    code_.mov(ecx.cvt64(), u64{0x41efffffffe00000});  // 2^32 - 1: what is above may round to 2^32
    code_.cmp(rax, ecx.cvt64());
    code_.ja(slow, Code::T_NEAR);
  } else {
    code_.movd(eax, a);
    code_.cmp(eax, 0x4f800000);
    code_.jae(slow, Code::T_NEAR);
  }
  if (ir::FixedAttr::round_zero(i.imm))
    wide ? code_.cvttsd2si(rax, a) : code_.cvttss2si(rax, a);
  else
    wide ? code_.cvtsd2si(rax, a) : code_.cvtss2si(rax, a);
}

void FpEmitter::from_int(const ir::Inst& i) {
  const bool wide = i.op == Op::FixedToF64, is_unsigned = ir::FixedAttr::is_unsigned(i.imm);
  const u32 fraction = ir::FixedAttr::fraction_bits(i.imm);
  if (wide && !is_unsigned && fraction == 0 && xmm_.holds(i.a)) {  // exact whatever is beside it
    const ScratchXmm0 xmm0(code_.scratch);
    const Xmm a = xmm_.use(i, i.a, IrType::I32, xmm0), d = xmm_.result(i.dst);
    code_.cvtdq2pd(d, a);
    return xmm_.finish(i.dst, d, IrType::I64);
  }
  std::optional<ScratchEax> eax(code_.scratch);
  const Xbyak::Reg64 rax = eax->cvt64();
  if (xmm_.holds(i.a)) {
    const ScratchXmm0 xmm0(code_.scratch);
    code_.movd(*eax, xmm_.use(i, i.a, IrType::I32, xmm0));
  } else {
    operands_.load_to(i, i.a, *eax);
  }
  const Xmm d = xmm_.result(i.dst);
  code_.xorps(d, d);
  if (is_unsigned)
    wide ? code_.cvtsi2sd(d, rax) : code_.cvtsi2ss(d, rax);
  else
    wide ? code_.cvtsi2sd(d, *eax) : code_.cvtsi2ss(d, *eax);
  if (fraction != 0) {
    // A power of two in the range of either format: exact.
    const ScratchXmm1 power(code_.scratch);
    code_.mov(rax, wide ? u64{1023 - fraction} << 52 : u64{127 - fraction} << 23);
    code_.movq(power, rax);
    wide ? code_.mulsd(d, power) : code_.mulss(d, power);
  }
  eax.reset();
  xmm_.finish(i.dst, d, type_of(wide));
}

void FpEmitter::emit_sign(const ir::Inst& i) {
  const bool negate = i.op == Op::FNeg32 || i.op == Op::FNeg64, wide = i.op == Op::FNeg64 || i.op == Op::FAbs64;
  xmm_.begin();
  const ScratchXmm0 xmm0(code_.scratch);
  const Xmm a = xmm_.use(i, i.a, type_of(wide), xmm0);
  const Xmm d = xmm_.result(i.dst);
  const u64 sign = wide ? u64{1} << 63 : 0x8000000080000000, mask = negate ? sign : ~sign;
  if (host_.avx) {
    negate ? code_.vxorps(d, a, code_.constant(mask, mask)) : code_.vandps(d, a, code_.constant(mask, mask));
  } else {
    code_.movaps(d, a);
    negate ? code_.xorps(d, code_.constant(mask, mask)) : code_.andps(d, code_.constant(mask, mask));
  }
  xmm_.finish(i.dst, d, type_of(wide));
}

void FpEmitter::store_flags(u8 mask) {
  const ScratchEcx ecx(code_.scratch);
  const ScratchEdx edx(code_.scratch);
  const Label known = code_.label();
  code_.mov(edx, context32(AV_STATE(fpscr_nzcv)));
  code_.movzx(ecx, context8(AV_CONTEXT(scratch.compared)));
  code_.test(ecx, ecx);
  code_.jz(known);
  code_.mov(edx, 0x30000000);
  code_.test(ecx, 4);
  code_.jnz(known);
  code_.mov(edx, 0x60000000);
  code_.test(ecx, 64);
  code_.jnz(known);
  code_.mov(edx, 0x80000000);
  code_.test(ecx, 1);
  code_.jnz(known);
  code_.mov(edx, 0x20000000);
  code_.L(known);
  const u32 flags[] = {AV_STATE(v), AV_STATE(c), AV_STATE(z), AV_STATE(n)};
  for (u32 k = 0; k < 4; ++k) {
    if (!(mask >> k & 1)) continue;
    code_.bt(edx, static_cast<u8>(28 + k));
    code_.setc(context8(flags[k]));
  }
}

}  // namespace armvisor::engine::jit
