// Regions: control between the blocks that are compiled as one.
#include <algorithm>

#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {

void Emitter::emit_head(const Inst& i) {
  L(heads_[i.imm]);
  if (options_.count_instructions) add(qword[rbp + static_cast<u32>(offsetof(Context, dispatch.instructions))], i.disp);
  xmm_.head();
  fp_.forget_comparison();
}

/// The Goto at `index`, or when the host's condition `cc` holds the one behind the skip at `index`. A way back looks
/// for interrupts.
void Emitter::emit_goto(u32 index, std::optional<u8> cc) {
  const u32 at = cc ? index + 1 : index;
  const auto head = static_cast<u32>(block_->insts[at].imm);
  const bool back = plan_.region.heads[head].at <= at;
  const Label over = label();
  if (!back && (!plan_.region.has_edges(head) || plan_.region.passes(index)) && !plan_.region.stores_at(index) &&
      xmm_.units_in_place()) {
    if (cc) return jcc(*cc, heads_[head]);
    if (plan_.region.heads[head].at != at + 1) jmp(heads_[head], T_NEAR);
    return;
  }
  if (cc) jcc(*cc ^ 1, over);
  const XmmCache behind = xmm_.cache;
  xmm_.place_units(true);
  flags_.go_to_head(index, head);
  if (back) {
    const Label attention = label();
    cmp(dword[rbp + static_cast<u32>(offsetof(Context, dispatch.attention))], 0);
    je(heads_[head], T_NEAR);
    jmp(attention, T_NEAR);
    add_cold([this, attention, index, head] {
      L(attention);
      flags_.recover(index);
      park();
      set_pc(ir::Address::of_pc(static_cast<u32>(block_->insts[plan_.region.heads[head].at + 1].imm)));
      jump_to(stubs_.attention);
    });
  } else if (cc || plan_.region.heads[head].at != at + 1) {
    jmp(heads_[head], T_NEAR);
  }
  L(over);
  xmm_.cache = behind;
}

}  // namespace armvisor::engine::jit
