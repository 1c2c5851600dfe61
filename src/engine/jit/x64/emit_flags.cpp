// Condition flags: producing them, storing those that are looked at, and testing them.
#include "base/assert.h"
#include "engine/jit/x64/emitter.h"
#include "ir/passes/flag_liveness.h"

namespace armvisor::engine::jit {

void Emitter::setcc(u8 cc, const Xbyak::Operand& d) {
  switch (cc) {
    case 0: seto(d); break;
    case 1: setno(d); break;
    case 2: setb(d); break;
    case 3: setae(d); break;
    case 4: sete(d); break;
    case 5: setne(d); break;
    case 6: setbe(d); break;
    case 7: seta(d); break;
    case 8: sets(d); break;
    case 9: setns(d); break;
    case 12: setl(d); break;
    case 13: setge(d); break;
    case 14: setle(d); break;
    default: setg(d);
  }
}

void Emitter::store_flags(u8 mask, HostFlags kind) {
  if (mask & 8) sets(byte[rbp + AV_STATE(n)]);
  if (mask & 4) setz(byte[rbp + AV_STATE(z)]);
  if (kind == HostFlags::Logic) return;
  if (mask & 2) {
    if (kind == HostFlags::Sub)
      setae(byte[rbp + AV_STATE(c)]);
    else
      setb(byte[rbp + AV_STATE(c)]);
  }
  if (mask & 1) seto(byte[rbp + AV_STATE(v)]);
}

void Emitter::emit_flag_arith(const Inst& i) {
  const u8 mask = flags_needed(index_);
  switch (i.op) {
    case Op::SetC:
      if (!mask) return;
      if (i.a.is_imm())
        mov(byte[rbp + AV_STATE(c)], static_cast<u8>(i.imm));
      else
        mov(byte[rbp + AV_STATE(c)], use(i, i.a, eax).cvt8());
      return;
    case Op::GetC: {
      const Reg32 d = target(i.dst, eax);
      movzx(d, byte[rbp + AV_STATE(c)]);
      return finish(i.dst, d);
    }
    case Op::SetNZCV: load_to(i, i.a, eax); return spread_flags();
    case Op::OrQ: {
      const Reg32 a = use(i, i.a, eax);
      test(a, a);
      setne(cl);
      or_(byte[rbp + AV_STATE(q)], cl);
      return;
    }
    case Op::SetNZ: {
      if (held_nz_.is_none() || held_nz_ != i.a) {
        const Reg32 a = use(i, i.a, eax);
        test(a, a);
      }
      nz_of_ = i.a;
      return store_flags(mask, HostFlags::Logic);
    }
    case Op::SetNZ64: {
      const Reg64 a = use64(i, i.a, rax);
      test(a, a);
      return store_flags(mask, HostFlags::Logic);
    }
    default: break;
  }
  if (i.op == Op::SubF && i.dst.is_none()) {
    const Reg32 a = use(i, i.a, eax);
    if (i.b.is_imm())
      cmp(a, static_cast<u32>(i.imm));
    else if (const int r = host_reg(i.b); r != k_not_pinned)
      cmp(a, Reg32(r));
    else
      cmp(a, dword[rbp + memory_offset(i.b)]);
    return store_flags(mask, HostFlags::Sub);
  }
  const Reg32 d = arithmetic(i, i.op);
  store_flags(mask, flags_kind(i));  // setcc and mov leave the host's flags
  finish(i.dst, d);
}

u8 Emitter::test_condition(arm::Cond cond) {
  if (options_.fuse_compare)
    if (const auto cc = fp_.condition(cond)) return *cc;
  const auto flag = [&](std::size_t offset) { return byte[rbp + static_cast<u32>(offset)]; };
  constexpr std::size_t n = AV_STATE(n), z = AV_STATE(z), c = AV_STATE(c), v = AV_STATE(v);
  const u8 inverted = static_cast<u8>(cond) & 1;
  switch (static_cast<u8>(cond) >> 1) {
    case 0: cmp(flag(z), 0); return 5 ^ inverted;
    case 1: cmp(flag(c), 0); return 5 ^ inverted;
    case 2: cmp(flag(n), 0); return 5 ^ inverted;
    case 3: cmp(flag(v), 0); return 5 ^ inverted;
    case 4:  // HI: C > Z as unsigned numbers
      mov(al, flag(c));
      cmp(al, flag(z));
      return 7 ^ inverted;
    case 5:
      mov(al, flag(n));
      cmp(al, flag(v));
      return 4 ^ inverted;
    case 6:
      mov(al, flag(n));
      xor_(al, flag(v));
      or_(al, flag(z));
      return 4 ^ inverted;
    default: AV_UNREACHABLE();
  }
}

/// The host condition under which the skip at index_ does not skip.
u8 Emitter::emit_skip_test(const Inst& i) {
  if (i.op == Op::SkipIf) {
    const Reg32 a = use(i, i.a, eax);
    test(a, a);
    return 4;
  }
  return emit_test(static_cast<arm::Cond>(i.attr));
}

/// The host condition that says whether `cond`, which the instruction at index_ looks at, is true.
u8 Emitter::emit_test(arm::Cond cond) {
  const FlagPlan::Step& step = plan_.flags[index_];
  int source = step.at_host;
  if (source < 0 && step.remake >= 0) {
    source = step.remake;
    make_host_flags(static_cast<u32>(source), step.from_result, !(ir::flags_read_by(static_cast<u8>(cond)) & 3));
  }
  if (source < 0) return test_condition(cond);
  u8 cc = 0;
  host_condition(flags_kind(block_->insts[static_cast<u32>(source)]), cond, cc);
  return cc;
}

void Emitter::emit_skip(const Inst& i) {
  if (i.op == Op::SkipUnless && static_cast<arm::Cond>(i.attr) == arm::Cond::AL) return;
  if (i.op == Op::SkipUnless && static_cast<arm::Cond>(i.attr) > arm::Cond::AL) {
    xmm_.skip_to(static_cast<u32>(i.imm));
    jmp(labels_[i.imm], T_NEAR);
    xmm_.unreachable();
    return;
  }
  const u8 cc = emit_skip_test(i);
  xmm_.skip_to(static_cast<u32>(i.imm));  // moves leave the host's flags
  jcc(cc ^ 1, labels_[i.imm]);
}

void Emitter::emit_side_exit(u32 index) {
  const Inst& skip = block_->insts[index];
  const Inst& exit = block_->insts[index + 1];
  const Label out = label();
  const u8 cc = emit_skip_test(skip);
  if (exit.op == Op::Goto) return emit_goto(index, cc);
  const u32 link = next_link_, from = insn_address(*block_, index);
  if (may_link_) {
    ++next_link_;
    const bool cold = plan_.flags.recovers(index) || plan_.region.is_region() || is_loop_end(out_->links[link], from);
    if (out_->links[link].same_page && !cold) return exit_direct_if(cc, out_->links[link]);
  }
  jcc(cc, out);
  add_cold([this, index, &exit, out, link, from] {
    L(out);
    recover_flags(index);
    if (may_link_)
      exit_direct(out_->links[link], from);
    else
      emit_sync_exit(exit.imm_address());
  });
}

void Emitter::recover_flags(u32 index) {
  // The host's flags of a compare are still there where a jump that it decided has gone out of the block.
  const bool leaves = plan_.flow[index].side_exit && block_->insts[index + 1].op == Op::ExitJump;
  const int at_host = leaves ? plan_.flags[index].at_host : -1;
  for (const bool from_host : {true, false})
    for (const Recovery& r : plan_.flags.recovery) {
      if (r.at != index || from_host != (static_cast<int>(r.source) == at_host)) continue;
      from_host ? store_flags(r.mask, flags_kind(block_->insts[r.source]))
                : make_flags(r.source, r.mask, r.from_result);
    }
  for (const Edge& edge : plan_.region.edges)
    for (const EdgePoint& p : edge.points) {
      if (p.at != index) continue;
      const Label other = label();
      cmp(byte[rbp + static_cast<u32>(offsetof(Context, scratch.edge))], plan_.region.edge_number(edge.skip));
      jne(other, T_NEAR);
      if (edge.saved)
        make_saved_flags(edge.source, p.mask);
      else
        make_flags(edge.source, p.mask, p.from_result);
      L(other);
    }
}

/// Stores flags of the instruction `source` anew, from its operands or its result.
void Emitter::make_flags(u32 source, u8 mask, bool from_result) {
  const Inst& i = block_->insts[source];
  if (i.op == Op::FpscrToFlags) return fp_.store_flags(mask);
  if (i.op == Op::SetC) {
    if (i.a.is_imm()) return mov(byte[rbp + AV_STATE(c)], static_cast<u8>(i.imm));
    const Inst& bit = block_->insts[static_cast<u32>(plan_.registers.temps[i.a.temp_number()].def)];
    load_to(bit, bit.a, edx);
    if (const u32 n = bit.imm & 31) shr(edx, static_cast<int>(n));
    and_(edx, 1);
    mov(byte[rbp + AV_STATE(c)], dl);
    return;
  }
  make_host_flags(source, from_result, !(mask & 3));
  store_flags(mask, flags_kind(i));
}

/// As make_flags, when the operands are in Scratch::flag_operands.
void Emitter::make_saved_flags(u32 source, u8 mask) {
  const Inst& i = block_->insts[source];
  const u32 saved = static_cast<u32>(offsetof(Context, scratch.flag_operands));
  mov(edx, dword[rbp + saved]);
  if (i.op == Op::SetNZ)
    test(edx, edx);
  else if (i.b.is_imm())
    i.op == Op::SubF ? cmp(edx, static_cast<u32>(i.imm)) : add(edx, static_cast<u32>(i.imm));
  else
    i.op == Op::SubF ? cmp(edx, dword[rbp + saved + 4]) : add(edx, dword[rbp + saved + 4]);
  store_flags(mask, flags_kind(i));
}

/// Only what edx and ecx hold is lost. `nz_only`: CF and OF do not matter.
void Emitter::make_host_flags(u32 source, bool from_result, bool nz_only) {
  const Inst& i = block_->insts[source];
  if (i.op == Op::SetNZ || (from_result && nz_only)) {
    const Value v = from_result ? i.dst : i.a;
    const Reg32 r = use(i, v, edx);
    test(r, r);
    return;
  }
  if (i.op == Op::SubF && !from_result) {
    const Reg32 a = use(i, i.a, edx);
    if (i.b.is_imm())
      cmp(a, static_cast<u32>(i.imm));
    else
      cmp(a, use(i, i.b, ecx));
    return;
  }
  if (i.op == Op::SubF && from_result && host_reg(i.b) != k_not_pinned && host_reg(i.dst) != k_not_pinned) {
    const Reg32 b(host_reg(i.b)), d(host_reg(i.dst));
    lea(edx, ptr[d.cvt64() + b.cvt64()]);
    cmp(edx, b);
    return;
  }
  load_to(i, i.b, ecx);
  load_to(i, from_result ? i.dst : i.a, edx);
  if (from_result) i.op == Op::SubF ? add(edx, ecx) : sub(edx, ecx);
  i.op == Op::SubF ? cmp(edx, ecx) : add(edx, ecx);
}

void Emitter::emit_condition_value(const Inst& i) {
  const auto cond = static_cast<arm::Cond>(i.imm);
  const Reg32 d = target(i.dst, eax);
  if (cond >= arm::Cond::AL) {
    mov(d, 1);
  } else {
    setcc(emit_test(cond), al);
    movzx(d, al);
  }
  finish(i.dst, d);
}

void Emitter::emit_compare(const Inst& i) {
  if (i.op == Op::CondValue) return emit_condition_value(i);
  if (i.op == Op::Select) {
    load_to(i, i.c, ecx);
    load_to(i, i.b, edx);
    const Reg32 a = use(i, i.a, eax);
    test(a, a);
    cmovnz(ecx, edx);
    return finish(i.dst, ecx);
  }
  load_to(i, i.b, ecx);
  const Reg32 a = use(i, i.a, eax);
  cmp(a, ecx);
  setcc(i.op == Op::CmpEq ? 4 : i.op == Op::CmpLtU ? 2 : 12, al);
  movzx(eax, al);
  finish(i.dst, eax);
}

/// N, Z, C, V from bits 31:28 of eax.
void Emitter::spread_flags() {
  const std::size_t flags[] = {AV_STATE(v), AV_STATE(c), AV_STATE(z), AV_STATE(n)};
  shr(eax, 28);
  for (const std::size_t flag : flags) {
    mov(ecx, eax);
    and_(ecx, 1);
    mov(byte[rbp + static_cast<u32>(flag)], cl);
    shr(eax, 1);
  }
}

}  // namespace armvisor::engine::jit
