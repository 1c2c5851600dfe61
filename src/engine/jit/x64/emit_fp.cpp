// VFP arithmetic on SSE. The host's results and sticky flags (MXCSR, folded into FPSCR when that is read) are the
// architecture's when FPSCR asks for round-to-nearest without flush-to-zero and default NaN, which blocks are keyed by,
// and the result is an ordinary number or zero. What differs goes to the reference implementation: NaN choice and sign,
// and tininess, which ARM detects before rounding (A2.7.4) and x86 after: the results that round up to the smallest
// normal number. Sums that small are exact, and a square root is never small.
#include "arm/fp.h"
#include "base/assert.h"
#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {
namespace {

using IrType = ir::Type;

bool is_double(ir::Op op) { return op >= ir::Op::FAdd64 && op <= ir::Op::FCmp64; }
IrType type_of(bool wide) { return wide ? IrType::I64 : IrType::I32; }

/// The four flags as CpuState has them, one byte each.
constexpr u32 k_byte_n = 1, k_byte_z = 1u << 8, k_byte_c = 1u << 16, k_byte_v = 1u << 24;

}  // namespace

/// Jumps to `slow` unless the number in x is neither NaN nor the smallest normal number. Clobbers xmm0.
void Emitter::check_ordinary(const Xmm& x, bool wide, Label slow) {
  const Label unusual = label(), ordinary = label();
  const Address magnitude = wide ? constant(~u64{0} >> 1, ~u64{0} >> 1) : constant32(0x7fffffff);
  if (host_.avx) {
    vandps(xmm0, x, magnitude);
  } else {
    movaps(xmm0, x);
    andps(xmm0, magnitude);
  }
  if (wide)
    ucomisd(xmm0, constant(u64{1} << 52, u64{1} << 52));
  else
    ucomiss(xmm0, constant32(1u << 23));
  jbe(unusual, T_NEAR);  // NaN, smaller, or it
  L(ordinary);
  add_cold([this, unusual, ordinary, slow] {
    L(unusual);
    jp(slow, T_NEAR);
    jb(ordinary, T_NEAR);
    jmp(slow, T_NEAR);
  });
}

void Emitter::check_number(const Xmm& x, bool wide, Label slow) {
  wide ? ucomisd(x, x) : ucomiss(x, x);
  jp(slow, T_NEAR);
}

void Emitter::emit_fp(const Inst& i) {
  begin_xmm();
  switch (i.op) {
    case Op::FCmp32:
    case Op::FCmp64: return emit_fp_compare(i);
    case Op::FixedToF32:
    case Op::FixedToF64: return emit_int_to_fp(i);
    default: break;
  }
  const Label slow = label(), done = label();
  switch (i.op) {
    case Op::FCvt32To64:
    case Op::FCvt64To32: emit_fp_resize(i, slow); break;
    case Op::F32ToFixed:
    case Op::F64ToFixed: emit_fp_to_int(i, slow); break;
    default: emit_fp_arith(i, slow);
  }
  L(done);
  push_slow(i, slow, done);
}

/// The cold path at `slow` of an instruction whose registers are as now; it goes on at `done`.
void Emitter::push_slow(const Inst& i, Label slow, Label done) {
  slow_xmm_.push_back(cold_xmm(i));
  add_cold([this, i, slow, done, index = index_, cold = slow_xmm_.size() - 1] {
    index_ = index;
    L(slow);
    emit_slow(i, slow_xmm_[cold]);
    jmp(done, T_NEAR);
  });
}

void Emitter::emit_fp_arith(const Inst& i, Label slow) {
  const bool wide = is_double(i.op);
  const IrType type = type_of(wide);
  const bool fused = i.op == Op::FMulAdd32 || i.op == Op::FMulAdd64;
  const Xmm a = use_xmm(i, i.a, type, xmm0);
  const Xmm b = i.b.is_none() ? a : i.b == i.a ? a : use_xmm(i, i.b, type, xmm1);
  const Xmm c = fused ? use_xmm(i, i.c, type, xmm2) : xmm2;
  const Xmm d = result_xmm(i.dst);
#define TWO(name) host_.avx ? v##name(d, a, b) : (movaps(d, a), name(d, b))
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
      movaps(d, a);
      wide ? sqrtsd(d, a) : sqrtss(d, a);
      break;
    case Op::FMulAdd32:
    case Op::FMulAdd64:
      movaps(d, a);
      wide ? vfmadd231sd(d, b, c) : vfmadd231ss(d, b, c);
      break;
    default: AV_UNREACHABLE();
  }
