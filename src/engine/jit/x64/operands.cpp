#include "engine/jit/x64/operands.h"

namespace armvisor::engine::jit {

u32 Operands::memory_offset(Value v) const {
  return v.is_reg() ? AV_STATE(r) + 4 * v.reg_number() : AV_CONTEXT(scratch.temps) + 16 * (v.temp_number() + 1);
}

void Operands::load_to(const Inst& i, Value v, const Reg32& d) {
  const int r = host_reg(v);
  if (v.is_imm())
    code_.move_address(d, i.imm_address());
  else if (r == k_not_pinned)
    code_.mov(d, context32(memory_offset(v)));
  else if (r != d.getIdx())
    code_.mov(d, Reg32(r));
}

void Operands::load_to64(const Inst& i, Value v, const Reg64& d) {
  const int r = host_reg(v);
  if (v.is_imm())
    code_.mov(d, i.imm);
  else if (r == k_not_pinned)
    code_.mov(d, context64(memory_offset(v)));
  else if (r != d.getIdx())
    code_.mov(d, Reg64(r));
}

void Operands::load_both(const Inst& i, const Reg32& a, const Reg32& b) {
  load_to(i, i.b, b);
  load_to(i, i.a, a);
}

Operands::Reg32 Operands::use(const Inst& i, Value v, const Reg32& scratch) {
  const int r = host_reg(v);
  if (r != k_not_pinned) return Reg32(r);
  load_to(i, v, scratch);
  return scratch;
}

Operands::Reg64 Operands::use64(const Inst& i, Value v, const Reg64& scratch) {
  const int r = host_reg(v);
  if (r != k_not_pinned) return Reg64(r);
  load_to64(i, v, scratch);
  return scratch;
}

Operands::Reg32 Operands::target(Value dst, const Reg32& scratch) const {
  const int r = host_reg(dst);
  return r == k_not_pinned ? scratch : Reg32(r);
}

Operands::Reg64 Operands::target64(Value dst, const Reg64& scratch) const {
  const int r = host_reg(dst);
  return r == k_not_pinned ? scratch : Reg64(r);
}

void Operands::finish(Value dst, const Reg32& r) {
  if (dst.is_none()) return;
  const int d = host_reg(dst);
  if (d != k_not_pinned && d != r.getIdx()) code_.mov(Reg32(d), r);
  if (d == k_not_pinned || (at_.plan.registers.is_copy(dst) && !at_.in_region()))
    code_.mov(context32(memory_offset(dst)), r);
}

void Operands::finish64(Value dst, const Reg64& r) {
  if (dst.is_none()) return;
  const int d = host_reg(dst);
  if (d == k_not_pinned)
    code_.mov(context64(memory_offset(dst)), r);
  else if (d != r.getIdx())
    code_.mov(Reg64(d), r);
}

}  // namespace armvisor::engine::jit
