#include "engine/jit/x64/vector_emitter.h"

namespace armvisor::engine::jit {
namespace {

using IrType = ir::Type;
using ir::VecOp;
using ir::VectorImm;
using Xbyak::Xmm;

u32 index_of(const Xmm& x) { return static_cast<u32>(x.getIdx()); }

bool same_size_checked(VecOp op) {
  return op == VecOp::QAddS || op == VecOp::QAddU || op == VecOp::QSubS || op == VecOp::QSubU || op == VecOp::QDMulH ||
         op == VecOp::QRDMulH || op == VecOp::QAbs || op == VecOp::QNeg || op == VecOp::QShlImmS ||
         op == VecOp::QShlImmU;
}

}  // namespace

/// Operand v in a register of its own, with zeros in the high half where that counts and is not part of the operand.
Xmm VectorEmitter::operand(ir::Value v, bool clear_high) {
  if (v.is_none()) return Xmm();
  const u32 t = v.temp_number();
  int x = xmm_.cache.of_temp(t);
  if (x < 0) {
    const Xmm loaded = xmm_.take();
    xmm_.move_from_frame(v, loaded, IrType::V128);
    xmm_.cache.bind(index_of(loaded), t);
    x = loaded.getIdx();
  }
  const Xmm held = xmm_.hold(x);
  if (!clear_high) return held;
  const Xmm cleared = xmm_.take();
  code_.vmovq(cleared, held);
  xmm_.cache[index_of(cleared)].normal = xmm_.cache[index_of(held)].normal;
  return cleared;
}

void VectorEmitter::emit(const ir::Inst& i) {
  xmm_.begin();
  const VecOp op = VectorImm::op(i.imm);
  VectorCode v;
  v.size = VectorImm::esize_log2(i.imm);
  v.q = VectorImm::q(i.imm);
  v.imm = VectorImm::imm(i.imm);
  const bool clear = !v.q && (same_size_checked(op) || (ir::info(op).fp && op != VecOp::FWiden16));
  v.a = operand(i.a, clear);
  v.b = i.b == i.a ? v.a : operand(i.b, clear);
  v.indices = fixed_indices(*at_.block, at_.plan.xmm, i);
  if (!v.indices) v.c = i.c == i.a ? v.a : i.c == i.b ? v.b : operand(i.c, clear);
  v.d = xmm_.result(i.dst);
  if (op < VecOp::FAdd) {
    integers_.emit(op, v);
    return finish(i, v);
  }
  const Label slow = code_.label(), done = code_.label();
  floats_.emit(op, v, slow);
  finish(i, v);
  code_.L(done);
  floats_.note_normal(op, v);
  if (op != VecOp::FNeg && op != VecOp::FAbs && op != VecOp::SToF) calls_.add_slow_path(i, slow, done);
}

void VectorEmitter::finish(const ir::Inst& i, const VectorCode& v) {
  const VecOp op = VectorImm::op(i.imm);
  const bool widening = (op >= VecOp::MovLS && op <= VecOp::QDMulL) || op == VecOp::FWiden16;
  const bool half = !widening && (!v.q || (op >= VecOp::MovN && op <= VecOp::RSubHN) || op == VecOp::FNarrow16);
  if (half && (!xmm_.holds(i.dst) || xmm_.temp(i.dst).wide || xmm_.temp(i.dst).stored)) code_.vmovq(v.d, v.d);
  xmm_.finish(i.dst, v.d, IrType::V128);
}

void VectorEmitter::emit_lane(const ir::Inst& i) {
  if (i.op == ir::Op::VGetLane && at_.plan.xmm.steps[at_.index].spread) return;
  xmm_.begin();
  switch (i.op) {
    case ir::Op::VGetLane: return get_lane(i);
    case ir::Op::VSetLane: return set_lane(i);
    default: return spread(i);
  }
}

void VectorEmitter::get_lane(const ir::Inst& i) {
  const u32 esize = i.imm & 0xff;
  const u8 lane = static_cast<u8>(i.imm >> 8);
  const Xmm a = operand(i.a, false);
  const ScratchEax eax(code_.scratch);
  if (esize == 32)
    lane == 0 ? code_.vmovd(eax, a) : code_.vpextrd(eax, a, lane);
  else
    esize == 16 ? code_.vpextrw(eax, a, lane) : code_.vpextrb(eax, a, lane);
  operands_.finish(i.dst, eax);
}

void VectorEmitter::set_lane(const ir::Inst& i) {
  const u32 esize = i.imm & 0xff;
  const u8 lane = static_cast<u8>(i.imm >> 8);
  const Xmm a = operand(i.a, false), d = xmm_.result(i.dst);
  const ScratchEax eax(code_.scratch);
  const Xbyak::Reg32 r = operands_.use(i, i.b, eax);
  if (esize == 32)
    code_.vpinsrd(d, a, r, lane);
  else
    esize == 16 ? code_.vpinsrw(d, a, r, lane) : code_.vpinsrb(d, a, r, lane);
  xmm_.finish(i.dst, d, IrType::V128);
}

/// A general register, or the lane that the instruction before has left where it is.
void VectorEmitter::spread(const ir::Inst& i) {
  const u32 esize = i.imm & 0xff;
  const ScratchXmm0 xmm0(code_.scratch);
  Xmm from = xmm0;
  u32 source = 0;
  if (at_.index > 0 && at_.plan.xmm.steps[at_.index - 1].spread) {
    const ir::Inst& get = at_.block->insts[at_.index - 1];
    from = operand(get.a, false);
    source = static_cast<u32>(get.imm >> 8);
  } else {
    const ScratchEax eax(code_.scratch);
    code_.vmovd(xmm0, operands_.use(i, i.a, eax));
  }
  const Xmm d = xmm_.result(i.dst);
  if (esize == 32) {
    code_.vpshufd(d, from, static_cast<u8>(source * 0x55));
  } else {
    u64 picks = esize == 16 ? 2 * source | (2 * source + 1) << 8 : source;
    for (u32 bits = esize; bits < 64; bits *= 2) picks |= picks << bits;
    code_.vpshufb(d, from, code_.constant(picks, picks));
  }
  xmm_.finish(i.dst, d, IrType::V128);
}

}  // namespace armvisor::engine::jit
