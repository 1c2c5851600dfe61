// VFP arithmetic on SSE. The host's results and sticky flags (MXCSR, folded into FPSCR when that is read) are the
// architecture's when FPSCR asks for round-to-nearest without flush-to-zero and default NaN, and the result is an
// ordinary number or zero. What differs goes to the reference implementation: NaN choice and sign, and tininess, which
// ARM detects before rounding (A2.7.4) and x86 after: the results that round up to the smallest normal number.
#include "arm/fp.h"
#include "base/assert.h"
#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {
namespace {

constexpr u32 k_unusual_fpscr = arm::k_fpscr_fz | arm::k_fpscr_dn | arm::k_fpscr_rmode;

bool is_double(ir::Op op) { return op >= ir::Op::FAdd64 && op <= ir::Op::FCmp64; }

}  // namespace

void Emitter::load_fp(const Inst& i, Value v, const Xbyak::Xmm& x, bool wide) {
  const int r = host_reg(v);
  if (v.is_imm()) {
    mov(rax, i.imm);
    movq(x, rax);
  } else if (r != k_not_pinned) {
    wide ? movq(x, Reg64(r)) : movd(x, Reg32(r));
  } else {
    wide ? movsd(x, qword[rbp + memory_offset(v)]) : movss(x, dword[rbp + memory_offset(v)]);
  }
}

void Emitter::finish_fp(Value dst, const Xbyak::Xmm& x, bool wide) {
  const int r = host_reg(dst);
  if (r != k_not_pinned)
    wide ? movq(Reg64(r), x) : movd(Reg32(r), x);
  else
    wide ? movsd(qword[rbp + memory_offset(dst)], x) : movss(dword[rbp + memory_offset(dst)], x);
}

/// Jumps to `slow` unless the number in x is zero or of ordinary size: neither infinite, NaN, subnormal nor the
/// smallest normal number. A zero is let through by the cold path.
void Emitter::check_ordinary(const Xbyak::Xmm& x, bool wide, Xbyak::Label& slow) {
  if (wide) {
    movq(rax, x);
    shr(rax, 52);
    and_(eax, 0x7ff);
    sub(eax, 2);
    cmp(eax, 0x7fd);
  } else {
    movd(eax, x);
    shr(eax, 23);
    and_(eax, 0xff);
    sub(eax, 2);
    cmp(eax, 0xfd);
  }
  jae(slow, T_NEAR);
}

void Emitter::emit_fp(const Inst& i) {
  Xbyak::Label slow, done;
  test(dword[rbp + AV_STATE(fpscr_ctl)], k_unusual_fpscr);
  jnz(slow, T_NEAR);
  switch (i.op) {
    case Op::FCmp32:
    case Op::FCmp64: emit_fp_compare(i); break;
    case Op::FCvt32To64:
    case Op::FCvt64To32: emit_fp_resize(i, slow); break;
    case Op::F32ToFixed:
    case Op::F64ToFixed: emit_fp_to_int(i, slow); break;
    case Op::FixedToF32:
    case Op::FixedToF64: emit_int_to_fp(i); break;
    default: emit_fp_arith(i, slow);
  }
  L(done);
  cold_.push_back({[this, i, slow, done, index = index_]() mutable {
    index_ = index;
    L(slow);
    emit_helper(i);
    jmp(done, T_NEAR);
  }});
}

void Emitter::emit_fp_arith(const Inst& i, Xbyak::Label& slow) {
  const bool wide = is_double(i.op);
  Xbyak::Label ordinary, check;
  const bool fused = i.op == Op::FMulAdd32 || i.op == Op::FMulAdd64;
  load_fp(i, i.a, xmm0, wide);
  if (!i.b.is_none()) load_fp(i, i.b, xmm1, wide);
  if (fused) load_fp(i, i.c, xmm2, wide);
  switch (i.op) {
    case Op::FAdd32: addss(xmm0, xmm1); break;
    case Op::FSub32: subss(xmm0, xmm1); break;
    case Op::FMul32: mulss(xmm0, xmm1); break;
    case Op::FDiv32: divss(xmm0, xmm1); break;
    case Op::FSqrt32: sqrtss(xmm0, xmm0); break;
    case Op::FMulAdd32: vfmadd231ss(xmm0, xmm1, xmm2); break;
    case Op::FAdd64: addsd(xmm0, xmm1); break;
    case Op::FSub64: subsd(xmm0, xmm1); break;
    case Op::FMul64: mulsd(xmm0, xmm1); break;
    case Op::FDiv64: divsd(xmm0, xmm1); break;
    case Op::FSqrt64: sqrtsd(xmm0, xmm0); break;
    case Op::FMulAdd64: vfmadd231sd(xmm0, xmm1, xmm2); break;
    default: AV_UNREACHABLE();
  }
  Xbyak::Label unusual;
  check_ordinary(xmm0, wide, unusual);
  L(ordinary);
  finish_fp(i.dst, xmm0, wide);
  cold_.push_back({[this, unusual, ordinary, slow, wide]() mutable {
    L(unusual);
    // A result of zero: the host's flags are right for it.
    if (wide) {
      movq(rax, xmm0);
      add(rax, rax);
    } else {
      movd(eax, xmm0);
      add(eax, eax);
    }
    jz(ordinary, T_NEAR);
    jmp(slow, T_NEAR);
  }});
}

