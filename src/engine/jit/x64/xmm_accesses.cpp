#include "engine/jit/x64/xmm_accesses.h"

namespace armvisor::engine::jit {

using ir::Op;
using IrType = ir::Type;
using Xbyak::Xmm;

void XmmAccesses::begin_group(u32 index, u32 count) {
  xmm_.begin();
  const auto& insts = at_.block->insts;
  for (u32 k = index; k < index + count; ++k) {
    const ir::Inst& i = insts[k];
    Access& access = accesses_[k];
    access = {};
    if (is_load(i.op) && xmm_.holds(i.dst)) {
      const XmmPlan::Load load = at_.plan.xmm.steps[k].load;
      if (load == XmmPlan::Load::No) {
        xmm_.state(i.dst).spilled = true;
        continue;
      }
      access.high = load == XmmPlan::Load::HighOfPair;
      access.quad = access.high || load == XmmPlan::Load::Pair;
      access.x = access.high ? accesses_[k - 1].x : xmm_.result(i.dst, k).getIdx();
    } else if (is_store(i.op) && xmm_.holds(i.b)) {
      const int high_of = xmm_.state(i.b).high_of;
      access.high = high_of >= 0;
      const u32 low = access.high ? static_cast<u32>(high_of) : i.b.temp_number();
      access.x = xmm_.cache.of_temp(low);
      if (access.x < 0 && access.high) {
        const ScratchXmm0 xmm0(code_.scratch);
        access.x = xmm_.use(i, ir::Value::temp(low), IrType::V128, xmm0).getIdx();
      }
      if (access.high && k > index && xmm_.holds(insts[k - 1].b) && insts[k - 1].b.temp_number() == low &&
          accesses_[k - 1].x >= 0)
        accesses_[k - 1].quad = access.quad = true;
    }
  }
  const int loaded = is_load(insts[index].op) ? accesses_[index].x : -1;
  for (u32 x = XmmCache::k_first; x < XmmCache::k_end; ++x)
    accesses_[index].keep |= (count != 1 || loaded != static_cast<int>(x)) && !xmm_.cache[x].empty();
}

bool XmmAccesses::moves_with_neighbour(const ir::Inst& i) const {
  const Access& access = of(i);
  return access.high && (is_load(i.op) || access.quad);
}

void XmmAccesses::load(const ir::Inst& i, const Xbyak::RegExp& at) {
  const Xmm x(of(i).x);
  if (of(i).quad)
    code_.movups(x, code_.ptr[at]);
  else
    i.op == Op::Load64 ? code_.movsd(x, code_.qword[at]) : code_.movss(x, code_.dword[at]);
  xmm_.finish(i.dst, x, ir::info(i.op).result);
}

void XmmAccesses::store(const ir::Inst& i, const Xbyak::RegExp& at) {
  const Xmm x(of(i).x);
  if (of(i).quad)
    code_.movups(code_.ptr[at], x);
  else if (of(i).high)
    code_.movhps(code_.qword[at], x);
  else
    i.op == Op::Store64 ? code_.movsd(code_.qword[at], x) : code_.movss(code_.dword[at], x);
}

void XmmAccesses::move_stored_to(const Xbyak::Reg64& d, const ir::Inst& i) {
  const Xmm x(of(i).x);
  if (!of(i).high) return code_.movq(d, x);
  const ScratchXmm0 high(code_.scratch);
  code_.pshufd(high, x, 0xee);
  code_.movq(d, high);
}

void XmmAccesses::finish_load(const ir::Inst& i, const Xbyak::Reg64& value) {
  const Xmm x(of(i).x);
  if (of(i).high) {
    const ScratchXmm0 high(code_.scratch);
    code_.movq(high, value);
    return code_.movlhps(x, high);
  }
  code_.movq(x, value);
  xmm_.finish(i.dst, x, ir::info(i.op).result);
}

}  // namespace armvisor::engine::jit
