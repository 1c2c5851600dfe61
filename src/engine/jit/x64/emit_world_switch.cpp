// Sensitive instructions that generated code leaves to the dispatcher: all of the guest's state goes to the context and
// the code cache is left for good, or until Backend::resume.
#include "engine/jit/x64/emitter.h"
#include "frontend/translate.h"

namespace armvisor::engine::jit {
namespace {

bool is_sensitive(ir::Op op) {
  using ir::Op;
  switch (op) {
    case Op::ReadCpsr:
    case Op::WriteCpsr:
    case Op::ReadSpsr:
    case Op::WriteSpsr:
    case Op::ReadModeReg:
    case Op::WriteModeReg:
    case Op::ReadSys:
    case Op::ReadSys64:
    case Op::WriteSys:
    case Op::WriteSys64:
    case Op::ReadFpexc:
    case Op::WriteFpexc:
    case Op::ExitReturn: return true;
    default: return false;
  }
}

}  // namespace

/// The operation at `index` is one that world switches are for. What User mode may do is not.
bool Emitter::may_trap(u32 index) const {
  return options_.world_switches && frontend::Context::privileged_of(out_->key) &&
         is_sensitive(block_->insts[index].op);
}

/// An instruction traps once, with the last of its sensitive operations.
bool Emitter::precedes_trap(u32 index) const {
  const auto& insts = block_->insts;
  if (!is_sensitive(insts[index].op)) return false;
  for (u32 k = index + 1; k < insts.size() && insts[k].op != Op::Insn; ++k)
    if (is_sensitive(insts[k].op)) return true;
  return false;
}

/// The operation at `index` goes to the dispatcher if there is no code in place for it.
bool Emitter::leaves(u32 index) const { return may_trap(index) && !precedes_trap(index); }

/// The helper of `i`, run by the dispatcher. When the block ends there, the dispatcher goes on by itself.
void Emitter::emit_world_switch(const Inst& i) {
  const Inst* const next = index_ + 1 < block_->insts.size() ? &block_->insts[index_ + 1] : nullptr;
  const bool last = i.op == Op::ExitReturn || (next && next->op == Op::ExitSync);
  if (last && i.op != Op::ExitReturn) recover_flags(index_ + 1);
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
