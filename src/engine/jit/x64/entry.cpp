#include "engine/jit/x64/entry.h"

#include "engine/jit/side_tables.h"
#include "frontend/translate.h"

namespace armvisor::engine::jit {

void Entry::emit() {
  linked_ = 0;
  const Label attention = code_.label();
  if (straddles(*at_.block)) check_second_page();
  code_.cmp(context32(AV_CONTEXT(dispatch.attention)), 0);
  code_.jne(attention, Code::T_NEAR);
  if (at_.key & k_key_fp) check_fp();
  if (count_instructions_ && !at_.in_region())
    code_.add(context64(AV_CONTEXT(dispatch.instructions)), at_.block->insn_count);
  for (const Copy& c : at_.plan.registers.copies)
    if (c.owner >= 0) code_.mov(context_guest(static_cast<u32>(c.owner)), Xbyak::Reg32(c.host));
  if (at_.plan.region.has_edges(0)) code_.mov(context8(AV_CONTEXT(scratch.edge)), 0);
  calls_.load_copies();
  xmm_.load_units();
  cold_.add([this, attention] {
    code_.L(attention);
    leave(stubs_.attention);
  });
}

/// Code that enters the block by a link or from the jump cache has seen to the translation of its first page only.
void Entry::check_second_page() {
  const Label entry = code_.label();
  code_.L(entry);
  cold_.add([this, entry] {
    linked_ = code_.getSize();
    const u32 second = align_up(at_.block->pc + 1, k_page_size);
    const ScratchEax eax(code_.scratch);
    const ScratchEcx ecx(code_.scratch);
    const Xbyak::Reg64 exec = eax.cvt64(), id = ecx.cvt64();
    code_.mov(exec, context64(AV_CONTEXT(dispatch.now.exec)));
    code_.mov(exec, code_.ptr[exec + 8 * ((second >> k_page_bits) % mmu::k_exec_entries)]);
    code_.load_pointer(id, Reloc::Kind::SecondPage);
    code_.cmp(exec, code_.ptr[id]);
    code_.je(entry, Code::T_NEAR);
    leave(stubs_.lookup);
  });
}

void Entry::check_fp() {
  const Label other = code_.label();
  code_.cmp(context32(AV_CONTEXT(dispatch.now.fp)), at_.key & frontend::Context::k_fp_key);
  code_.jne(other, Code::T_NEAR);
  cold_.add([this, other] {
    code_.L(other);
    leave(stubs_.lookup);
  });
}

/// Who entered the block took ITSTATE out of the state; it must be found there again.
void Entry::leave(std::size_t stub) {
  exits_.set_pc(ir::Address::of_pc(at_.block->pc));
  if (const u8 it = frontend::Context::it_of(at_.key)) code_.mov(context8(AV_STATE(it)), it);
  code_.jump_to(stub);
}

}  // namespace armvisor::engine::jit
