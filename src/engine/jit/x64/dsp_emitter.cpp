#include "engine/jit/x64/dsp_emitter.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using ir::ParallelKind;
using ir::ParallelPrefix;

ParallelPrefix prefix_of(const ir::Inst& i) { return static_cast<ParallelPrefix>(i.imm >> 4); }
ParallelKind kind_of(const ir::Inst& i) { return static_cast<ParallelKind>(i.imm & 15); }

}  // namespace

void DspEmitter::emit(const ir::Inst& i) {
  switch (i.op) {
    case Op::AddOverflow: return overflow(i);
    case Op::QAdd:
    case Op::QSub: return saturating_sum(i);
    case Op::SSat:
    case Op::USat: return saturate(i);
    case Op::Sel: return select(i);
    default: return parallel(i);
  }
}

void DspEmitter::overflow(const ir::Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  operands_.load_to(i, i.a, eax);
  code_.add(eax, operands_.use(i, i.b, ecx));
  code_.seto(eax.cvt8());
  code_.movzx(eax, eax.cvt8());
  operands_.finish(i.dst, eax);
}

void DspEmitter::saturating_sum(const ir::Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  operands_.load_to(i, i.b, ecx);
  operands_.load_to(i, i.a, eax);
  i.op == Op::QAdd ? code_.add(eax, ecx) : code_.sub(eax, ecx);
  const Label saturated = code_.label(), back = code_.label();
  code_.jo(saturated, Code::T_NEAR);
  code_.L(back);
  cold_.add([this, saturated, back] {
    const ScratchEax sum(code_.scratch);
    code_.L(saturated);  // what has the wrong sign is to be the largest number of the other
    code_.sar(sum, 31);
    code_.xor_(sum, 0x80000000);
    code_.mov(context8(AV_STATE(q)), 1);
    code_.jmp(back, Code::T_NEAR);
  });
  operands_.finish(i.dst, eax);
}

void DspEmitter::saturate(const ir::Inst& i) {
  const bool is_signed = i.op == Op::SSat;
  const auto bits = static_cast<u32>(i.imm);
  const ScratchEax eax(code_.scratch);
  operands_.load_to(i, i.a, eax);
  if (is_signed && bits >= 32) return operands_.finish(i.dst, eax);
  const u32 most = (1u << (is_signed ? bits - 1 : bits)) - 1;
  const Label saturated = code_.label(), back = code_.label();
  if (is_signed) {
    const ScratchEcx ecx(code_.scratch);
    code_.lea(ecx, code_.ptr[eax.cvt64() + static_cast<s32>(most + 1)]);
    code_.test(ecx, ~(2 * most + 1));
  } else {
    code_.test(eax, ~most);
  }
  code_.jnz(saturated, Code::T_NEAR);
  code_.L(back);
  cold_.add([this, saturated, back, is_signed, most] {
    const ScratchEax value(code_.scratch);
    code_.L(saturated);
    code_.sar(value, 31);
    if (is_signed) {
      code_.xor_(value, most);
    } else {
      code_.not_(value);
      code_.and_(value, most);
    }
    code_.mov(context8(AV_STATE(q)), 1);
    code_.jmp(back, Code::T_NEAR);
  });
  operands_.finish(i.dst, eax);
}

void DspEmitter::select(const ir::Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx mask(code_.scratch);
  const ScratchEdx edx(code_.scratch);
  // GE[3:0] as a mask of bytes: bit k goes to bit 8k.
  code_.movzx(mask, context8(AV_STATE(ge)));
  code_.imul(mask, mask, 0x204081);
  code_.and_(mask, 0x01010101);
  code_.imul(mask, mask, 0xff);
  operands_.load_to(i, i.b, edx);
  operands_.load_to(i, i.a, eax);
  code_.xor_(eax, edx);
  code_.and_(eax, mask);
  code_.xor_(eax, edx);
  operands_.finish(i.dst, eax);
}

void DspEmitter::parallel(const ir::Inst& i) {
  const ParallelKind kind = kind_of(i);
  const bool adds = kind == ParallelKind::Add8 || kind == ParallelKind::Add16;
  const bool bytes = kind == ParallelKind::Add8 || kind == ParallelKind::Sub8;
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  code_.movd(xmm0, operands_.use(i, i.a, eax));
  code_.movd(xmm1, operands_.use(i, i.b, ecx));
  switch (prefix_of(i)) {
    case ParallelPrefix::Q:
      if (bytes)
        adds ? code_.paddsb(xmm0, xmm1) : code_.psubsb(xmm0, xmm1);
      else
        adds ? code_.paddsw(xmm0, xmm1) : code_.psubsw(xmm0, xmm1);
      break;
    case ParallelPrefix::UQ:
      if (bytes)
        adds ? code_.paddusb(xmm0, xmm1) : code_.psubusb(xmm0, xmm1);
      else
        adds ? code_.paddusw(xmm0, xmm1) : code_.psubusw(xmm0, xmm1);
      break;
    default:
      // GE: of a sum, that it is less than an operand; of a difference, that the first is not less than the second.
      const ScratchXmm2 xmm2(code_.scratch);
      code_.movdqa(xmm2, xmm0);
      adds ? code_.paddb(xmm0, xmm1) : code_.psubb(xmm0, xmm1);
      if (adds) code_.movdqa(xmm2, xmm0);
      code_.pmaxub(xmm1, xmm2);
      code_.pcmpeqb(xmm2, xmm1);
      code_.pmovmskb(ecx, xmm2);
      if (adds) code_.not_(ecx);
      code_.and_(ecx, 15);
      code_.mov(context8(AV_STATE(ge)), ecx.cvt8());
  }
  code_.movd(eax, xmm0);
  operands_.finish(i.dst, eax);
}

}  // namespace armvisor::engine::jit
