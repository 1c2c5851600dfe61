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

/// What code behind `head` must find when control comes the way that begins at `skip`.
void Emitter::note_edge(u32 skip, u32 head) {
  for (const Recovery& r : plan_.region.stores)
    if (r.at == skip) make_flags(r.source, r.mask, r.from_result);
  for (const Edge& e : plan_.region.edges) {
    if (!e.saved || e.skip != skip) continue;
    const Inst& i = block_->insts[e.source];
    const u32 saved = static_cast<u32>(offsetof(Context, scratch.flag_operands));
    mov(dword[rbp + saved], use(i, i.a, ecx));
    if (!i.b.is_none() && !i.b.is_imm()) mov(dword[rbp + saved + 4], use(i, i.b, ecx));
  }
  if (plan_.region.has_edges(head) && !plan_.region.passes(skip))
    mov(byte[rbp + static_cast<u32>(offsetof(Context, scratch.edge))], plan_.region.edge_number(skip));
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
  note_edge(index, head);
  if (back) {
    const Label attention = label();
    cmp(dword[rbp + static_cast<u32>(offsetof(Context, dispatch.attention))], 0);
    je(heads_[head], T_NEAR);
    jmp(attention, T_NEAR);
    add_cold([this, attention, index, head] {
      L(attention);
      recover_flags(index);
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
