#include "engine/jit/x64/extension_emitter.h"

#include <algorithm>

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using IrType = ir::Type;
using Xbyak::Reg32;
using Xbyak::Reg64;
using Xbyak::Xmm;

u32 index_of(const Xmm& x) { return static_cast<u32>(x.getIdx()); }
u32 place_of(const Words& words) { return AV_STATE(d) + 4 * words.first; }

}  // namespace

void ExtensionEmitter::emit_get(const ir::Inst& i) {
  xmm_.begin();
  if (get_pair(i)) return;
  if (const int unit = at_.plan.xmm.unit_of(i); unit >= 0) return get_unit(i, static_cast<u32>(unit));
  XmmCache& cache = xmm_.cache;
  const u32 n = static_cast<u32>(i.imm), memory = place_of(words_of(i));
  int x = -1;
  if (keeps_copies_) x = i.op == Op::GetS ? cache.of_s(n) : i.op == Op::GetQ ? cache.of_q(n) : cache.of_d(n);
  const IrType type = ir::info(i.op).result;
  if (!xmm_.holds(i.dst)) {
    const ScratchEax eax(code_.scratch);
    if (i.op == Op::GetS) {
      const Reg32 d = operands_.target(i.dst, eax);
      x >= 0 ? code_.movd(d, Xmm(x)) : code_.mov(d, context32(memory));
      return operands_.finish(i.dst, d);
    }
    const Reg64 d = operands_.target64(i.dst, eax.cvt64());
    x >= 0 ? code_.movq(d, Xmm(x)) : code_.mov(d, context64(memory));
    return operands_.finish64(i.dst, d);
  }
  const bool extend = i.op == Op::GetVD && xmm_.temp(i.dst).wide;
  if (x >= 0 && !extend) {
    cache.bind(static_cast<u32>(x), i.dst.temp_number());
    return xmm_.finish(i.dst, Xmm(x), type);
  }
  int halves[2] = {-1, -1};
  if (i.op == Op::GetQ && keeps_copies_)
    for (u32 k = 0; k < 2; ++k) halves[k] = cache.of_d(2 * n + k);
  const bool has_halves = halves[0] >= 0 && halves[1] >= 0;
  if (has_halves) xmm_.hold(halves[0]), xmm_.hold(halves[1]);
  if (x >= 0) xmm_.hold(x);
  const Xmm d = xmm_.result(i.dst);
  if (x >= 0) {
    code_.movq(d, Xmm(x));
  } else if (has_halves) {
    code_.movaps(d, Xmm(halves[0]));
    code_.movlhps(d, Xmm(halves[1]));
  } else if (i.op == Op::GetQ) {
    code_.movups(d, context128(memory));
  } else {
    i.op == Op::GetS ? code_.movss(d, context32(memory)) : code_.movsd(d, context64(memory));
  }
  if (keeps_copies_) {
    if (i.op == Op::GetS)
      cache.copy_s(n, index_of(d));
    else
      i.op == Op::GetQ ? cache.copy_q(n, index_of(d)) : cache.copy_d(n, index_of(d));
  }
  xmm_.finish(i.dst, d, type);
}

void ExtensionEmitter::emit_set(const ir::Inst& i) {
  xmm_.begin();
  if (const int set = at_.plan.xmm.steps[at_.index].set; set == XmmPlan::k_set_with_next)
    return;
  else if (set != XmmPlan::k_not_set)
    return set_quad(i, static_cast<u32>(set));
  if (const int unit = at_.plan.xmm.unit_of(i); unit >= 0) return set_unit(i, static_cast<u32>(unit));
  const u32 n = static_cast<u32>(i.imm), memory = place_of(words_of(i));
  const bool single = i.op == Op::SetS;
  int x = -1;
  const ScratchXmm0 xmm0(code_.scratch);
  if (xmm_.holds(i.a)) {
    const Xmm a = xmm_.use(i, i.a, xmm_.state(i.a).type, xmm0);
    if (i.op == Op::SetQ)
      code_.movups(context128(memory), a);
    else
      single ? code_.movss(context32(memory), a) : code_.movsd(context64(memory), a);
    if (!XmmRegisters::is_scratch(a)) x = a.getIdx();
  } else {
    const bool again = at_.plan.xmm.steps[at_.index].read_again;
    const Xmm a = again ? xmm_.take() : Xmm(xmm0);
    const ScratchEax eax(code_.scratch);
    if (single) {
      const Reg32 r = operands_.use(i, i.a, eax);
      code_.mov(context32(memory), r);
      if (again) code_.movd(a, r);
    } else {
      const Reg64 r = operands_.use64(i, i.a, eax.cvt64());
      code_.mov(context64(memory), r);
      if (again) code_.movq(a, r);
    }
    if (again) x = a.getIdx();
  }
  if (!keeps_copies_) x = -1;
  if (single)
    xmm_.cache.write_s(n, x);
  else
    i.op == Op::SetQ ? xmm_.cache.write_q(n, x) : xmm_.cache.write_d(n, x);
}

