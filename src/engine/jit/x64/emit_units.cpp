// Units: the extension registers that a region uses most are in host registers from its start to wherever it is left.
// Within a block a unit is in whatever register its value came about in; at heads it is in its home. What is dirty is
// stored by the cold path that may leave the region, or before something in C++ looks.
#include <algorithm>

#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using IrType = ir::Type;

}  // namespace

void Emitter::load_unit(u32 unit, const Xmm& x) {
  const u32 at = static_cast<u32>(AV_STATE(d)) + 4 * units()[unit].first;
  switch (units()[unit].words) {
    case 1: movss(x, dword[rbp + at]); break;
    case 2: movsd(x, qword[rbp + at]); break;
    default: movups(x, ptr[rbp + at]);
  }
}

void Emitter::store_unit(u32 unit, const Xmm& x) {
  const u32 at = static_cast<u32>(AV_STATE(d)) + 4 * units()[unit].first;
  switch (units()[unit].words) {
    case 1: movss(dword[rbp + at], x); break;
    case 2: movsd(qword[rbp + at], x); break;
    default: movups(ptr[rbp + at], x);
  }
}

/// The register that has the unit.
Emitter::Xmm Emitter::unit_xmm(u32 unit) {
  if (const int x = xmm_.of_unit(unit); x >= 0) return hold_xmm(x);
  const Xmm x = take_xmm();
  load_unit(unit, x);
  xmm_.place_unit(unit, x.getIdx());
  return x;
}

void Emitter::load_units() {
  for (u32 unit = 0; unit < units().size(); ++unit) load_unit(unit, Xmm(units()[unit].home));
}

bool Emitter::units_in_place() const {
  for (u32 unit = 0; unit < units().size(); ++unit)
    if (xmm_.of_unit(unit) != units()[unit].home) return false;
  return true;
}

/// All units to their homes. `leaving`: no temp is used any more on this way.
void Emitter::place_units(bool leaving) {
  std::array<int, XmmCache::k_most_units> from{};
  u32 left = 0;
  for (u32 unit = 0; unit < units().size(); ++unit) {
    from[unit] = xmm_.of_unit(unit);
    if (from[unit] != units()[unit].home) left |= 1u << unit;
  }
  for (u32 unit = 0; unit < units().size(); ++unit) {
    if (!(left >> unit & 1)) continue;
    XmmCache::Entry& e = xmm_[static_cast<u32>(units()[unit].home)];
    std::erase_if(e.temps, [this](u32 t) { return xmm_state_[t].last < static_cast<int>(index_); });
    if (leaving) e.temps.clear();
    for (const u32 t : e.temps) {
      XmmState& temp = xmm_state_[t];
      if (!xmm_temp(t).stored && !temp.spilled) move_to_frame(Value::temp(t), Xmm(units()[unit].home), temp.type);
      temp.spilled = true;
    }
    xmm_.empty_home(static_cast<u32>(units()[unit].home));
  }
  if (left != 0) compared_ = -1;
  const auto needed = [&](int x) {
    for (u32 unit = 0; unit < units().size(); ++unit)
      if ((left >> unit & 1) && from[unit] == x) return true;
    return false;
  };
  while (left != 0) {
    bool moved = false;
    for (u32 unit = 0; unit < units().size(); ++unit) {
      const int home = units()[unit].home;
      if (!(left >> unit & 1) || needed(home)) continue;
      from[unit] >= 0 ? movaps(Xmm(home), Xmm(from[unit])) : load_unit(unit, Xmm(home));
      xmm_.place_unit(unit, home);
      left &= ~(1u << unit);
      moved = true;
    }
    if (moved) continue;
    // A ring: one of it steps aside.
    u32 unit = 0;
    while (!(left >> unit & 1)) ++unit;
    movaps(xmm0, Xmm(units()[unit].home));
    for (int& x : from)
      if (x == units()[unit].home) x = 0;
  }
}

