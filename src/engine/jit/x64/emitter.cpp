#include "engine/jit/x64/emitter.h"

#include "base/assert.h"
#include "engine/jit/side_tables.h"
#include "frontend/translate.h"

namespace armvisor::engine::jit {

/// What another block left here goes.
void Emitter::begin(const ir::Block& block, Block& out) {
  block_ = &block;
  out_ = &out;
  index_ = next_link_ = emitted_until_ = 0;
  window_accesses_.clear();
  window_colds_.clear();
  in_window_ = false;
  window_table_ = 0;
  nz_of_ = {};
  cold_.clear();
  slow_xmm_.clear();
  xmm_ = {};
  cold_dirty_.reset();
  reached_ = true;
  compared_ = -1;
  labels_.clear();
  for (u32 k = 0; k < block.label_count; ++k) labels_.push_back(label());
  heads_.clear();
  for (u32 k = 0; k < block.head_count; ++k) heads_.push_back(label());
  may_link_ = exits_may_link(block);
  uop_index_.assign(block.insts.size(), 0);
  for (u32 k = 0, uops = 1; k < block.insts.size(); ++k)
    if (needs_uop(block.insts[k])) uop_index_[k] = uops++;
}

std::size_t Emitter::compile(u8* at, std::size_t capacity, const ir::Block& block, Block& out, Relocs& relocs) {
  start(at, capacity);
  relocs_ = &relocs;
  begin(block, out);
  begin_xmm_state();
  const Label attention = label();
  linked_entry_ = 0;
  if (straddles(block)) emit_linked_entry();
  cmp(dword[rbp + offsetof(Context, dispatch.attention)], 0);
  jne(attention, T_NEAR);
  if (out.key & k_key_fp) {
    const Label other = label();
    cmp(dword[rbp + offsetof(Context, dispatch.now.fp)], out.key & frontend::Context::k_fp_key);
    jne(other, T_NEAR);
    add_cold([this, other] {
      L(other);
      leave_from_entry(stubs_.lookup);
    });
  }
  if (options_.count_instructions && !plan_.region.is_region())
    add(qword[rbp + offsetof(Context, dispatch.instructions)], block.insn_count);
  for (const Copy& c : plan_.registers.copies)
    if (c.owner >= 0) mov(guest(static_cast<u32>(c.owner)), Reg32(c.host));
  if (plan_.region.has_edges(0)) mov(byte[rbp + offsetof(Context, scratch.edge)], 0);
  load_copies();
  load_units();
  add_cold([this, attention] {
    L(attention);
    leave_from_entry(stubs_.attention);
  });
  for (index_ = 0; index_ < block.insts.size();) {
    const Inst& i = block.insts[index_];
    if (plan_.dead[index_] || index_ < emitted_until_) {
      ++index_;
      continue;
    }
    held_nz_ = nz_of_;
    if (i.op != Op::Insn && i.op != Op::SetC) nz_of_ = {};
    if (is_access(i.op)) {
      index_ += emit_access(index_);
    } else if (plan_.flow[index_].side_exit) {
      emit_side_exit(index_);
      index_ += 2;  // the label may be another skip's too
    } else {
      emit(i);
      ++index_;
    }
  }
  for (std::size_t k = 0; k < cold_.size(); ++k) {
    const Cold cold = cold_[k];  // which may add more
    cold_dirty_ = cold.dirty;
    cold.emit(cold.closure);
  }
  finish_code();
  emit_window_table();
  return getSize();
}

/// Code that enters the block by a link or from the jump cache has seen to the translation of its first page only.
void Emitter::emit_linked_entry() {
  const Label entry = label();
  L(entry);
  add_cold([this, entry] {
    linked_entry_ = getSize();
    const u32 second = align_up(block_->pc + 1, k_page_size);
    mov(rax, ptr[rbp + offsetof(Context, dispatch.now.exec)]);
    mov(rax, ptr[rax + 8 * ((second >> k_page_bits) % mmu::k_exec_entries)]);
    load_pointer(rcx, Reloc::Kind::SecondPage);
    cmp(rax, ptr[rcx]);
    je(entry, T_NEAR);
    leave_from_entry(stubs_.lookup);
  });
}

/// Before anything of the block has run.
void Emitter::leave_from_entry(std::size_t stub_for_it) {
  set_pc(ir::Address::of_pc(block_->pc));
  // Who entered the block took ITSTATE out of the state; it must be found there again.
  if (const u8 it = frontend::Context::it_of(out_->key)) mov(byte[rbp + AV_STATE(it)], it);
  jump_to(stub_for_it);
}

// --- what depends on where the block is

void Emitter::note(Reloc::Kind kind, std::size_t at, std::size_t of) {
  relocs_->push_back({static_cast<u32>(at), static_cast<u16>(of), kind});
}

/// The instruction that was emitted last ends with `a`, in 32 bits.
void Emitter::note_address(ir::Address a) {
  if (a.moves) note(Reloc::Kind::Pc, getSize() - 4);
}

void Emitter::move_address(const Reg32& d, ir::Address a) {
  mov(d, a.value);
  note_address(a);
}

/// d = base + a.
void Emitter::lea_address(const Reg32& d, const Reg32& base, ir::Address a) {
  constexpr u32 k_any = 0x7fffffff;  // a displacement that takes 32 bits
  lea(d, ptr[base.cvt64() + k_any]);
  rewrite(getSize() - 4, a.value, 4);
  note_address(a);
}

/// d = the address that the relocation stands for.
void Emitter::load_pointer(const Reg64& d, Reloc::Kind kind, std::size_t of) {
  AV_ASSERT(d.getIdx() < 8);
  db(0x48), db(0xb8 | d.getIdx());  // mov d, imm64, whatever the value
  note(kind, getSize(), of);
  dq(0);
}

void Emitter::displacement_to(std::size_t stub) {
  note(Reloc::Kind::Stub, getSize(), stub);
  dd(0);
}

void Emitter::jump_to(std::size_t stub) {
  db(0xe9);
  displacement_to(stub);
}

void Emitter::jump_to_if(u8 cc, std::size_t stub) {
  db(0x0f), db(0x80 | cc);
  displacement_to(stub);
}

void Emitter::call_stub(std::size_t stub) {
  db(0xe8);
  displacement_to(stub);
}

// --- operands

u32 Emitter::memory_offset(Value v) const {
  return v.is_reg() ? static_cast<u32>(AV_STATE(r) + 4 * v.reg_number()) : frame_offset(v);
}

void Emitter::load_to(const Inst& i, Value v, const Reg32& d) {
  const int r = host_reg(v);
  if (v.is_imm())
    move_address(d, i.imm_address());
  else if (r == k_not_pinned)
    mov(d, dword[rbp + memory_offset(v)]);
  else if (r != d.getIdx())
    mov(d, Reg32(r));
}

void Emitter::load_to64(const Inst& i, Value v, const Reg64& d) {
  const int r = host_reg(v);
  if (v.is_imm())
    mov(d, i.imm);
  else if (r == k_not_pinned)
    mov(d, qword[rbp + memory_offset(v)]);
  else if (r != d.getIdx())
    mov(d, Reg64(r));
}

Emitter::Reg32 Emitter::use(const Inst& i, Value v, const Reg32& scratch) {
  const int r = host_reg(v);
  if (r != k_not_pinned) return Reg32(r);
  load_to(i, v, scratch);
  return scratch;
}

Emitter::Reg64 Emitter::use64(const Inst& i, Value v, const Reg64& scratch) {
  const int r = host_reg(v);
  if (r != k_not_pinned) return Reg64(r);
  load_to64(i, v, scratch);
  return scratch;
}

Emitter::Reg32 Emitter::target(Value dst, const Reg32& scratch) const {
  const int r = host_reg(dst);
  return r == k_not_pinned ? scratch : Reg32(r);
}

Emitter::Reg64 Emitter::target64(Value dst, const Reg64& scratch) const {
  const int r = host_reg(dst);
  return r == k_not_pinned ? scratch : Reg64(r);
}

void Emitter::finish(Value dst, const Reg32& r) {
  if (dst.is_none()) return;
  const int d = host_reg(dst);
  if (d != k_not_pinned && d != r.getIdx()) mov(Reg32(d), r);
  if (d == k_not_pinned || (plan_.registers.is_copy(dst) && !plan_.region.is_region())) mov(dword[rbp + memory_offset(dst)], r);
}

void Emitter::finish64(Value dst, const Reg64& r) {
  if (dst.is_none()) return;
  const int d = host_reg(dst);
  if (d == k_not_pinned)
    mov(qword[rbp + memory_offset(dst)], r);
  else if (d != r.getIdx())
    mov(Reg64(d), r);
}

// --- dispatch by class

void Emitter::emit(const Inst& i) {
  if (!plan_.flow[index_].in_place) {
    spill_xmm();
    if (!emit_system(i)) emit_helper(i);
    return;
  }
  if ((ir::info(i.op).effects & ir::FlagsW) && i.op != Op::FpscrToFlags) compared_ = -1;
  switch (i.op) {
    case Op::Mov: return is_xmm(i.dst) ? emit_vector_pack(i) : emit_unary(i);
    case Op::Not:
    case Op::Rrx:
    case Op::Clz:
    case Op::Rbit:
    case Op::Rev:
    case Op::Rev16:
    case Op::Revsh:
    case Op::SExt8:
    case Op::SExt16:
    case Op::ZExt8:
    case Op::ZExt16: return emit_unary(i);
    case Op::Mov64: return is_xmm(i.dst) ? emit_vector_pack(i) : emit_move64(i);
    case Op::Pack64:
    case Op::Lo32:
    case Op::Hi32:
    case Op::ZExt64:
    case Op::SExt64: return emit_move64(i);
    case Op::Add:
    case Op::Sub:
    case Op::And:
    case Op::Or:
    case Op::Xor:
    case Op::AndNot:
    case Op::Mul:
    case Op::MulHiS:
    case Op::Adc:
    case Op::Sbc: return emit_binary(i);
    case Op::SDiv:
    case Op::UDiv: return emit_divide(i);
    case Op::Shl:
    case Op::Shr:
    case Op::Sar:
    case Op::Ror: return emit_shift(i);
    case Op::ShlReg:
    case Op::ShrReg:
    case Op::SarReg:
    case Op::RorReg: return emit_shift_reg(i);
    case Op::ShlCarry:
    case Op::ShrCarry:
    case Op::SarCarry:
    case Op::RorCarry: return emit_carry(i);
    case Op::AddF:
    case Op::SubF:
    case Op::AdcF:
    case Op::SbcF:
    case Op::SetNZ:
    case Op::SetNZ64:
    case Op::SetC:
    case Op::SetNZCV:
    case Op::GetC:
    case Op::OrQ: return emit_flag_arith(i);
    case Op::CondValue:
    case Op::Select:
    case Op::CmpEq:
    case Op::CmpLtU:
    case Op::CmpLtS: return emit_compare(i);
    case Op::AddOverflow:
    case Op::QAdd:
    case Op::QSub:
    case Op::SSat:
    case Op::USat:
    case Op::Parallel:
    case Op::Sel: return emit_dsp(i);
    case Op::SBfx:
    case Op::UBfx:
    case Op::Bfi: return emit_field(i);
    case Op::Add64:
    case Op::Sub64:
    case Op::MulU64:
    case Op::MulS64:
    case Op::Shl64:
    case Op::Shr64:
    case Op::Sar64: return emit_arith64(i);
    case Op::ReadFpexc: {
      const Reg32 d = target(i.dst, eax);
      mov(d, dword[rbp + AV_STATE(fpexc)]);
      return finish(i.dst, d);
    }
    case Op::GetS:
    case Op::GetD:
    case Op::GetVD:
    case Op::GetQ: return emit_get(i);
    case Op::SetS:
    case Op::SetD:
    case Op::SetVD:
    case Op::SetQ: return emit_set(i);
    case Op::MovV:
    case Op::VLo:
    case Op::VHi: return emit_vector_half(i);
    case Op::VPack: return emit_vector_pack(i);
    case Op::VGetLane:
    case Op::VSetLane:
    case Op::VDup: return emit_lane(i);
    case Op::Vector: return emit_vector(i);
    case Op::FNeg32:
    case Op::FAbs32:
    case Op::FNeg64:
    case Op::FAbs64: return emit_fp_sign(i);
    case Op::FpscrToFlags: return emit_fpscr_to_flags();
    case Op::Insn: return;
    case Op::Head: return emit_head(i);
    case Op::Goto:
      emit_goto(index_, {});
      reached_ = false;
      return;
    case Op::SkipIf:
    case Op::SkipUnless: return emit_skip(i);
    case Op::Label:
      note_label(static_cast<u32>(i.imm));
      L(labels_[i.imm]);
      return;
    default: break;
  }
  if (!(ir::info(i.op).effects & ir::Exit)) return emit_fp(i);
  emit_exit(i);
  reached_ = false;
}

/// rdx = the uop that stands for the current instruction, which knows its block.
void Emitter::name_uop() {
  load_pointer(rdx, Reloc::Kind::Uop, uop_index_[index_]);
}

void Emitter::call_service(Service s, bool keep_xmm) {
  park();
  call_stub((keep_xmm ? stubs_.service_keeping_xmm : stubs_.service)[static_cast<u32>(s)]);
  if (plan_.region.is_region() || s == Service::Helper || s == Service::Trap) load_copies();  // it may have written any register
}

/// A constant operand of a helper goes to memory as the others do.
void Emitter::place_constant(const Inst& i) {
  if (!i.a.is_imm() && !i.b.is_imm() && !i.c.is_imm()) return;
  mov(rax, i.imm);
  mov(qword[rbp + temp_offset(k_constant_temp)], rax);
}

void Emitter::emit_helper(const Inst& i) {
  if (plan_.flow[index_].leaves) return emit_world_switch(i);
  place_constant(i);
  name_uop();
  call_service(ir::info(i.op).effects & ir::Trap ? Service::Trap : Service::Helper);
}

// --- exits

/// Leaves for `why`, with Dispatch::at naming this instruction.
void Emitter::emit_leave(Leave why) {
  park();
  name_uop();
  mov(eax, static_cast<u32>(why));
  jump_to(stubs_.leave_at);
}

void Emitter::emit_sync_exit(ir::Address pc) {
  park();
  set_pc(pc);
  jump_to(stubs_.sync);
}

void Emitter::set_pc(ir::Address pc) {
  mov(dword[rbp + AV_STATE(r) + 60], pc.value);
  note_address(pc);
}

void Emitter::load_link(const Link& link) { load_pointer(rdx, Reloc::Kind::Link, link_number(link)); }

/// A direct exit through `link`. Within the page it is a jump that the code cache links to the target's code; the
/// displacement is 4-byte aligned, so that it can be changed while other vCPUs run through it. To another page, the
/// translation of that page is checked against the linked block each time.
void Emitter::exit_direct(Link& link, u32 from) {
  const Label unlinked = label();
  park();
  if (is_loop_end(link, from)) count_loop(link);
  if (link.same_page) {
    link.patch = align_displacement(1);
    jmp(unlinked, T_NEAR);
  } else {
    load_link(link);
    mov(rcx, ptr[rdx + offsetof(Link, target)]);
    test(rcx, rcx);
    jz(unlinked, T_NEAR);
    mov(rax, ptr[rbp + offsetof(Context, dispatch.now.exec)]);
    db(0x48), db(0x8b), db(0x80);  // mov rax, [rax + disp32], whatever the displacement
    note(Reloc::Kind::ExecEntry, getSize(), link_number(link));
    dd(0);
    cmp(rax, ptr[rcx + offsetof(Block, exec_id)]);
    jne(unlinked, T_NEAR);
    jmp(ptr[rcx + offsetof(Block, host)]);
  }
  leave_unlinked(link, unlinked);
}

/// The jump from `from` closes a loop that may be worth a region.
bool Emitter::is_loop_end(const Link& link, u32 from) const {
  return options_.regions && link.same_page && link.pc <= from;
}

void Emitter::count_loop(const Link& link) {
  const Label hot = label();
  db(0x83), db(0xad);  // sub dword [rbp + disp32], 1
  note(Reloc::Kind::Heat, getSize(), link_number(link));
  dd(0);
  db(1);
  js(hot, T_NEAR);
  add_cold([this, hot, pc = link.pc] {
    L(hot);
    set_pc(ir::Address::of_pc(pc));
    jump_to(stubs_.hot);
  });
}

/// Where the displacement of a jump emitted next will be, behind `opcode_bytes` bytes: a multiple of 4.
u8* Emitter::align_displacement(std::size_t opcode_bytes) {
  const std::size_t at = reinterpret_cast<std::size_t>(getCurr()) + opcode_bytes;
  nop((4 - at % 4) % 4);
  return const_cast<u8*>(getCurr()) + opcode_bytes;
}

/// As exit_direct, when `cc` holds; the link is to the same page.
void Emitter::exit_direct_if(u8 cc, Link& link) {
  const Label unlinked = label();
  link.patch = align_displacement(2);
  jcc(cc, unlinked);
  leave_unlinked(link, unlinked);
}

void Emitter::leave_unlinked(Link& link, Label unlinked) {
  add_cold([this, unlinked, &link] {
    L(unlinked);
    if (link.patch) link.unlinked = static_cast<s32>(getCurr() - (link.patch + 4));
    if (link.patch) load_link(link);  // elsewhere it is there
    jump_to(stubs_.unlinked);
  });
}

void Emitter::emit_exit(const Inst& i) {
  recover_flags(index_);
  switch (i.op) {
    case Op::ExitSwitch: xor_(dword[rbp + AV_STATE(psr)], arm::k_psr_t); [[fallthrough]];
    case Op::ExitJump:
    case Op::ExitCall:
      return may_link_ ? exit_direct(out_->links[next_link_++], insn_address(*block_, index_))
                       : emit_sync_exit(i.imm_address());
    case Op::ExitIndirect:
    case Op::ExitInterwork: return emit_indirect(i);
    case Op::ExitSync:
      if (index_ > 0 && write_cpsr_links(*block_, index_ - 1)) ++next_link_;
      return emit_sync(i);
    case Op::ExitReturn:
      if (emit_return(i)) return;
      spill_xmm();
      return emit_world_switch(i);
    case Op::ExitUndefined: return emit_leave(Leave::Undefined);
    case Op::ExitSvc: return emit_supervisor_call(i) ? void() : emit_leave(Leave::Svc);
    case Op::ExitBkpt: return emit_leave(Leave::Bkpt);
    case Op::ExitHvc: return emit_leave(Leave::Hvc);
    case Op::ExitSmc: return emit_leave(Leave::Smc);
    case Op::ExitWfi: return emit_leave(Leave::Wfi);
    case Op::ExitWfe: return emit_leave(Leave::Wfe);
    case Op::ExitYield: return emit_leave(Leave::Yield);
    default: AV_UNREACHABLE();
  }
}

}  // namespace armvisor::engine::jit