// --- units

void ExtensionEmitter::get_unit(const ir::Inst& i, u32 unit) {
  const u32 offset = words_of(i).first - at_.plan.xmm.units[unit].first;
  const u8 picks = static_cast<u8>(offset | (offset + 1) << 2);
  const IrType type = ir::info(i.op).result;
  const Xmm x = xmm_.unit_register(unit);
  if (!xmm_.holds(i.dst)) {
    const ScratchXmm0 xmm0(code_.scratch);
    const ScratchEax eax(code_.scratch);
    Xmm from = x;
    if (offset != 0) {
      from = xmm0;
      code_.pshufd(from, x, picks);
    }
    if (i.op == Op::GetS) {
      const Reg32 d = operands_.target(i.dst, eax);
      code_.movd(d, from);
      return operands_.finish(i.dst, d);
    }
    const Reg64 d = operands_.target64(i.dst, eax.cvt64());
    code_.movq(d, from);
    return operands_.finish64(i.dst, d);
  }
  const bool extend = i.op == Op::GetVD && xmm_.temp(i.dst).wide;
  if (offset == 0 && !extend) {
    xmm_.cache.bind(index_of(x), i.dst.temp_number());
    return xmm_.finish(i.dst, x, type);
  }
  const Xmm d = xmm_.result(i.dst);
  if (offset != 0) code_.pshufd(d, x, picks);
  if (extend) code_.movq(d, offset != 0 ? d : x);
  xmm_.finish(i.dst, d, type);
}

void ExtensionEmitter::set_unit(const ir::Inst& i, u32 unit) {
  const Words w = words_of(i);
  const u32 offset = w.first - at_.plan.xmm.units[unit].first, memory = place_of(w);
  const bool single = i.op == Op::SetS, whole = w.count == at_.plan.xmm.units[unit].words;
  const ScratchXmm0 xmm0(code_.scratch);
  Xmm a = xmm0;
  if (xmm_.holds(i.a)) {
    a = xmm_.use(i, i.a, xmm_.state(i.a).type, xmm0);
  } else {
    const ScratchEax eax(code_.scratch);
    single ? code_.movd(a, operands_.use(i, i.a, eax)) : code_.movq(a, operands_.use64(i, i.a, eax.cvt64()));
  }
  XmmCache& cache = xmm_.cache;
  if (!whole && !avx_) {
    // By way of memory.
    if (const int x = cache.of_unit(unit); x >= 0 && (cache.dirty() >> unit & 1)) xmm_.store_unit(unit, Xmm(x));
    single ? code_.movss(context32(memory), a) : code_.movsd(context64(memory), a);
    cache.place_unit(unit, -1);
    return cache.set_dirty(cache.dirty() & ~(1u << unit));
  }
  if (!whole) {
    const Xmm x = xmm_.unit_register(unit), d = xmm_.take();
    if (single)
      code_.vinsertps(d, x, a, static_cast<u8>(offset << 4));
    else
      offset == 0 ? code_.vmovsd(d, x, a) : code_.vmovlhps(d, x, a);
    a = d;
  } else if (XmmRegisters::is_scratch(a)) {
    const Xmm d = xmm_.take();
    code_.movaps(d, a);
    a = d;
  }
  cache.place_unit(unit, a.getIdx());
  xmm_.set_dirty(unit);
}

// --- neighbouring doublewords that make a quadword