std::vector<Emitter::DirtyUnit> Emitter::dirty_units() const {
  std::vector<DirtyUnit> dirty;
  for (u32 unit = 0; unit < units().size(); ++unit)
    if (xmm_.dirty() >> unit & 1) dirty.push_back({unit, xmm_.of_unit(unit)});
  return dirty;
}

void Emitter::store_dirty(const std::vector<DirtyUnit>& units) {
  for (const DirtyUnit& d : units) store_unit(d.unit, Xmm(d.x));
}

/// The home of the unit that the result of the instruction at `index` goes to, when nothing else is there; or -1.
int Emitter::home_of_result(u32 index) const {
  const int unit = plan_.xmm.steps[index].unit;
  if (unit < 0) return -1;
  const int home = units()[static_cast<u32>(unit)].home;
  const XmmCache::Entry& e = xmm_[static_cast<u32>(home)];
  const bool free = (e.units & ~(1u << unit)) == 0 && !(held_xmm_ >> home & 1) &&
                    std::none_of(e.temps.begin(), e.temps.end(),
                                 [this](u32 t) { return xmm_state_[t].last >= static_cast<int>(index_); });
  return free ? home : -1;
}

void Emitter::get_unit(const Inst& i, u32 unit) {
  const Words w = words_of(i);
  const u32 offset = w.first - units()[unit].first;
  const IrType type = ir::info(i.op).result;
  const Xmm x = unit_xmm(unit);
  if (!is_xmm(i.dst)) {
    Xmm from = x;
    if (offset != 0) {
      from = xmm0;
      pshufd(from, x, static_cast<u8>(offset | (offset + 1) << 2));
    }
    if (i.op == Op::GetS) {
      const Reg32 d = target(i.dst, eax);
      movd(d, from);
      return finish(i.dst, d);
    }
    const Reg64 d = target64(i.dst, rax);
    movq(d, from);
    return finish64(i.dst, d);
  }
  const u32 t = i.dst.temp_number();
  const bool extend = i.op == Op::GetVD && xmm_temp(t).wide;
  if (offset == 0 && !extend) {
    xmm_.bind(static_cast<u32>(x.getIdx()), t);
    return finish_xmm(i.dst, x, type);
  }
  const Xmm d = result_xmm(i.dst);
  if (offset != 0) pshufd(d, x, static_cast<u8>(offset | (offset + 1) << 2));
  if (extend) movq(d, offset != 0 ? d : x);
  finish_xmm(i.dst, d, type);
}

void Emitter::set_unit(const Inst& i, u32 unit) {
  const Words w = words_of(i);
  const u32 offset = w.first - units()[unit].first;
  const bool single = i.op == Op::SetS, whole = w.count == units()[unit].words;
  const u32 memory = static_cast<u32>(AV_STATE(d)) + 4 * w.first;
  Xmm a = xmm0;
  if (is_xmm(i.a))
    a = use_xmm(i, i.a, xmm_state_[i.a.temp_number()].type, xmm0);
  else
    single ? movd(a, use(i, i.a, eax)) : movq(a, use64(i, i.a, rax));
  if (!whole && !host_.avx) {
    // By way of memory.
    if (const int x = xmm_.of_unit(unit); x >= 0 && (xmm_.dirty() >> unit & 1)) store_unit(unit, Xmm(x));
    single ? movss(dword[rbp + memory], a) : movsd(qword[rbp + memory], a);
    xmm_.place_unit(unit, -1);
    return xmm_.set_dirty(xmm_.dirty() & ~(1u << unit));
  }
  if (!whole) {
    const Xmm x = unit_xmm(unit), d = take_xmm();
    if (single)
      vinsertps(d, x, a, static_cast<u8>(offset << 4));
    else
      offset == 0 ? vmovsd(d, x, a) : vmovlhps(d, x, a);
    a = d;
  } else if (a.getIdx() < static_cast<int>(XmmCache::k_first)) {
    const Xmm d = take_xmm();
    movaps(d, a);
    a = d;
  }
  xmm_.place_unit(unit, a.getIdx());
  xmm_.set_dirty(xmm_.dirty() | 1u << unit);
}

}  // namespace armvisor::engine::jit
