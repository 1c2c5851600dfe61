// Regions: control between the blocks that are compiled as one.
#include <algorithm>

#include "engine/jit/x64/emitter.h"

namespace armvisor::engine::jit {

void Emitter::emit_head(const Inst& i) {
  L(heads_[i.imm]);
  if (options_.count_instructions) add(qword[rbp + static_cast<u32>(offsetof(Context, dispatch.instructions))], i.disp);
  xmm_ = {};
  u32 dirty = 0;
  for (u32 unit = 0; unit < units().size(); ++unit) {
    xmm_.place_unit(unit, units()[unit].home);
    dirty |= u32{units()[unit].written} << unit;
  }
  xmm_.set_dirty(dirty);
  compared_ = -1;
  reached_ = true;
}

bool Emitter::has_edges(u32 head) const {
  const auto leads = [head](const auto& way) { return way.head == head; };
  return std::any_of(edges_.begin(), edges_.end(),
                     [&](const Edge& e) { return leads(e) || std::any_of(e.passed.begin(), e.passed.end(), leads); });
}

/// Flags that came with control are still pending on the way that begins at `skip`.
bool Emitter::passes(u32 skip) const {
  return std::any_of(edges_.begin(), edges_.end(), [skip](const Edge& e) {
    return std::any_of(e.passed.begin(), e.passed.end(), [skip](const Pass& p) { return p.skip == skip; });
  });
}

/// Of the way that begins at `skip`; 0: flags are in their place on it.
u32 Emitter::edge_number(u32 skip) const {
  for (u32 n = 0; n < edges_.size(); ++n)
    if (edges_[n].skip == skip) return n + 1;
  return 0;
}

bool Emitter::stores_at_edge(u32 skip) const {
  return std::any_of(edge_stores_.begin(), edge_stores_.end(), [=](const Recovery& r) { return r.at == skip; });
}

/// What code behind `head` must find when control comes the way that begins at `skip`.
void Emitter::note_edge(u32 skip, u32 head) {
  for (const Recovery& r : edge_stores_)
    if (r.at == skip) make_flags(r.source, r.mask, r.from_result);
  for (const Edge& e : edges_) {
    if (!e.saved || e.skip != skip) continue;
    const Inst& i = block_->insts[e.source];
    const u32 saved = static_cast<u32>(offsetof(Context, scratch.flag_operands));
    mov(dword[rbp + saved], use(i, i.a, ecx));
    if (!i.b.is_none() && !i.b.is_imm()) mov(dword[rbp + saved + 4], use(i, i.b, ecx));
  }
  if (has_edges(head) && !passes(skip))
    mov(byte[rbp + static_cast<u32>(offsetof(Context, scratch.edge))], edge_number(skip));
}

/// The Goto at `index`, or when the host's condition `cc` holds the one behind the skip at `index`. A way back looks
/// for interrupts.
void Emitter::emit_goto(u32 index, std::optional<u8> cc) {
  const u32 at = cc ? index + 1 : index;
  const auto head = static_cast<u32>(block_->insts[at].imm);
  const bool back = head_at_[head] <= at;
  const Label over = label();
  if (!back && (!has_edges(head) || passes(index)) && !stores_at_edge(index) && units_in_place()) {
    if (cc) return jcc(*cc, heads_[head]);
    if (head_at_[head] != at + 1) jmp(heads_[head], T_NEAR);
    return;
  }
  if (cc) jcc(*cc ^ 1, over);
  const XmmCache behind = xmm_;
  place_units(true);
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
      set_pc(ir::Address::of_pc(static_cast<u32>(block_->insts[head_at_[head] + 1].imm)));
      jump_to(stubs_.attention);
    });
  } else if (cc || head_at_[head] != at + 1) {
    jmp(heads_[head], T_NEAR);
  }
  L(over);
  xmm_ = behind;
}

}  // namespace armvisor::engine::jit
