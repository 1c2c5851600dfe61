// Guest memory by way of a host-MMU window: the guest address is the host address, relative to the GS base. An access
// is one host instruction; one that faults goes on in its cold path, by way of the software TLB (window_faults.h).
#include "engine/jit/x64/emitter.h"
#include "engine/jit/x64/window_faults.h"
#include "ir/access.h"

namespace armvisor::engine::jit {
bool Emitter::by_window(u32 index) const {
  return options_.inline_tlb && (out_->key & k_key_window) &&
         !(block_->insts[index].attr & ir::MemAttr::unprivileged) && !sites_.avoided(insn_address(*block_, index));
}

/// Before the host instruction that goes to guest memory.
void Emitter::touch() {
  if (!in_window_) return;
  window_accesses_.push_back({getSize(), window_colds_.size() - 1});
  db(0x65);  // GS
}

/// The place of `first`, by registers of 32 bits, so that it is reduced modulo 2^32 as a guest address is.
Xbyak::RegExp Emitter::window_place(const Inst& first, Label misaligned) {
  const u32 alignment = ir::access_of(first).alignment;
  const bool checked = alignment > 1;
  Reg32 base = eax;
  u32 disp = 0;
  if (first.a.is_imm() || (checked && first.disp % alignment != 0)) {
    access_address(first);
  } else {
    base = use(first, first.a, eax);
    disp = first.disp;
  }
  if (checked) {
    test(base, alignment - 1);
    jnz(misaligned, T_NEAR);
  }
  return base + static_cast<int>(disp);
}

/// A group of loads that faults in the middle would leave cold paths without the operands they make flags from. So its
/// last byte is touched first; what lies between is on the same pages. Stores are just done again.
void Emitter::window_access(u32 index, u32 count) {
  const Inst& first = block_->insts[index];
  const Inst& last = block_->insts[index + count - 1];
  const Label cold = label(), back = label();
  const Xbyak::RegExp at = window_place(first, cold);
  window_colds_.push_back(0);
  in_window_ = true;
  if (count > 1 && is_load(first.op) && (plan_.flags.recovers(index) || plan_.region.recovers(index))) {
    touch();
    movzx(ecx, byte[at + (last.disp - first.disp + access_size(last) - 1)]);
  }
  for (u32 k = 0; k < count; ++k) {
    const Inst& i = block_->insts[index + k];
    is_load(i.op) ? direct_load(i, at + (i.disp - first.disp)) : direct_store(i, at + (i.disp - first.disp));
  }
  in_window_ = false;
  L(back);
  add_cold([this, index, count, cold, back, group = window_colds_.size() - 1] {
    L(cold);
    window_colds_[group] = getSize();
    flags_.recover(index);
    for (u32 k = 0; k < count; ++k) {
      index_ = index + k;
      access_address(block_->insts[index + k]);
      slow_access(block_->insts[index + k], accesses_.keeps_xmm(index), true);
    }
    jmp(back, T_NEAR);
  });
}

void Emitter::emit_window_table() {
  if (window_accesses_.empty()) return;
  align(4);
  window_table_ = getSize();
  dd(static_cast<u32>(window_accesses_.size()));
  for (const WindowAccess& a : window_accesses_) {
    dd(static_cast<u32>(window_table_ - a.at));
    dd(static_cast<u32>(window_table_ - window_colds_[a.group]));
  }
}

}  // namespace armvisor::engine::jit
