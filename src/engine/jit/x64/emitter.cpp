#include "engine/jit/x64/emitter.h"

#include "base/assert.h"
#include "engine/jit/side_tables.h"
#include "engine/jit/x64/plan/in_place.h"
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
  labels_.clear();
  for (u32 k = 0; k < block.label_count; ++k) labels_.push_back(label());
  heads_.clear();
  for (u32 k = 0; k < block.head_count; ++k) heads_.push_back(label());
  may_link_ = exits_may_link(block);
  xmm_.begin_block();
  cold_.begin_block();
  calls_.begin_block();
  accesses_.begin_block();
  fp_.begin_block();
  flags_.begin_block();
}

std::size_t Emitter::compile(u8* at, std::size_t capacity, const ir::Block& block, Block& out, Relocs& relocs) {
  start(at, capacity, relocs);
  begin(block, out);
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
  xmm_.load_units();
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
  cold_.emit_all();
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

// --- dispatch by class

void Emitter::emit(const Inst& i) {
  if (!plan_.flow[index_].in_place) {
    xmm_.spill();
    if (!emit_system(i)) emit_helper(i);
    return;
  }
  switch (i.op) {
    case Op::Mov:
    case Op::Mov64: return xmm_.holds(i.dst) ? extension_.emit_pack(i) : integers_.emit(i);
    case Op::SetNZ:
    case Op::SetNZ64:
    case Op::SetC:
    case Op::SetNZCV:
    case Op::GetC:
    case Op::OrQ:
    case Op::CondValue:
    case Op::FpscrToFlags: return flags_.emit(i);
    case Op::AddOverflow:
    case Op::QAdd:
    case Op::QSub:
    case Op::SSat:
    case Op::USat:
    case Op::Parallel:
    case Op::Sel: return dsp_.emit(i);
    case Op::ReadFpexc: {
      const Reg32 d = target(i.dst, eax);
      mov(d, dword[rbp + AV_STATE(fpexc)]);
      return finish(i.dst, d);
    }
    case Op::GetS:
    case Op::GetD:
    case Op::GetVD:
    case Op::GetQ: return extension_.emit_get(i);
    case Op::SetS:
    case Op::SetD:
    case Op::SetVD:
    case Op::SetQ: return extension_.emit_set(i);
    case Op::MovV:
    case Op::VLo:
    case Op::VHi: return extension_.emit_half(i);
    case Op::VPack: return extension_.emit_pack(i);
    case Op::VGetLane:
    case Op::VSetLane:
    case Op::VDup: return vector_.emit_lane(i);
    case Op::Vector: return vector_.emit(i);
    case Op::FNeg32:
    case Op::FAbs32:
    case Op::FNeg64:
    case Op::FAbs64: return fp_.emit_sign(i);
    case Op::Insn: return;
    case Op::Head: return emit_head(i);
    case Op::Goto:
      emit_goto(index_, {});
      xmm_.unreachable();
      return;
    case Op::SkipIf:
    case Op::SkipUnless: return emit_skip(i);
    case Op::Label:
      xmm_.label(static_cast<u32>(i.imm));
      L(labels_[i.imm]);
      return;
    default: break;
  }
  if (!(ir::info(i.op).effects & ir::Exit)) return is_fp(i.op) ? fp_.emit(i) : integers_.emit(i);
  emit_exit(i);
  xmm_.unreachable();
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
  flags_.recover(index_);
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
      xmm_.spill();
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
