#include "engine/jit/x64/xmm_registers.h"

#include <algorithm>

namespace armvisor::engine::jit {
namespace {

using IrType = ir::Type;

u32 index_of(const Xbyak::Xmm& x) { return static_cast<u32>(x.getIdx()); }

}  // namespace

void XmmRegisters::begin_block() {
  cache = {};
  at_label_.assign(at_.block->label_count, std::nullopt);
  states_.clear();
  for (const XmmTemp& t : at_.plan.xmm.temps) states_.push_back({t.type, t.last});
  held_ = changes_ = 0;
  reached_ = true;
}

void XmmRegisters::begin() {
  held_ = 0;
  ++changes_;
  for (u32 x = XmmCache::k_first; x < XmmCache::k_end; ++x)
    std::erase_if(cache[x].temps, [this](u32 t) { return states_[t].last < static_cast<int>(at_.index); });
}

XmmRegisters::Xmm XmmRegisters::hold(int x) {
  held_ |= 1u << x;
  cache.touch(static_cast<u32>(x));
  return Xmm(x);
}

/// An empty one, else the oldest copy, else the temp that is used last, else a unit's.
XmmRegisters::Xmm XmmRegisters::take() {
  int best = -1;
  u64 best_rank = 0;
  for (u32 x = XmmCache::k_first; x < XmmCache::k_end; ++x) {
    if (held_ >> x & 1) continue;
    const XmmCache::Entry& e = cache[x];
    u64 rank = u64{3} << 32;
    if (e.units != 0) {
      rank = 0;
    } else if (!e.temps.empty()) {
      rank = 0;
      for (const u32 t : e.temps) rank = std::max(rank, static_cast<u64>(states_[t].last));
    } else if (e.copies()) {
      rank = (u64{2} << 32) - e.used;
    }
    if (best < 0 || rank > best_rank) best = static_cast<int>(x), best_rank = rank;
  }
  AV_ASSERT(best >= 0);
  free(static_cast<u32>(best));
  return hold(best);
}

/// What x holds is in memory from here on.
void XmmRegisters::free(u32 x) {
  for (const u32 t : cache[x].temps) {
    State& s = states_[t];
    if (!temp(Value::temp(t)).stored && !s.spilled) move_to_frame(Value::temp(t), Xmm(static_cast<int>(x)), s.type);
    s.spilled = true;
  }
  for (u32 unit = 0; unit < units().size(); ++unit)
    if (cache[x].units & cache.dirty() & 1u << unit) store_unit(unit, Xmm(static_cast<int>(x)));
  cache.set_dirty(cache.dirty() & ~cache[x].units);
  cache.forget(x);
}

void XmmRegisters::spill() {
  begin();
  for (u32 x = XmmCache::k_first; x < XmmCache::k_end; ++x) free(x);
}

void XmmRegisters::move_to_frame(Value v, const Xmm& x, IrType type) {
  const u32 at = operands_.memory_offset(v);
  if (type == IrType::V128)
    code_.movups(context128(at), x);
  else
    type == IrType::I64 ? code_.movsd(context64(at), x) : code_.movss(context32(at), x);
}

void XmmRegisters::move_from_frame(Value v, const Xmm& x, IrType type) {
  const u32 at = operands_.memory_offset(v);
  if (type == IrType::V128)
    code_.movups(x, context128(at));
  else
    type == IrType::I64 ? code_.movsd(x, context64(at)) : code_.movss(x, context32(at));
}

XmmRegisters::Xmm XmmRegisters::use(const ir::Inst& i, Value v, IrType type, const Xmm& scratch) {
  if (holds(v)) {
    const u32 t = v.temp_number();
    if (const int x = cache.of_temp(t); x >= 0) return hold(x);
    const bool again = states_[t].last > static_cast<int>(at_.index);
    const Xmm x = again ? take() : scratch;
    move_from_frame(v, x, type);
    if (again) cache.bind(index_of(x), t);
    return x;
  }
  const int r = operands_.host_reg(v);
  if (v.is_none() || (v.is_imm() && i.imm == 0)) {
    code_.pxor(scratch, scratch);
  } else if (v.is_imm()) {
    const ScratchEax eax(code_.scratch);
    code_.mov(eax.cvt64(), i.imm);
    code_.movq(scratch, eax.cvt64());
  } else if (r != k_not_pinned) {
    type == IrType::I32 ? code_.movd(scratch, Xbyak::Reg32(r)) : code_.movq(scratch, Xbyak::Reg64(r));
  } else {
    move_from_frame(v, scratch, type);
  }
  return scratch;
}

XmmRegisters::Xmm XmmRegisters::result(Value dst, u32 index) {
  const int home = home_of_result(index);
  if (home >= 0) cache.empty_home(static_cast<u32>(home));
  const Xmm x = home >= 0 ? hold(home) : take();
  if (holds(dst)) cache.bind(index_of(x), dst.temp_number());
  return x;
}

/// The home of the unit that the result of the instruction at `index` goes to, when nothing else is there; or -1.
int XmmRegisters::home_of_result(u32 index) const {
  const int unit = at_.plan.xmm.steps[index].unit;
  if (unit < 0) return -1;
  const int home = units()[static_cast<u32>(unit)].home;
  const XmmCache::Entry& e = cache[static_cast<u32>(home)];
  const bool free = (e.units & ~(1u << unit)) == 0 && !(held_ >> home & 1) &&
                    std::none_of(e.temps.begin(), e.temps.end(),
                                 [this](u32 t) { return states_[t].last >= static_cast<int>(at_.index); });
  return free ? home : -1;
}

void XmmRegisters::finish(Value dst, const Xmm& x, IrType type) {
  if (dst.is_none()) return;
  if (holds(dst)) {
    if (temp(dst).stored) move_to_frame(dst, x, type);
  } else if (type == IrType::V128) {
    move_to_frame(dst, x, type);
  } else {
    const ScratchEax eax(code_.scratch);
    if (type == IrType::I32) {
      code_.movd(eax, x);
      operands_.finish(dst, eax);
    } else {
      code_.movq(eax.cvt64(), x);
      operands_.finish64(dst, eax.cvt64());
    }
  }
}

// --- units

void XmmRegisters::load_unit(u32 unit, const Xmm& x) {
  const u32 at = AV_STATE(d) + 4 * units()[unit].first;
  switch (units()[unit].words) {
    case 1: code_.movss(x, context32(at)); break;
    case 2: code_.movsd(x, context64(at)); break;
    default: code_.movups(x, context128(at));
  }
}

void XmmRegisters::store_unit(u32 unit, const Xmm& x) {
  const u32 at = AV_STATE(d) + 4 * units()[unit].first;
  switch (units()[unit].words) {
    case 1: code_.movss(context32(at), x); break;
    case 2: code_.movsd(context64(at), x); break;
    default: code_.movups(context128(at), x);
  }
}

/// The register that has the unit.
XmmRegisters::Xmm XmmRegisters::unit_register(u32 unit) {
  if (const int x = cache.of_unit(unit); x >= 0) return hold(x);
  const Xmm x = take();
  load_unit(unit, x);
  cache.place_unit(unit, x.getIdx());
  return x;
}

void XmmRegisters::load_units() {
  for (u32 unit = 0; unit < units().size(); ++unit) load_unit(unit, Xmm(units()[unit].home));
}

bool XmmRegisters::units_in_place() const {
  for (u32 unit = 0; unit < units().size(); ++unit)
    if (cache.of_unit(unit) != units()[unit].home) return false;
  return true;
}

void XmmRegisters::place_units(bool leaving) {
  std::array<int, XmmCache::k_most_units> from{};
  u32 left = 0;
  for (u32 unit = 0; unit < units().size(); ++unit) {
    from[unit] = cache.of_unit(unit);
    if (from[unit] != units()[unit].home) left |= 1u << unit;
  }
  for (u32 unit = 0; unit < units().size(); ++unit) {
    if (!(left >> unit & 1)) continue;
    const int home = units()[unit].home;
    XmmCache::Entry& e = cache[static_cast<u32>(home)];
    std::erase_if(e.temps, [this](u32 t) { return states_[t].last < static_cast<int>(at_.index); });
    if (leaving) e.temps.clear();
    for (const u32 t : e.temps) {
      State& s = states_[t];
      if (!temp(Value::temp(t)).stored && !s.spilled) move_to_frame(Value::temp(t), Xmm(home), s.type);
      s.spilled = true;
    }
    cache.empty_home(static_cast<u32>(home));
  }
  if (left != 0) ++changes_;
  const auto needed = [&](int x) {
    for (u32 unit = 0; unit < units().size(); ++unit)
      if ((left >> unit & 1) && from[unit] == x) return true;
    return false;
  };
  std::optional<ScratchXmm0> aside;
  while (left != 0) {
    bool moved = false;
    for (u32 unit = 0; unit < units().size(); ++unit) {
      const int home = units()[unit].home;
      if (!(left >> unit & 1) || needed(home)) continue;
      from[unit] >= 0 ? code_.movaps(Xmm(home), Xmm(from[unit])) : load_unit(unit, Xmm(home));
      cache.place_unit(unit, home);
      left &= ~(1u << unit);
      moved = true;
    }
    if (moved) continue;
    // A ring: one of it steps aside.
    u32 unit = 0;
    while (!(left >> unit & 1)) ++unit;
    aside.emplace(code_.scratch);
    code_.movaps(*aside, Xmm(units()[unit].home));
    for (int& x : from)
      if (x == units()[unit].home) x = aside->getIdx();
  }
}

std::vector<DirtyUnit> XmmRegisters::dirty_units() const {
  std::vector<DirtyUnit> dirty;
  for (u32 unit = 0; unit < units().size(); ++unit)
    if (cache.dirty() >> unit & 1) dirty.push_back({unit, cache.of_unit(unit)});
  return dirty;
}

void XmmRegisters::store_dirty(const std::vector<DirtyUnit>& units) {
  for (const DirtyUnit& d : units) store_unit(d.unit, Xmm(d.x));
}

// --- where control joins

void XmmRegisters::skip_to(u32 label) {
  if (!units().empty()) place_units(false);
  if (at_label_[label])
    at_label_[label]->join(cache);
  else
    at_label_[label] = cache;
}

void XmmRegisters::label(u32 label) {
  const auto& there = at_label_[label];
  if (!reached_)
    cache = there ? *there : XmmCache{};
  else if (there) {
    if (!units().empty()) place_units(false);
    cache.join(*there);
  }
  reached_ = true;
}

void XmmRegisters::head() {
  cache = {};
  u32 dirty = 0;
  for (u32 unit = 0; unit < units().size(); ++unit) {
    cache.place_unit(unit, units()[unit].home);
    dirty |= u32{units()[unit].written} << unit;
  }
  cache.set_dirty(dirty);
  ++changes_;
  reached_ = true;
}

void XmmRegisters::unreachable() { reached_ = false; }

}  // namespace armvisor::engine::jit
