#include "engine/jit/x64/exits.h"

#include "engine/jit/side_tables.h"

namespace armvisor::engine::jit {

void Exits::begin_block(Link* links) {
  links_ = links;
  may_link_ = exits_may_link(*at_.block);
  link_numbers_.clear();
  u16 number = 0;
  for (u32 k = 0; k < at_.block->insts.size(); ++k) {
    link_numbers_.push_back(number);
    if (has_link(*at_.block, k)) ++number;
  }
}

void Exits::set_pc(ir::Address pc) {
  code_.mov(context_guest(15), pc.value);
  code_.note_address(pc);
}

void Exits::jump(Link* link, ir::Address pc, u32 from) {
  if (!link) return sync(pc);
  const Label unlinked = code_.label();
  calls_.park();
  if (closes_loop(*link, from)) count_loop(*link);
  if (link->same_page) {
    link->patch = align_displacement(1);
    code_.jmp(unlinked, Code::T_NEAR);
  } else {
    jump_to_other_page(*link, unlinked);
  }
  leave_unlinked(*link, unlinked);
}

void Exits::jump_if(u8 cc, Link& link) {
  const Label unlinked = code_.label();
  link.patch = align_displacement(2);
  code_.jcc(cc, unlinked);
  leave_unlinked(link, unlinked);
}

void Exits::sync(ir::Address pc) {
  calls_.park();
  set_pc(pc);
  code_.jump_to(stubs_.sync);
}

void Exits::leave(Leave why) {
  calls_.park();
  calls_.name_uop();
  const ScratchEax eax(code_.scratch);
  code_.mov(eax, static_cast<u32>(why));
  code_.jump_to(stubs_.leave_at);
}

void Exits::load(const ScratchEdx& edx, const Link& link) {
  code_.load_pointer(edx.cvt64(), Reloc::Kind::Link, number_of(link));
}

/// The page's translation is compared with the linked block's each time. At `unlinked` rdx is the link.
void Exits::jump_to_other_page(const Link& link, Label unlinked) {
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  const ScratchEdx edx(code_.scratch);
  const Xbyak::Reg64 exec = eax.cvt64(), target = ecx.cvt64();
  load(edx, link);
  code_.mov(target, code_.ptr[edx.cvt64() + offsetof(Link, target)]);
  code_.test(target, target);
  code_.jz(unlinked, Code::T_NEAR);
  code_.mov(exec, context64(AV_CONTEXT(dispatch.now.exec)));
  code_.db(0x48), code_.db(0x8b), code_.db(0x80);  // mov rax, [rax + disp32], whatever the displacement
  code_.note(Reloc::Kind::ExecEntry, code_.getSize(), number_of(link));
  code_.dd(0);
  code_.cmp(exec, code_.ptr[target + offsetof(Block, exec_id)]);
  code_.jne(unlinked, Code::T_NEAR);
  code_.jmp(code_.ptr[target + offsetof(Block, host)]);
}

void Exits::count_loop(const Link& link) {
  const Label hot = code_.label();
  code_.db(0x83), code_.db(0xad);  // sub dword [rbp + disp32], 1
  code_.note(Reloc::Kind::Heat, code_.getSize(), number_of(link));
  code_.dd(0);
  code_.db(1);
  code_.js(hot, Code::T_NEAR);
  cold_.add([this, hot, pc = link.pc] {
    code_.L(hot);
    set_pc(ir::Address::of_pc(pc));
    code_.jump_to(stubs_.hot);
  });
}

/// Where the displacement of a jump emitted next will be, behind `opcode_bytes` bytes.
u8* Exits::align_displacement(std::size_t opcode_bytes) {
  const std::size_t at = reinterpret_cast<std::size_t>(code_.getCurr()) + opcode_bytes;
  code_.nop((4 - at % 4) % 4);
  return const_cast<u8*>(code_.getCurr()) + opcode_bytes;
}

void Exits::leave_unlinked(Link& link, Label unlinked) {
  cold_.add([this, unlinked, &link] {
    code_.L(unlinked);
    if (link.patch) {
      link.unlinked = static_cast<s32>(code_.getCurr() - (link.patch + 4));
      const ScratchEdx edx(code_.scratch);
      load(edx, link);
    }
    code_.jump_to(stubs_.unlinked);
  });
}

}  // namespace armvisor::engine::jit
