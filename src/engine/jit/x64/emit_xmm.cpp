// Temps and copies of extension registers in xmm registers (xmm_cache.h): how they get there and back, and the moves
// between temps, extension registers and memory.
#include <algorithm>

#include "base/assert.h"
#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using IrType = ir::Type;

}  // namespace

void Emitter::begin_xmm_state() {
  xmm_at_label_.assign(block_->label_count, std::nullopt);
  access_xmm_.assign(block_->insts.size(), {});
  xmm_state_.clear();
  for (const XmmTemp& t : plan_.xmm.temps) xmm_state_.push_back({t.type, t.last});
}

// --- registers

void Emitter::begin_xmm() {
  held_xmm_ = 0;
  compared_ = -1;
  for (u32 x = XmmCache::k_first; x < XmmCache::k_end; ++x)
    std::erase_if(xmm_[x].temps, [this](u32 t) { return xmm_state_[t].last < static_cast<int>(index_); });
}

Emitter::Xmm Emitter::hold_xmm(int x) {
  held_xmm_ |= 1u << x;
  xmm_.touch(static_cast<u32>(x));
  return Xmm(x);
}

/// A register for something new: an empty one, else the oldest copy, else the temp that is used last, else a unit's.
Emitter::Xmm Emitter::take_xmm() {
  int best = -1;
  u64 best_rank = 0;
  for (u32 x = XmmCache::k_first; x < XmmCache::k_end; ++x) {
    if (held_xmm_ >> x & 1) continue;
    const XmmCache::Entry& e = xmm_[x];
    u64 rank = u64{3} << 32;
    if (e.units != 0) {
      rank = 0;
    } else if (!e.temps.empty()) {
      rank = 0;
      for (const u32 t : e.temps) rank = std::max(rank, static_cast<u64>(xmm_state_[t].last));
    } else if (e.copies()) {
      rank = (u64{2} << 32) - e.used;
    }
    if (best < 0 || rank > best_rank) best = static_cast<int>(x), best_rank = rank;
  }
  AV_ASSERT(best >= 0);
  free_xmm(static_cast<u32>(best));
  return hold_xmm(best);
}

/// What x holds is in memory from here on.
void Emitter::free_xmm(u32 x) {
  for (const u32 t : xmm_[x].temps) {
    XmmState& temp = xmm_state_[t];
    if (!xmm_temp(t).stored && !temp.spilled) move_to_frame(Value::temp(t), Xmm(static_cast<int>(x)), temp.type);
    temp.spilled = true;
  }
  for (u32 unit = 0; unit < units().size(); ++unit)
    if (xmm_[x].units & xmm_.dirty() & 1u << unit) store_unit(unit, Xmm(static_cast<int>(x)));
  xmm_.set_dirty(xmm_.dirty() & ~xmm_[x].units);
  xmm_.forget(x);
}

void Emitter::move_to_frame(Value v, const Xmm& x, IrType type) {
  const u32 at = memory_offset(v);
  if (type == IrType::V128)
    movups(ptr[rbp + at], x);
  else
    type == IrType::I64 ? movsd(qword[rbp + at], x) : movss(dword[rbp + at], x);
}

void Emitter::move_from_frame(Value v, const Xmm& x, IrType type) {
  const u32 at = memory_offset(v);
  if (type == IrType::V128)
    movups(x, ptr[rbp + at]);
  else
    type == IrType::I64 ? movsd(x, qword[rbp + at]) : movss(x, dword[rbp + at]);
}

/// The register that has operand v, `scratch` when that need not be remembered.
Emitter::Xmm Emitter::use_xmm(const Inst& i, Value v, IrType type, const Xmm& scratch) {
  if (is_xmm(v)) {
    const u32 t = v.temp_number();
    if (const int x = xmm_.of_temp(t); x >= 0) return hold_xmm(x);
    const bool again = xmm_state_[t].last > static_cast<int>(index_);
    const Xmm x = again ? take_xmm() : scratch;
    move_from_frame(v, x, type);
    if (again) xmm_.bind(static_cast<u32>(x.getIdx()), t);
    return x;
  }
  const int r = host_reg(v);
  if (v.is_none() || (v.is_imm() && i.imm == 0)) {
    pxor(scratch, scratch);
  } else if (v.is_imm()) {
    mov(rax, i.imm);
    movq(scratch, rax);
  } else if (r != k_not_pinned) {
    type == IrType::I32 ? movd(scratch, Reg32(r)) : movq(scratch, Reg64(r));
  } else {
    move_from_frame(v, scratch, type);
  }
  return scratch;
}