/// Takes the GetD i and the next for one value, if they may be and its Q register is in a host register.
bool ExtensionEmitter::get_pair(const ir::Inst& i) {
  if (i.op != Op::GetD) return false;
  if (i.dst.is_temp() && xmm_.state(i.dst).high_of >= 0) return true;
  if (!at_.plan.xmm.steps[at_.index].get_pair) return false;
  const u32 low = i.dst.temp_number();
  const ir::Value high = at_.block->insts[at_.index + 1].dst;
  const int unit = at_.plan.xmm.unit_of(i);
  int x = -1;
  if (unit >= 0)
    x = xmm_.unit_register(static_cast<u32>(unit)).getIdx();
  else if (keeps_copies_)
    x = xmm_.cache.of_q(static_cast<u32>(i.imm) / 2);
  if (x < 0) return false;
  XmmRegisters::State& s = xmm_.state(i.dst);
  s.type = IrType::V128;
  s.last = std::max(s.last, at_.plan.registers.temps[high.temp_number()].last);
  xmm_.state(high).high_of = static_cast<int>(low);
  xmm_.cache.bind(static_cast<u32>(x), low);
  return true;
}

/// The SetD i and the one before have their values in `temp`.
void ExtensionEmitter::set_quad(const ir::Inst& i, u32 temp) {
  const ScratchXmm0 xmm0(code_.scratch);
  Xmm x = xmm_.use(i, ir::Value::temp(temp), IrType::V128, xmm0);
  const auto q = static_cast<u32>(i.imm) / 2;
  if (const int unit = at_.plan.xmm.unit_of(i); unit >= 0) {
    if (XmmRegisters::is_scratch(x)) {
      x = xmm_.take();
      code_.movaps(x, xmm0);
    }
    xmm_.cache.place_unit(static_cast<u32>(unit), x.getIdx());
    return xmm_.set_dirty(static_cast<u32>(unit));
  }
  code_.movups(context128(AV_STATE(d) + 16 * q), x);
  xmm_.cache.write_q(q, XmmRegisters::is_scratch(x) ? -1 : x.getIdx());
}

// --- vectors and their parts

void ExtensionEmitter::emit_half(const ir::Inst& i) {
  xmm_.begin();
  const IrType type = ir::info(i.op).result;
  const ScratchXmm0 xmm0(code_.scratch);
  const Xmm a = xmm_.use(i, i.a, IrType::V128, xmm0);
  if (i.op != Op::VHi && xmm_.holds(i.dst) && !XmmRegisters::is_scratch(a)) {
    xmm_.cache.bind(index_of(a), i.dst.temp_number());
    return xmm_.finish(i.dst, a, type);
  }
  const Xmm d = xmm_.result(i.dst);
  if (i.op == Op::VHi)
    code_.pshufd(d, a, 0xee);
  else
    code_.movaps(d, a);
  xmm_.finish(i.dst, d, type);
}

void ExtensionEmitter::constant(const ir::Inst& i) {
  const Xmm d = xmm_.result(i.dst);
  if (i.imm == 0) {
    code_.pxor(d, d);
  } else if (i.imm == ~u64{0}) {
    code_.pcmpeqd(d, d);
  } else {
    const ScratchEax eax(code_.scratch);
    code_.mov(eax.cvt64(), i.imm);
    code_.movq(d, eax.cvt64());
  }
  xmm_.finish(i.dst, d, ir::info(i.op).result);
}

void ExtensionEmitter::emit_pack(const ir::Inst& i) {
  xmm_.begin();
  if (i.op == Op::Mov64 || i.op == Op::Mov) return constant(i);
  const ScratchXmm0 xmm0(code_.scratch);
  const ScratchXmm1 xmm1(code_.scratch);
  const Xmm a = xmm_.use(i, i.a, IrType::I64, xmm0);
  const bool no_high = i.b.is_imm() && i.imm == 0;
  const Xmm b = i.b == i.a ? a : no_high ? Xmm(xmm1) : xmm_.use(i, i.b, IrType::I64, xmm1);
  const Xmm d = xmm_.result(i.dst);
  if (no_high) {
    code_.movq(d, a);
  } else {
    code_.movaps(d, a);
    code_.movlhps(d, b);
  }
  xmm_.finish(i.dst, d, IrType::V128);
}

}  // namespace armvisor::engine::jit
