#include "engine/jit/x64/calls.h"

#include "engine/jit/side_tables.h"

namespace armvisor::engine::jit {

void Calls::begin_block() {
  slow_.clear();
  uop_index_.assign(at_.block->insts.size(), 0);
  for (u32 k = 0, uops = 1; k < at_.block->insts.size(); ++k)
    if (needs_uop(at_.block->insts[k])) uop_index_[k] = uops++;
}

void Calls::name_uop() {
  const ScratchEdx edx(code_.scratch);
  code_.load_pointer(edx.cvt64(), Reloc::Kind::Uop, uop_index_[at_.index]);
}

void Calls::call_service(Service s, bool keep_xmm) {
  park();
  code_.call_stub((keep_xmm ? stubs_.service_keeping_xmm : stubs_.service)[static_cast<u32>(s)]);
  if (at_.in_region() || s == Service::Helper || s == Service::Trap) load_copies();  // it may have written any register
}

void Calls::place_constant(const Inst& i) {
  if (!i.a.is_imm() && !i.b.is_imm() && !i.c.is_imm()) return;
  const ScratchEax eax(code_.scratch);
  code_.mov(eax.cvt64(), i.imm);
  code_.mov(context64(temp_offset(k_constant_temp)), eax.cvt64());
}

void Calls::park() {
  if (!at_.in_region()) return;
  if (const std::vector<DirtyUnit>* const dirty = cold_.dirty()) {
    xmm_.store_dirty(*dirty);
  } else {
    xmm_.store_dirty(xmm_.dirty_units());
    xmm_.cache.set_dirty(0);
  }
  for (const Copy& c : at_.plan.registers.copies) {
    if (c.written) code_.mov(context_guest(c.guest), Xbyak::Reg32(c.host));
    if (c.owner >= 0) code_.mov(Xbyak::Reg32(c.host), context_guest(static_cast<u32>(c.owner)));
  }
}

void Calls::load_copies() {
  for (const Copy& c : at_.plan.registers.copies) code_.mov(Xbyak::Reg32(c.host), context_guest(c.guest));
}

void Calls::add_slow_path(const Inst& i, Label slow, Label done) {
  slow_.push_back(slow_path_of(i));
  cold_.add([this, i, slow, done, path = slow_.size() - 1] {
    code_.L(slow);
    emit_slow(i, slow_[path]);
    code_.jmp(done, Code::T_NEAR);
  });
}

Calls::SlowPath Calls::slow_path_of(const Inst& i) const {
  SlowPath path;
  for (const ir::Value v : {i.a, i.b, i.c}) {
    if (!xmm_.holds(v)) continue;
    const XmmRegisters::State& state = xmm_.state(v);
    const int x = xmm_.cache.of_temp(v.temp_number());
    if (x >= 0 && !xmm_.temp(v).stored && !state.spilled) path.operands.push_back({x, v, state.type});
  }
  if (xmm_.holds(i.dst)) path.result = {xmm_.cache.of_temp(i.dst.temp_number()), i.dst, ir::info(i.op).result};
  for (u32 x = XmmCache::k_first; x < XmmCache::k_end; ++x)
    path.keep |= static_cast<int>(x) != path.result.x && !xmm_.cache[x].empty();
  return path;
}

void Calls::emit_slow(const Inst& i, const SlowPath& path) {
  for (const Parked& p : path.operands) xmm_.move_to_frame(p.value, Xbyak::Xmm(p.x), p.type);
  cold_.dirty()->clear();  // it does not look at extension registers
  place_constant(i);
  name_uop();
  call_service(Service::Helper, path.keep);
  if (path.result.x >= 0) xmm_.move_from_frame(path.result.value, Xbyak::Xmm(path.result.x), path.result.type);
}

}  // namespace armvisor::engine::jit
