// Saturating and parallel arithmetic (ARM DDI 0406C A4.4.3 to A4.4.6) in general registers, bytes of four in xmm0-xmm2.
#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {
namespace {

using ir::ParallelKind;
using ir::ParallelPrefix;

ParallelPrefix prefix_of(const ir::Inst& i) { return static_cast<ParallelPrefix>(i.imm >> 4); }
ParallelKind kind_of(const ir::Inst& i) { return static_cast<ParallelKind>(i.imm & 15); }

}  // namespace

void Emitter::emit_dsp(const Inst& i) {
  switch (i.op) {
    case Op::AddOverflow:
      load_to(i, i.a, eax);
      add(eax, use(i, i.b, ecx));
      seto(al);
      movzx(eax, al);
      return finish(i.dst, eax);
    case Op::QAdd:
    case Op::QSub: {
      load_to(i, i.b, ecx);
      load_to(i, i.a, eax);
      i.op == Op::QAdd ? add(eax, ecx) : sub(eax, ecx);
      const Label saturated = label(), back = label();
      jo(saturated, T_NEAR);
      L(back);
      add_cold([this, saturated, back] {
        L(saturated);  // what has the wrong sign is to be the largest number of the other
        sar(eax, 31);
        xor_(eax, 0x80000000);
        mov(byte[rbp + AV_STATE(q)], 1);
        jmp(back, T_NEAR);
      });
      return finish(i.dst, eax);
    }
    case Op::SSat:
    case Op::USat: return emit_saturate(i);
    case Op::Sel:
      // GE[3:0] as a mask of bytes: bit k goes to bit 8k.
      movzx(ecx, byte[rbp + AV_STATE(ge)]);
      imul(ecx, ecx, 0x204081);
      and_(ecx, 0x01010101);
      imul(ecx, ecx, 0xff);
      load_to(i, i.b, edx);
      load_to(i, i.a, eax);
      xor_(eax, edx);
      and_(eax, ecx);
      xor_(eax, edx);
      return finish(i.dst, eax);
    default: return emit_parallel(i);
  }
}

void Emitter::emit_saturate(const Inst& i) {
  const bool is_signed = i.op == Op::SSat;
  const auto bits = static_cast<u32>(i.imm);
  load_to(i, i.a, eax);
  if (is_signed && bits >= 32) return finish(i.dst, eax);
  const u32 most = (1u << (is_signed ? bits - 1 : bits)) - 1;
  const Label saturated = label(), back = label();
  if (is_signed) {
    lea(ecx, ptr[rax + static_cast<s32>(most + 1)]);
    test(ecx, ~(2 * most + 1));
  } else {
    test(eax, ~most);
  }
  jnz(saturated, T_NEAR);
  L(back);
  add_cold([this, saturated, back, is_signed, most] {
    L(saturated);
    sar(eax, 31);
    if (is_signed) {
      xor_(eax, most);
    } else {
      not_(eax);
      and_(eax, most);
    }
    mov(byte[rbp + AV_STATE(q)], 1);
    jmp(back, T_NEAR);
  });
  finish(i.dst, eax);
}

void Emitter::emit_parallel(const Inst& i) {
  const ParallelKind kind = kind_of(i);
  const bool adds = kind == ParallelKind::Add8 || kind == ParallelKind::Add16;
  const bool bytes = kind == ParallelKind::Add8 || kind == ParallelKind::Sub8;
  movd(xmm0, use(i, i.a, eax));
  movd(xmm1, use(i, i.b, ecx));
  switch (prefix_of(i)) {
    case ParallelPrefix::Q:
      if (bytes)
        adds ? paddsb(xmm0, xmm1) : psubsb(xmm0, xmm1);
      else
        adds ? paddsw(xmm0, xmm1) : psubsw(xmm0, xmm1);
      break;
    case ParallelPrefix::UQ:
      if (bytes)
        adds ? paddusb(xmm0, xmm1) : psubusb(xmm0, xmm1);
      else
        adds ? paddusw(xmm0, xmm1) : psubusw(xmm0, xmm1);
      break;
    default:
      // GE: of a sum, that it is less than an operand; of a difference, that the first is not less than the second.
      movdqa(xmm2, xmm0);
      adds ? paddb(xmm0, xmm1) : psubb(xmm0, xmm1);
      if (adds) movdqa(xmm2, xmm0);
      pmaxub(xmm1, xmm2);
      pcmpeqb(xmm2, xmm1);
      pmovmskb(ecx, xmm2);
      if (adds) not_(ecx);
      and_(ecx, 15);
      mov(byte[rbp + AV_STATE(ge)], cl);
  }
  movd(eax, xmm0);
  finish(i.dst, eax);
}

}  // namespace armvisor::engine::jit
