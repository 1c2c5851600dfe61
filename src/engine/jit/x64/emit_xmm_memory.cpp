// Guest memory from and to xmm registers, and neighbouring doublewords that move as one quadword.
#include <algorithm>

#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using IrType = ir::Type;

}  // namespace

/// Before a group of accesses: registers for what is loaded, where what is stored is.
void Emitter::begin_access(u32 index, u32 count) {
  begin_xmm();
  for (u32 k = index; k < index + count; ++k) {
    const Inst& i = block_->insts[k];
    ColdXmm& cold = access_xmm_[k];
    cold = {};
    if (is_load(i.op) && is_xmm(i.dst)) {
      const XmmPlan::Load load = plan_.xmm.steps[k].load;
      if (load == XmmPlan::Load::No) {
        xmm_state_[i.dst.temp_number()].spilled = true;
        continue;
      }
      cold.high = load == XmmPlan::Load::HighOfPair;
      cold.quad = cold.high || load == XmmPlan::Load::Pair;
      const int x = cold.high ? access_xmm_[k - 1].result.x : result_xmm(i.dst, k).getIdx();
      cold.result = {x, i.dst, ir::info(i.op).result};
    } else if (is_store(i.op) && is_xmm(i.b)) {
      const u32 t = i.b.temp_number();
      cold.high = xmm_state_[t].high_of >= 0;
      const u32 low = cold.high ? static_cast<u32>(xmm_state_[t].high_of) : t;
      int x = xmm_.of_temp(low);
      if (x < 0 && cold.high) x = use_xmm(i, Value::temp(low), IrType::V128, xmm0).getIdx();
      if (x >= 0) cold.operands.push_back({x, i.b, IrType::V});
      if (cold.high && k > index && is_xmm(block_->insts[k - 1].b) && block_->insts[k - 1].b.temp_number() == low &&
          !access_xmm_[k - 1].operands.empty())
        access_xmm_[k - 1].quad = cold.quad = true;
    }
  }
  for (u32 x = XmmCache::k_first; x < XmmCache::k_end; ++x)
    access_xmm_[index].keep |= (count != 1 || access_xmm_[index].result.x != static_cast<int>(x)) && !xmm_[x].empty();
}

bool Emitter::load_xmm(const Inst& i, const Xbyak::RegExp& at) {
  const ColdXmm& access = access_of(i);
  const Parked& result = access.result;
  if (result.x < 0) return false;
  if (access.high) return true;
  touch();
  if (access.quad)
    movups(Xmm(result.x), ptr[at]);
  else
    i.op == Op::Load64 ? movsd(Xmm(result.x), qword[at]) : movss(Xmm(result.x), dword[at]);
  finish_xmm(i.dst, Xmm(result.x), result.type);
  return true;
}

bool Emitter::store_xmm(const Inst& i, const Xbyak::RegExp& at) {
  const ColdXmm& access = access_of(i);
  if (access.operands.empty()) return false;
  const Xmm x(access.operands[0].x);
  if (access.high && access.quad) return true;
  touch();
  if (access.quad)
    movups(ptr[at], x);
  else if (access.high)
    movhps(qword[at], x);
  else
    i.op == Op::Store64 ? movsd(qword[at], x) : movss(dword[at], x);
  return true;
}

/// rcx = the value that a store in C++ gets, when it is in an xmm register.
bool Emitter::store_xmm_value(const Inst& i) {
  const ColdXmm& access = access_of(i);
  if (access.operands.empty()) return false;
  Xmm x(access.operands[0].x);
  if (access.high) {
    pshufd(xmm0, x, 0xee);
    x = xmm0;
  }
  movq(rcx, x);
  return true;
}

/// What a load in C++ gave, in rax, goes where the hot path has it.
bool Emitter::finish_loaded_xmm(const Inst& i) {
  const ColdXmm& access = access_of(i);
  const Parked& result = access.result;
  if (result.x < 0) return false;
  if (access.high) {
    movq(xmm0, rax);
    movlhps(Xmm(result.x), xmm0);
    return true;
  }
  movq(Xmm(result.x), rax);
  finish_xmm(i.dst, Xmm(result.x), result.type);
  return true;
}

// --- neighbouring doublewords that make a quadword

/// The SetD i and the one before have their values in `temp`.
void Emitter::set_quad(const Inst& i, u32 temp) {
  Xmm x = use_xmm(i, Value::temp(temp), IrType::V128, xmm0);
  const auto q = static_cast<u32>(i.imm) / 2;
  if (const int unit = plan_.xmm.unit_of(i); unit >= 0) {
    if (x.getIdx() < static_cast<int>(XmmCache::k_first)) {
      x = take_xmm();
      movaps(x, xmm0);
    }
    xmm_.place_unit(static_cast<u32>(unit), x.getIdx());
    return xmm_.set_dirty(xmm_.dirty() | 1u << unit);
  }
  movups(ptr[rbp + static_cast<u32>(AV_STATE(d) + 16 * q)], x);
  xmm_.write_q(q, x.getIdx() >= static_cast<int>(XmmCache::k_first) ? x.getIdx() : -1);
}

/// Takes the GetD i and the next for one value, if they may be and its Q register is in a host register.
bool Emitter::get_pair(const Inst& i) {
  if (i.op != Op::GetD) return false;
  if (i.dst.is_temp() && xmm_state_[i.dst.temp_number()].high_of >= 0) return true;
  if (!plan_.xmm.steps[index_].get_pair) return false;
  const u32 low = i.dst.temp_number(), high = block_->insts[index_ + 1].dst.temp_number();
  const int unit = plan_.xmm.unit_of(i);
  int x = -1;
  if (unit >= 0)
    x = unit_xmm(static_cast<u32>(unit)).getIdx();
  else if (options_.xmm_cache)
    x = xmm_.of_q(static_cast<u32>(i.imm) / 2);
  if (x < 0) return false;
  XmmState& t = xmm_state_[low];
  t.type = IrType::V128;
  t.last = std::max(t.last, plan_.registers.temps[high].last);
  xmm_state_[high].high_of = static_cast<int>(low);
  xmm_.bind(static_cast<u32>(x), low);
  return true;
}

}  // namespace armvisor::engine::jit