void Emitter::emit_fp_compare(const Inst& i) {
  const bool wide = i.op == Op::FCmp64;
  load_fp(i, i.a, xmm0, wide);
  load_fp(i, i.b, xmm1, wide);
  if (wide)
    i.imm ? comisd(xmm0, xmm1) : ucomisd(xmm0, xmm1);
  else
    i.imm ? comiss(xmm0, xmm1) : ucomiss(xmm0, xmm1);
  // Greater: C. Less: N. Equal: Z and C. Unordered: C and V (A2.7.5).
  mov(eax, arm::k_psr_c);
  mov(ecx, arm::k_psr_n);
  cmovb(eax, ecx);
  mov(ecx, arm::k_psr_z | arm::k_psr_c);
  cmove(eax, ecx);
  mov(ecx, arm::k_psr_c | arm::k_psr_v);
  cmovp(eax, ecx);
  mov(dword[rbp + AV_STATE(fpscr_nzcv)], eax);
}

void Emitter::emit_fp_resize(const Inst& i, Xbyak::Label& slow) {
  const bool to_double = i.op == Op::FCvt32To64;
  load_fp(i, i.a, xmm1, !to_double);
  pxor(xmm0, xmm0);
  if (to_double) {
    ucomiss(xmm1, xmm1);
    jp(slow, T_NEAR);
    cvtss2sd(xmm0, xmm1);
  } else {
    cvtsd2ss(xmm0, xmm1);
    check_ordinary(xmm0, false, slow);
  }
  finish_fp(i.dst, xmm0, to_double);
}

void Emitter::emit_fp_to_int(const Inst& i, Xbyak::Label& slow) {
  const bool wide = i.op == Op::F64ToFixed;
  load_fp(i, i.a, xmm0, wide);
  if (!ir::FixedAttr::is_unsigned(i.imm)) {
    wide ? cvttsd2si(eax, xmm0) : cvttss2si(eax, xmm0);
    cmp(eax, 0x80000000u);
    je(slow, T_NEAR);
    return finish(i.dst, eax);
  }
  // Negative and too large numbers are told apart before converting, which would set the inexact flag for some.
  if (wide) {
    movq(rax, xmm0);
    mov(rcx, u64{0x41f0000000000000});  // 2^32
    cmp(rax, rcx);
  } else {
    movd(eax, xmm0);
    cmp(eax, 0x4f800000);
  }
  jae(slow, T_NEAR);
  wide ? cvttsd2si(rax, xmm0) : cvttss2si(rax, xmm0);
  finish(i.dst, eax);
}

void Emitter::emit_int_to_fp(const Inst& i) {
  const bool wide = i.op == Op::FixedToF64, is_unsigned = ir::FixedAttr::is_unsigned(i.imm);
  load_to(i, i.a, eax);
  pxor(xmm0, xmm0);
  if (is_unsigned)
    wide ? cvtsi2sd(xmm0, rax) : cvtsi2ss(xmm0, rax);
  else
    wide ? cvtsi2sd(xmm0, eax) : cvtsi2ss(xmm0, eax);
  finish_fp(i.dst, xmm0, wide);
}

void Emitter::emit_fp_sign(const Inst& i) {
  const bool negate = i.op == Op::FNeg32 || i.op == Op::FNeg64;
  if (i.op == Op::FNeg32 || i.op == Op::FAbs32) {
    load_to(i, i.a, eax);
    negate ? btc(eax, 31) : btr(eax, 31);
    return finish(i.dst, eax);
  }
  load_to64(i, i.a, rax);
  negate ? btc(rax, 63) : btr(rax, 63);
  finish64(i.dst, rax);
}

void Emitter::emit_fpscr_to_flags() {
  mov(eax, dword[rbp + AV_STATE(fpscr_nzcv)]);
  spread_flags();
}

/// N, Z, C, V from bits 31:28 of eax.
void Emitter::spread_flags() {
  const std::size_t flags[] = {AV_STATE(v), AV_STATE(c), AV_STATE(z), AV_STATE(n)};
  shr(eax, 28);
  for (const std::size_t flag : flags) {
    mov(ecx, eax);
    and_(ecx, 1);
    mov(byte[rbp + static_cast<u32>(flag)], cl);
    shr(eax, 1);
  }
}

bool Emitter::fp_runs_inline(const Inst& i) const {
  if (!options_.inline_fp) return false;
  switch (i.op) {
    case Op::FMulAdd32:
    case Op::FMulAdd64: return host_.fma;
    case Op::FCvt16To32:
    case Op::FCvt32To16: return false;
    case Op::F32ToFixed:
    case Op::F64ToFixed:
      return ir::FixedAttr::width(i.imm) == 32 && ir::FixedAttr::fraction_bits(i.imm) == 0 &&
             ir::FixedAttr::round_zero(i.imm);
    case Op::FixedToF32:
    case Op::FixedToF64: return ir::FixedAttr::width(i.imm) == 32 && ir::FixedAttr::fraction_bits(i.imm) == 0;
    case Op::FNeg32:
    case Op::FAbs32:
    case Op::FNeg64:
    case Op::FAbs64: return false;
    default: return true;
  }
}

}  // namespace armvisor::engine::jit