#undef TWO
  switch (i.op) {
    case Op::FAdd32:
    case Op::FSub32:
    case Op::FSqrt32:
    case Op::FAdd64:
    case Op::FSub64:
    case Op::FSqrt64: check_number(d, wide, slow); break;
    default: check_ordinary(d, wide, slow);
  }
  finish_xmm(i.dst, d, type);
}

/// The next instruction that does something.
u32 Emitter::next_op(u32 index) const {
  do ++index;
  while (index < block_->insts.size() && block_->insts[index].op == Op::Insn);
  return index;
}

void Emitter::emit_fp_compare(const Inst& i) {
  const bool wide = i.op == Op::FCmp64;
  const Xmm a = use_xmm(i, i.a, type_of(wide), xmm0), b = use_xmm(i, i.b, type_of(wide), xmm1);
  if (wide)
    i.imm ? comisd(a, b) : ucomisd(a, b);
  else
    i.imm ? comiss(a, b) : ucomiss(a, b);
  lahf();
  mov(byte[rbp + static_cast<u32>(offsetof(Context, scratch.compared))], ah);
  const u32 next = next_op(index_);
  if (next >= block_->insts.size() || block_->insts[next].op != Op::FpscrToFlags) return;
  if (flags_needed(next) != 0) {
    // Greater: C. Less: N. Equal: Z and C. Unordered: C and V (A2.7.5).
    mov(eax, k_byte_c);
    mov(ecx, k_byte_n);
    cmovb(eax, ecx);
    mov(ecx, k_byte_z | k_byte_c);
    cmove(eax, ecx);
    mov(ecx, k_byte_c | k_byte_v);
    cmovp(eax, ecx);
    mov(dword[rbp + AV_STATE(n)], eax);
  }
  compared_ = static_cast<int>(next);
  compare_a_ = a;
  compare_b_ = b;
  compare_wide_ = wide;
}

