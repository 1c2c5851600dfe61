// Regions: control between the blocks that are compiled as one.
#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {

void Emitter::emit_head(const Inst& i) {
  L(heads_[i.imm]);
  if (options_.count_instructions) add(qword[rbp + static_cast<u32>(offsetof(Context, instructions))], i.disp);
  xmm_ = {};
  compared_ = -1;
  reached_ = true;
}

bool Emitter::has_edges(u32 head) const {
  for (const Edge& e : edges_)
    if (e.head == head && !e.points.empty()) return true;
  return false;
}

/// Of the way that begins at `skip`; 0: flags are in their place on it.
u32 Emitter::edge_number(u32 skip) const {
  for (u32 n = 0; n < edges_.size(); ++n)
    if (edges_[n].skip == skip) return n + 1;
  return 0;
}

/// What cold paths behind `head` must know of the way to it that begins at `skip`.
void Emitter::note_edge(u32 skip, u32 head) {
  if (has_edges(head)) mov(byte[rbp + static_cast<u32>(offsetof(Context, edge))], edge_number(skip));
}

/// The Goto at `index`, or when the host's condition `cc` holds the one behind the skip at `index`. A way back looks
/// for interrupts.
void Emitter::emit_goto(u32 index, std::optional<u8> cc) {
  const u32 at = cc ? index + 1 : index;
  const auto head = static_cast<u32>(block_->insts[at].imm);
  const bool back = head_at_[head] <= at;
  Xbyak::Label over;
  if (!back && !has_edges(head)) {
    if (cc) return jcc(*cc, heads_[head]);
    if (head_at_[head] != at + 1) jmp(heads_[head], T_NEAR);
    return;
  }
  if (cc) jcc(*cc ^ 1, over);
  note_edge(index, head);
  if (back) {
    Xbyak::Label attention;
    cmp(dword[rbp + static_cast<u32>(offsetof(Context, attention))], 0);
    je(heads_[head], T_NEAR);
    jmp(attention, T_NEAR);
    cold_.push_back({[this, attention, index, head]() mutable {
      L(attention);
      recover_flags(index);
      park();
      set_pc(static_cast<u32>(block_->insts[head_at_[head] + 1].imm));
      mov(eax, static_cast<u32>(Leave::Attention));
      jmp(stub(stubs_.leave), T_NEAR);
    }});
  } else if (cc || head_at_[head] != at + 1) {
    jmp(heads_[head], T_NEAR);
  }
  L(over);
}

}  // namespace armvisor::engine::jit
