#include "engine/jit/x64/flag_emitter.h"

#include "base/assert.h"
#include "ir/passes/flag_liveness.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using Xbyak::Reg32;
using Xbyak::Reg64;

}  // namespace

void FlagEmitter::emit(const ir::Inst& i) {
  if (writes_flags(i.op) && i.op != Op::FpscrToFlags) fp_.forget_comparison();
  const u8 needed = at_.plan.flags[at_.index].needed;
  switch (i.op) {
    case Op::SetNZ: return set_nz(i);
    case Op::SetNZ64: {
      const ScratchEax eax(code_.scratch);
      const Reg64 a = operands_.use64(i, i.a, eax.cvt64());
      code_.test(a, a);
      return store(needed, HostFlags::Logic);
    }
    case Op::SetC: return needed ? set_c(i) : void();
    case Op::SetNZCV: return set_all(i);
    case Op::GetC: {
      const ScratchEax eax(code_.scratch);
      const Reg32 d = operands_.target(i.dst, eax);
      code_.movzx(d, context8(AV_STATE(c)));
      return operands_.finish(i.dst, d);
    }
    case Op::OrQ: return or_q(i);
    case Op::CondValue: return condition_value(i);
    case Op::FpscrToFlags: return needed && !fp_.stored_by_comparison() ? fp_.store_flags(needed) : void();
    default: AV_UNREACHABLE();
  }
}

// --- where they are made

void FlagEmitter::store(u8 mask, HostFlags kind) {
  if (mask & 8) code_.sets(context8(AV_STATE(n)));
  if (mask & 4) code_.setz(context8(AV_STATE(z)));
  if (kind == HostFlags::Logic) return;
  if (mask & 2) kind == HostFlags::Sub ? code_.setae(context8(AV_STATE(c))) : code_.setb(context8(AV_STATE(c)));
  if (mask & 1) code_.seto(context8(AV_STATE(v)));
}

void FlagEmitter::store_needed(const ir::Inst& i) {
  fp_.forget_comparison();
  store(at_.plan.flags[at_.index].needed, flags_kind(i));
}

/// Nothing since the instruction that left them has changed them.
bool FlagEmitter::host_has_nz_of(ir::Value v) const {
  const auto leaves_flags = [this](u32 k) {
    return at_.plan.dead[k] || at_.block->insts[k].op == Op::Insn || at_.block->insts[k].op == Op::SetC;
  };
  u32 before = at_.index;
  do {
    if (before-- == 0) return false;
  } while (leaves_flags(before));
  return nz_.index == before && nz_.of == v;
}

void FlagEmitter::set_nz(const ir::Inst& i) {
  if (!host_has_nz_of(i.a)) {
    const ScratchEax eax(code_.scratch);
    const Reg32 a = operands_.use(i, i.a, eax);
    code_.test(a, a);
  }
  note_host_nz(i.a);
  store(at_.plan.flags[at_.index].needed, HostFlags::Logic);
}

void FlagEmitter::set_c(const ir::Inst& i) {
  if (i.a.is_imm()) return code_.mov(context8(AV_STATE(c)), static_cast<u8>(i.imm));
  const ScratchEax eax(code_.scratch);
  code_.mov(context8(AV_STATE(c)), operands_.use(i, i.a, eax).cvt8());
}

/// N, Z, C, V from bits 31:28.
void FlagEmitter::set_all(const ir::Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  operands_.load_to(i, i.a, eax);
  code_.shr(eax, 28);
  for (const u32 flag : {AV_STATE(v), AV_STATE(c), AV_STATE(z), AV_STATE(n)}) {
    code_.mov(ecx, eax);
    code_.and_(ecx, 1);
    code_.mov(context8(flag), ecx.cvt8());
    code_.shr(eax, 1);
  }
}

void FlagEmitter::or_q(const ir::Inst& i) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  const Reg32 a = operands_.use(i, i.a, eax);
  code_.test(a, a);
  code_.setne(ecx.cvt8());
  code_.or_(context8(AV_STATE(q)), ecx.cvt8());
}