/// The host condition for `cond` when the flags are those of the comparison before: it is made again, in the order that
/// tells.
std::optional<u8> Emitter::fp_condition(arm::Cond cond) {
  using arm::Cond;
  if (compared_ < 0 || static_cast<int>(index_) <= compared_ || !options_.fuse_compare) return std::nullopt;
  const auto compare = [this](const Xmm& a, const Xmm& b) { compare_wide_ ? ucomisd(a, b) : ucomiss(a, b); };
  const bool swapped = cond == Cond::CS || cond == Cond::CC || cond == Cond::MI || cond == Cond::PL ||
                       cond == Cond::HI || cond == Cond::LS;
  const bool stand = index_ == next_op(static_cast<u32>(compared_));  // nothing has been emitted since
  if (swapped)
    compare(compare_b_, compare_a_);
  else if (!stand)
    compare(compare_a_, compare_b_);
  switch (cond) {
    case Cond::EQ:
    case Cond::NE:
      setnp(al);
      sete(cl);
      test(al, cl);
      return cond == Cond::EQ ? 5 : 4;
    case Cond::VS:
    case Cond::VC:
      setp(al);
      test(al, al);
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

void Emitter::emit_fp_resize(const Inst& i, Label slow) {
  const bool to_double = i.op == Op::FCvt32To64;
  const Xmm a = use_xmm(i, i.a, type_of(!to_double), xmm1), d = result_xmm(i.dst);
  xorps(d, d);
  if (to_double) {
    cvtss2sd(d, a);
    check_number(d, true, slow);
  } else {
    cvtsd2ss(d, a);
    check_ordinary(d, false, slow);
  }
  finish_xmm(i.dst, d, type_of(to_double));
}

void Emitter::emit_fp_to_int(const Inst& i, Label slow) {
  const bool wide = i.op == Op::F64ToFixed, nearest = !ir::FixedAttr::round_zero(i.imm);
  const Xmm a = use_xmm(i, i.a, type_of(wide), xmm0);
  const Xmm d = is_xmm(i.dst) ? result_xmm(i.dst) : xmm1;
  if (!ir::FixedAttr::is_unsigned(i.imm)) {
    if (nearest)
      wide ? cvtsd2si(eax, a) : cvtss2si(eax, a);
    else
      wide ? cvttsd2si(eax, a) : cvttss2si(eax, a);
    cmp(eax, 0x80000000u);
    je(slow, T_NEAR);
  } else {
    // Negative and too large numbers are told apart before converting, which would set the inexact flag for some.
    if (wide) {
      movq(rax, a);
      mov(rcx, u64{0x41efffffffe00000});  // 2^32 - 1: what is above may round to 2^32
      cmp(rax, rcx);
      ja(slow, T_NEAR);
    } else {
      movd(eax, a);
      cmp(eax, 0x4f800000);
      jae(slow, T_NEAR);
    }
    if (nearest)
      wide ? cvtsd2si(rax, a) : cvtss2si(rax, a);
    else
      wide ? cvttsd2si(rax, a) : cvttss2si(rax, a);
  }
  if (!is_xmm(i.dst)) return finish(i.dst, eax);
  movd(d, eax);
  finish_xmm(i.dst, d, IrType::I32);
}

void Emitter::emit_int_to_fp(const Inst& i) {
  const bool wide = i.op == Op::FixedToF64, is_unsigned = ir::FixedAttr::is_unsigned(i.imm);
  const u32 fraction = ir::FixedAttr::fraction_bits(i.imm);
  if (is_xmm(i.a)) {
    const Xmm a = use_xmm(i, i.a, IrType::I32, xmm0);
    if (wide && !is_unsigned && fraction == 0) {  // exact whatever is beside it
      const Xmm d = result_xmm(i.dst);
      cvtdq2pd(d, a);
      return finish_xmm(i.dst, d, IrType::I64);
    }
    movd(eax, a);
  } else {
    load_to(i, i.a, eax);
  }
  const Xmm d = result_xmm(i.dst);
  xorps(d, d);
  if (is_unsigned)
    wide ? cvtsi2sd(d, rax) : cvtsi2ss(d, rax);
  else
    wide ? cvtsi2sd(d, eax) : cvtsi2ss(d, eax);
  if (fraction != 0) {
    // A power of two in the range of either format: exact.
    mov(rax, wide ? u64{1023 - fraction} << 52 : u64{127 - fraction} << 23);
    movq(xmm1, rax);
    wide ? mulsd(d, xmm1) : mulss(d, xmm1);
  }
  finish_xmm(i.dst, d, type_of(wide));
}

void Emitter::emit_fp_sign(const Inst& i) {
  const bool negate = i.op == Op::FNeg32 || i.op == Op::FNeg64, wide = i.op == Op::FNeg64 || i.op == Op::FAbs64;
  begin_xmm();
  const Xmm a = use_xmm(i, i.a, type_of(wide), xmm0);
  const Xmm d = result_xmm(i.dst);
  const u64 sign = wide ? u64{1} << 63 : 0x8000000080000000, mask = negate ? sign : ~sign;
  if (host_.avx) {
    negate ? vxorps(d, a, constant(mask, mask)) : vandps(d, a, constant(mask, mask));
  } else {
    movaps(d, a);
    negate ? xorps(d, constant(mask, mask)) : andps(d, constant(mask, mask));
  }
  finish_xmm(i.dst, d, type_of(wide));
}

void Emitter::emit_fpscr_to_flags() {
  if (compared_ == static_cast<int>(index_)) return;
  if (const u8 needed = flags_needed(index_)) flags_from_fpscr(needed);
}

/// Stores the flags `mask` as FPSCR has them. Clobbers ecx, edx.
void Emitter::flags_from_fpscr(u8 mask) {
  const Label known = label();
  mov(edx, dword[rbp + AV_STATE(fpscr_nzcv)]);
  movzx(ecx, byte[rbp + static_cast<u32>(offsetof(Context, scratch.compared))]);
  test(ecx, ecx);
  jz(known);
  mov(edx, 0x30000000);
  test(ecx, 4);
  jnz(known);
  mov(edx, 0x60000000);
  test(ecx, 64);
  jnz(known);
  mov(edx, 0x80000000);
  test(ecx, 1);
  jnz(known);
  mov(edx, 0x20000000);
  L(known);
  const std::size_t flags[] = {AV_STATE(v), AV_STATE(c), AV_STATE(z), AV_STATE(n)};
  for (u32 k = 0; k < 4; ++k) {
    if (!(mask >> k & 1)) continue;
    bt(edx, static_cast<u8>(28 + k));
    setc(byte[rbp + static_cast<u32>(flags[k])]);
  }
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

}  // namespace armvisor::engine::jit