/// A register for the result of the instruction at `index`, none of the operands'.
Emitter::Xmm Emitter::result_xmm(Value dst, u32 index) {
  const int home = home_of_result(index);
  if (home >= 0) xmm_.empty_home(static_cast<u32>(home));
  const Xmm x = home >= 0 ? hold_xmm(home) : take_xmm();
  if (is_xmm(dst)) xmm_.bind(static_cast<u32>(x.getIdx()), dst.temp_number());
  return x;
}

/// The result is in x.
void Emitter::finish_xmm(Value dst, const Xmm& x, IrType type) {
  if (dst.is_none()) return;
  if (is_xmm(dst)) {
    if (xmm_temp(dst.temp_number()).stored) move_to_frame(dst, x, type);
  } else if (type == IrType::I32) {
    movd(eax, x);
    finish(dst, eax);
  } else if (type == IrType::I64) {
    movq(rax, x);
    finish64(dst, rax);
  } else {
    move_to_frame(dst, x, type);
  }
}

void Emitter::spill_xmm() {
  begin_xmm();
  for (u32 x = XmmCache::k_first; x < XmmCache::k_end; ++x) free_xmm(x);
}

// --- cold paths

Emitter::ColdXmm Emitter::cold_xmm(const Inst& i) const {
  ColdXmm cold;
  for (Value v : {i.a, i.b, i.c}) {
    if (!is_xmm(v)) continue;
    const XmmState& t = xmm_state_[v.temp_number()];
    const int x = xmm_.of_temp(v.temp_number());
    if (x >= 0 && !xmm_temp(v.temp_number()).stored && !t.spilled) cold.operands.push_back({x, v, t.type});
  }
  if (is_xmm(i.dst)) cold.result = {xmm_.of_temp(i.dst.temp_number()), i.dst, ir::info(i.op).result};
  for (u32 x = XmmCache::k_first; x < XmmCache::k_end; ++x)
    cold.keep |= static_cast<int>(x) != cold.result.x && !xmm_[x].empty();
  return cold;
}

/// The instruction in C++, out of line: registers are as before but for the result.
void Emitter::emit_slow(const Inst& i, const ColdXmm& cold) {
  for (const Parked& p : cold.operands) move_to_frame(p.value, Xmm(p.x), p.type);
  cold_dirty_->clear();  // it does not look at extension registers
  place_constant(i);
  name_uop();
  call_service(Service::Helper, cold.keep);
  if (cold.result.x >= 0) move_from_frame(cold.result.value, Xmm(cold.result.x), cold.result.type);
}

void Emitter::note_skip(u32 label) {
  if (!units().empty()) place_units(false);
  if (xmm_at_label_[label])
    xmm_at_label_[label]->join(xmm_);
  else
    xmm_at_label_[label] = xmm_;
}

void Emitter::note_label(u32 label) {
  const auto& there = xmm_at_label_[label];
  if (!reached_)
    xmm_ = there ? *there : XmmCache{};
  else if (there) {
    if (!units().empty()) place_units(false);
    xmm_.join(*there);
  }
  reached_ = true;
}

// --- extension registers

void Emitter::emit_get(const Inst& i) {
  begin_xmm();
  if (get_pair(i)) return;
  if (const int unit = plan_.xmm.unit_of(i); unit >= 0) return get_unit(i, static_cast<u32>(unit));
  const u32 n = static_cast<u32>(i.imm);
  const Words words = words_of(i);
  const auto memory = rbp + static_cast<u32>(AV_STATE(d) + 4 * words.first);
  int x = -1;
  if (options_.xmm_cache) x = i.op == Op::GetS ? xmm_.of_s(n) : i.op == Op::GetQ ? xmm_.of_q(n) : xmm_.of_d(n);
  const IrType type = ir::info(i.op).result;
  if (!is_xmm(i.dst)) {
    if (i.op == Op::GetS) {
      const Reg32 d = target(i.dst, eax);
      x >= 0 ? movd(d, Xmm(x)) : mov(d, dword[memory]);
      return finish(i.dst, d);
    }
    const Reg64 d = target64(i.dst, rax);
    x >= 0 ? movq(d, Xmm(x)) : mov(d, qword[memory]);
    return finish64(i.dst, d);
  }
  const u32 t = i.dst.temp_number();
  const bool extend = i.op == Op::GetVD && xmm_temp(t).wide;
  if (x >= 0 && !extend) {
    xmm_.bind(static_cast<u32>(x), t);
    return finish_xmm(i.dst, Xmm(x), type);
  }
  int halves[2] = {-1, -1};
  if (i.op == Op::GetQ && options_.xmm_cache)
    for (u32 k = 0; k < 2; ++k) halves[k] = xmm_.of_d(2 * n + k);
  if (halves[0] >= 0 && halves[1] >= 0) hold_xmm(halves[0]), hold_xmm(halves[1]);
  if (x >= 0) hold_xmm(x);
  const Xmm d = result_xmm(i.dst);
  const u32 to = static_cast<u32>(d.getIdx());
  if (x >= 0) {
    movq(d, Xmm(x));
  } else if (halves[0] >= 0 && halves[1] >= 0) {
    movaps(d, Xmm(halves[0]));
    movlhps(d, Xmm(halves[1]));
  } else if (i.op == Op::GetQ) {
    movups(d, ptr[memory]);
  } else {
    i.op == Op::GetS ? movss(d, dword[memory]) : movsd(d, qword[memory]);
  }
  if (options_.xmm_cache) {
    if (i.op == Op::GetS)
      xmm_.copy_s(n, to);
    else
      i.op == Op::GetQ ? xmm_.copy_q(n, to) : xmm_.copy_d(n, to);
  }
  finish_xmm(i.dst, d, type);
}