// --- where they are tested

void FlagEmitter::condition_value(const ir::Inst& i) {
  const auto cond = static_cast<arm::Cond>(i.imm);
  const bool always = cond >= arm::Cond::AL;
  const u8 cc = always ? u8{0} : condition(cond);
  const ScratchEax eax(code_.scratch);
  const Reg32 d = operands_.target(i.dst, eax);
  if (always) {
    code_.mov(d, 1);
  } else {
    code_.setcc(cc, eax.cvt8());
    code_.movzx(d, eax.cvt8());
  }
  operands_.finish(i.dst, d);
}

u8 FlagEmitter::condition(arm::Cond cond) {
  const FlagPlan::Step& step = at_.plan.flags[at_.index];
  int source = step.at_host;
  if (source < 0 && step.remake >= 0) {
    source = step.remake;
    make_host_flags(static_cast<u32>(source), step.from_result, !(ir::flags_read_by(static_cast<u8>(cond)) & 3));
  }
  if (source < 0) return test_stored(cond);
  u8 cc = 0;
  host_condition(flags_kind(at_.block->insts[static_cast<u32>(source)]), cond, cc);
  return cc;
}

u8 FlagEmitter::test_stored(arm::Cond cond) {
  if (fuse_compare_)
    if (const auto cc = fp_.condition(cond)) return *cc;
  constexpr u32 n = AV_STATE(n), z = AV_STATE(z), c = AV_STATE(c), v = AV_STATE(v);
  const u8 inverted = static_cast<u8>(cond) & 1;
  const ScratchEax eax(code_.scratch);
  const Xbyak::Reg8 al = eax.cvt8();
  switch (static_cast<u8>(cond) >> 1) {
    case 0: code_.cmp(context8(z), 0); return 5 ^ inverted;
    case 1: code_.cmp(context8(c), 0); return 5 ^ inverted;
    case 2: code_.cmp(context8(n), 0); return 5 ^ inverted;
    case 3: code_.cmp(context8(v), 0); return 5 ^ inverted;
    case 4:  // HI: C > Z as unsigned numbers
      code_.mov(al, context8(c));
      code_.cmp(al, context8(z));
      return 7 ^ inverted;
    case 5:
      code_.mov(al, context8(n));
      code_.cmp(al, context8(v));
      return 4 ^ inverted;
    case 6:
      code_.mov(al, context8(n));
      code_.xor_(al, context8(v));
      code_.or_(al, context8(z));
      return 4 ^ inverted;
    default: AV_UNREACHABLE();
  }
}

// --- where they are made anew

void FlagEmitter::recover(u32 index) {
  // The host's flags of a compare are still there where a jump that it decided has gone out of the block.
  const bool leaves = at_.plan.flow[index].side_exit && at_.block->insts[index + 1].op == Op::ExitJump;
  const int at_host = leaves ? at_.plan.flags[index].at_host : -1;
  for (const bool from_host : {true, false})
    for (const Recovery& r : at_.plan.flags.recovery) {
      if (r.at != index || from_host != (static_cast<int>(r.source) == at_host)) continue;
      from_host ? store(r.mask, flags_kind(at_.block->insts[r.source])) : make(r.source, r.mask, r.from_result);
    }
  for (const Edge& edge : at_.plan.region.edges)
    for (const EdgePoint& p : edge.points) {
      if (p.at != index) continue;
      const Label other = code_.label();
      code_.cmp(context8(AV_CONTEXT(scratch.edge)), at_.plan.region.edge_number(edge.skip));
      code_.jne(other, Code::T_NEAR);
      edge.saved ? make_saved(edge.source, p.mask) : make(edge.source, p.mask, p.from_result);
      code_.L(other);
    }
}

