// Sensitive instructions that generated code leaves to the dispatcher: all of the guest's state goes to the context and
// the code cache is left for good, or until Backend::resume.
#include "engine/jit/x64/emitter.h"
#include "frontend/translate.h"

namespace armvisor::engine::jit {

/// The helper of `i`, run by the dispatcher. When the block ends there, the dispatcher goes on by itself.
void Emitter::emit_world_switch(const Inst& i) {
  const Inst* const next = index_ + 1 < block_->insts.size() ? &block_->insts[index_ + 1] : nullptr;
  const bool last = i.op == Op::ExitReturn || (next && next->op == Op::ExitSync);
  if (last && i.op != Op::ExitReturn) flags_.recover(index_ + 1);
  place_constant(i);
  park();
  name_uop();
  if (last) {
    if (i.op != Op::ExitReturn) set_pc(next->imm_address());
    mov(eax, static_cast<u32>(Leave::EmulateLast));
    jump_to(stubs_.leave_at);
    return;
  }
  const Label resume = label();
  load_address(rax, resume);
  jump_to(stubs_.world_switch);
  L(resume);
  mov(r14, ptr[rbp + offsetof(Context, scratch.lent[0])]);
  mov(r15, ptr[rbp + offsetof(Context, scratch.lent[1])]);
  load_copies();
}

}  // namespace armvisor::engine::jit