void Emitter::emit_set(const Inst& i) {
  begin_xmm();
  if (const int set = plan_.xmm.steps[index_].set; set == XmmPlan::k_set_with_next)
    return;
  else if (set != XmmPlan::k_not_set)
    return set_quad(i, static_cast<u32>(set));
  if (const int unit = plan_.xmm.unit_of(i); unit >= 0) return set_unit(i, static_cast<u32>(unit));
  const u32 n = static_cast<u32>(i.imm);
  const Words words = words_of(i);
  const auto memory = rbp + static_cast<u32>(AV_STATE(d) + 4 * words.first);
  const bool single = i.op == Op::SetS;
  int x = -1;
  if (is_xmm(i.a)) {
    const IrType type = xmm_state_[i.a.temp_number()].type;
    const Xmm a = use_xmm(i, i.a, type, xmm0);
    if (i.op == Op::SetQ)
      movups(ptr[memory], a);
    else
      single ? movss(dword[memory], a) : movsd(qword[memory], a);
    if (a.getIdx() >= static_cast<int>(XmmCache::k_first)) x = a.getIdx();
  } else {
    const bool again = plan_.xmm.steps[index_].read_again;
    const Xmm a = again ? take_xmm() : xmm0;
    if (single) {
      const Reg32 r = use(i, i.a, eax);
      mov(dword[memory], r);
      if (again) movd(a, r);
    } else {
      const Reg64 r = use64(i, i.a, rax);
      mov(qword[memory], r);
      if (again) movq(a, r);
    }
    if (again) x = a.getIdx();
  }
  if (!options_.xmm_cache) x = -1;
  if (single)
    xmm_.write_s(n, x);
  else
    i.op == Op::SetQ ? xmm_.write_q(n, x) : xmm_.write_d(n, x);
}

// --- vectors and their parts

void Emitter::emit_vector_half(const Inst& i) {
  begin_xmm();
  const Xmm a = use_xmm(i, i.a, IrType::V128, xmm0);
  if (i.op != Op::VHi && is_xmm(i.dst) && a.getIdx() >= static_cast<int>(XmmCache::k_first)) {  // VLo, MovV
    xmm_.bind(static_cast<u32>(a.getIdx()), i.dst.temp_number());
    return finish_xmm(i.dst, a, ir::info(i.op).result);
  }
  const Xmm d = result_xmm(i.dst);
  if (i.op == Op::VHi)
    pshufd(d, a, 0xee);
  else
    movaps(d, a);
  finish_xmm(i.dst, d, ir::info(i.op).result);
}

void Emitter::emit_vector_pack(const Inst& i) {
  begin_xmm();
  if (i.op == Op::Mov64 || i.op == Op::Mov) {
    const Xmm d = result_xmm(i.dst);
    if (i.imm == 0) {
      pxor(d, d);
    } else if (i.imm == ~u64{0}) {
      pcmpeqd(d, d);
    } else {
      mov(rax, i.imm);
      movq(d, rax);
    }
    return finish_xmm(i.dst, d, ir::info(i.op).result);
  }
  const Xmm a = use_xmm(i, i.a, IrType::I64, xmm0);
  const bool no_high = i.b.is_imm() && i.imm == 0;
  const Xmm b = i.b == i.a ? a : no_high ? xmm1 : use_xmm(i, i.b, IrType::I64, xmm1);
  const Xmm d = result_xmm(i.dst);
  if (no_high) {
    movq(d, a);
  } else {
    movaps(d, a);
    movlhps(d, b);
  }
  finish_xmm(i.dst, d, IrType::V128);
}

}  // namespace armvisor::engine::jit