void FlagEmitter::go_to_head(u32 skip, u32 head) {
  const RegionPlan& region = at_.plan.region;
  for (const Recovery& r : region.stores)
    if (r.at == skip) make(r.source, r.mask, r.from_result);
  for (const Edge& e : region.edges) {
    if (!e.saved || e.skip != skip) continue;
    const ir::Inst& i = at_.block->insts[e.source];
    const ScratchEcx ecx(code_.scratch);
    code_.mov(context32(AV_CONTEXT(scratch.flag_operands[0])), operands_.use(i, i.a, ecx));
    if (!i.b.is_none() && !i.b.is_imm())
      code_.mov(context32(AV_CONTEXT(scratch.flag_operands[1])), operands_.use(i, i.b, ecx));
  }
  if (region.has_edges(head) && !region.passes(skip))
    code_.mov(context8(AV_CONTEXT(scratch.edge)), region.edge_number(skip));
}

/// Stores flags of the instruction `source` anew, from its operands or its result.
void FlagEmitter::make(u32 source, u8 mask, bool from_result) {
  const ir::Inst& i = at_.block->insts[source];
  if (i.op == Op::FpscrToFlags) return fp_.store_flags(mask);
  if (i.op == Op::SetC) {
    if (i.a.is_imm()) return set_c(i);
    const ir::Inst& bit = at_.block->insts[static_cast<u32>(at_.plan.registers.temps[i.a.temp_number()].def)];
    const ScratchEdx edx(code_.scratch);
    operands_.load_to(bit, bit.a, edx);
    if (const u32 n = bit.imm & 31) code_.shr(edx, static_cast<int>(n));
    code_.and_(edx, 1);
    return code_.mov(context8(AV_STATE(c)), edx.cvt8());
  }
  make_host_flags(source, from_result, !(mask & 3));
  store(mask, flags_kind(i));
}

/// As make(), when the operands are in Scratch::flag_operands.
void FlagEmitter::make_saved(u32 source, u8 mask) {
  const ir::Inst& i = at_.block->insts[source];
  const Xbyak::Address b = context32(AV_CONTEXT(scratch.flag_operands[1]));
  const ScratchEdx edx(code_.scratch);
  code_.mov(edx, context32(AV_CONTEXT(scratch.flag_operands[0])));
  if (i.op == Op::SetNZ)
    code_.test(edx, edx);
  else if (i.b.is_imm())
    i.op == Op::SubF ? code_.cmp(edx, static_cast<u32>(i.imm)) : code_.add(edx, static_cast<u32>(i.imm));
  else
    i.op == Op::SubF ? code_.cmp(edx, b) : code_.add(edx, b);
  store(mask, flags_kind(i));
}

/// The host's flags become those of the instruction `source`. `nz_only`: CF and OF do not matter.
void FlagEmitter::make_host_flags(u32 source, bool from_result, bool nz_only) {
  const ir::Inst& i = at_.block->insts[source];
  const ScratchEdx edx(code_.scratch);
  if (i.op == Op::SetNZ || (from_result && nz_only)) {
    const Reg32 r = operands_.use(i, from_result ? i.dst : i.a, edx);
    return code_.test(r, r);
  }
  const ScratchEcx ecx(code_.scratch);
  if (i.op == Op::SubF && !from_result) {
    const Reg32 a = operands_.use(i, i.a, edx);
    if (i.b.is_imm()) return code_.cmp(a, static_cast<u32>(i.imm));
    return code_.cmp(a, operands_.use(i, i.b, ecx));
  }
  const int b = operands_.host_reg(i.b), d = operands_.host_reg(i.dst);
  if (i.op == Op::SubF && b != k_not_pinned && d != k_not_pinned) {
    code_.lea(edx, code_.ptr[Reg64(d) + Reg64(b)]);
    return code_.cmp(edx, Reg32(b));
  }
  operands_.load_to(i, i.b, ecx);
  operands_.load_to(i, from_result ? i.dst : i.a, edx);
  if (from_result) i.op == Op::SubF ? code_.add(edx, ecx) : code_.sub(edx, ecx);
  i.op == Op::SubF ? code_.cmp(edx, ecx) : code_.add(edx, ecx);
}

}  // namespace armvisor::engine::jit
