// Guest memory from and to xmm registers, and neighbouring doublewords that move as one quadword.
#include <algorithm>

#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using IrType = ir::Type;

constexpr u32 k_most_planned = 12;  ///< registers for the loads of one group and for units

}  // namespace

/// Before a group of accesses: registers for what is loaded, where what is stored is.
void Emitter::plan_access(u32 index, u32 count) {
  begin_xmm();
  u32 planned = 0;
  for (u32 k = index; k < index + count; ++k) {
    const Inst& i = block_->insts[k];
    ColdXmm& cold = access_xmm_[k];
    cold = {};
    if (is_load(i.op) && is_xmm(i.dst)) {
      XmmTemp& t = xmm_temps_[i.dst.temp_number()];
      if (k > index && access_xmm_[k - 1].quad && !access_xmm_[k - 1].high) {
        cold.result = {access_xmm_[k - 1].result.x, i.dst, t.type};
        cold.quad = cold.high = true;
      } else if (planned++ + units_.size() < k_most_planned) {
        cold.result = {result_xmm(i.dst).getIdx(), i.dst, t.type};
        plan_quad_load(k, index + count);
      } else {
        t.spilled = true;
      }
    } else if (is_store(i.op) && is_xmm(i.b)) {
      const u32 t = i.b.temp_number();
      cold.high = high_of_[t] != k_none;
      const u32 low = cold.high ? static_cast<u32>(high_of_[t]) : t;
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

/// Whether Q register q is better written in one piece.
bool Emitter::as_quad(u32 q) const {
  if (!options_.xmm_cache) return false;
  if (!units_.empty() && unit_at_word_[4 * q] >= 0) return units_[static_cast<u32>(unit_at_word_[4 * q])].words == 4;
  const auto& insts = block_->insts;
  for (u32 k = index_; k < insts.size() && k < index_ + 32; ++k)
    if (insts[k].op == Op::GetQ && insts[k].imm == q) return true;
  return false;
}

/// When what the load at `index` and the next give, `end` being behind the group, goes to the halves of a Q register
/// and nowhere else, they are one load.
void Emitter::plan_quad_load(u32 index, u32 end) {
  const auto& insts = block_->insts;
  if (index + 1 >= end || insts[index].op != Op::Load64) return;
  const Value low = insts[index].dst, high = insts[index + 1].dst;
  if (!is_xmm(high) || low == high) return;
  for (const Value v : {low, high})
    if (temps_[v.temp_number()].uses != 1 || xmm_temps_[v.temp_number()].stored) return;
  u32 set = end;
  while (set < insts.size() && insts[set].op == Op::SetD && insts[set].a != low) ++set;
  if (set + 1 >= insts.size() || insts[set].op != Op::SetD || insts[set + 1].op != Op::SetD) return;
  const auto d = static_cast<u32>(insts[set].imm);
  if (insts[set].a != low || insts[set + 1].a != high || d % 2 != 0 || insts[set + 1].imm != d + 1 || !as_quad(d / 2))
    return;
  XmmTemp& t = xmm_temps_[low.temp_number()];
  t.type = IrType::V128;
  t.last = std::max(t.last, static_cast<int>(set) + 1);
  quad_set_[set] = k_with_next;
  quad_set_[set + 1] = static_cast<int>(low.temp_number());
  access_xmm_[index].quad = true;
}

/// The SetD i and the one before have their values in `temp`.
void Emitter::set_quad(const Inst& i, u32 temp) {
  Xmm x = use_xmm(i, Value::temp(temp), IrType::V128, xmm0);
  const auto q = static_cast<u32>(i.imm) / 2;
  if (const int unit = unit_of(i); unit >= 0) {
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

/// The GetD i and the next, of the halves of a Q register in a host register, are for stores alone: they are one value.
bool Emitter::plan_quad_get(const Inst& i) {
  const auto& insts = block_->insts;
  if (i.op != Op::GetD || index_ + 1 >= insts.size()) return false;
  if (i.dst.is_temp() && high_of_[i.dst.temp_number()] != k_none) return true;
  const Inst& next = insts[index_ + 1];
  const auto q = static_cast<u32>(i.imm) / 2;
  if (i.imm % 2 != 0 || next.op != Op::GetD || next.imm != i.imm + 1 || !is_xmm(i.dst) || !is_xmm(next.dst))
    return false;
  const u32 low = i.dst.temp_number(), high = next.dst.temp_number();
  for (const u32 t : {low, high})
    if (temps_[t].uses != 1 || xmm_temps_[t].stored) return false;
  const auto first = static_cast<u32>(temps_[low].last), second = static_cast<u32>(temps_[high].last);
  if (insts[first].op != Op::Store64 || insts[second].op != Op::Store64 || second != first + 1) return false;
  const int unit = unit_of(i);
  if (unit >= 0 && units_[static_cast<u32>(unit)].words != 4) return false;
  int x = -1;
  if (unit >= 0)
    x = unit_xmm(static_cast<u32>(unit)).getIdx();
  else if (options_.xmm_cache)
    x = xmm_.of_q(q);
  if (x < 0) return false;
  XmmTemp& t = xmm_temps_[low];
  t.type = IrType::V128;
  t.last = std::max(t.last, static_cast<int>(second));
  high_of_[high] = static_cast<int>(low);
  xmm_.bind(static_cast<u32>(x), low);
  return true;
}

}  // namespace armvisor::engine::jit
