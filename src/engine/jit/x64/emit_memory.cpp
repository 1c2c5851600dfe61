// Guest memory: an inline software-TLB hit, with one check for neighbouring accesses, and the cold path to the service.
#include "engine/jit/x64/emitter.h"
#include "ir/access.h"

namespace armvisor::engine::jit {
namespace {

/// In bytes.
u32 required_alignment(const ir::Inst& i) { return ir::access_of(i).alignment; }

}  // namespace

void Emitter::probe(const Inst& i, u32 length, Label misaligned, Label miss) {
  if (const u32 alignment = required_alignment(i); alignment > 1) {
    test(eax, alignment - 1);
    jnz(misaligned, T_NEAR);
  }
  probe_tag(is_store(i.op) ? offsetof(mmu::TlbEntry, write_tag) : offsetof(mmu::TlbEntry, read_tag), length, miss);
}

void Emitter::probe_tag(std::size_t tag_offset, u32 length, Label miss) {
  constexpr u32 k_index_mask = (mmu::k_tlb_entries - 1) << 4;
  if (host_.bmi2) {
    rorx(ecx, eax, k_page_bits - 4);
  } else {
    mov(ecx, eax);
    shr(ecx, k_page_bits - 4);
  }
  and_(ecx, k_index_mask);
  add(rcx, ptr[rbp + offsetof(Context, dispatch.now.tlb)]);
  sub(eax, dword[rcx + tag_offset]);
  cmp(eax, k_page_size - length);
  ja(miss, T_NEAR);
  mov(rcx, ptr[rcx + offsetof(mmu::TlbEntry, host)]);
}

Xbyak::Address Emitter::tag(const Inst& i) {
  return dword[rcx + (is_store(i.op) ? offsetof(mmu::TlbEntry, write_tag) : offsetof(mmu::TlbEntry, read_tag))];
}

void Emitter::direct_load(const Inst& i, const Xbyak::RegExp& at) {
  const bool big = i.attr & ir::MemAttr::big, sign = i.attr & ir::MemAttr::sign;
  if (accesses_.is_in_xmm(i)) {
    if (accesses_.moves_with_neighbour(i)) return;
    touch();
    return accesses_.load(i, at);
  }
  if (i.op == Op::Load64) {
    const Reg64 d = target64(i.dst, rdx);
    touch();
    mov(d, qword[at]);
    if (big) bswap(d);
    return finish64(i.dst, d);
  }
  const Reg32 d = target(i.dst, edx);
  touch();
  switch (access_size(i)) {
    case 1: sign ? movsx(d, byte[at]) : movzx(d, byte[at]); break;
    case 2:
      if (big) {
        movzx(d, word[at]);
        bswap(d);
        sign ? sar(d, 16) : shr(d, 16);
      } else {
        sign ? movsx(d, word[at]) : movzx(d, word[at]);
      }
      break;
    default:
      mov(d, dword[at]);
      if (big) bswap(d);
  }
  finish(i.dst, d);
}

void Emitter::direct_store(const Inst& i, const Xbyak::RegExp& at) {
  const bool big = i.attr & ir::MemAttr::big;
  if (accesses_.is_in_xmm(i)) {
    if (accesses_.moves_with_neighbour(i)) return;
    touch();
    return accesses_.store(i, at);
  }
  if (i.op == Op::Store64) {
    Reg64 v = use64(i, i.b, rdx);
    if (big) {
      if (v.getIdx() != rdx.getIdx()) mov(rdx, v);
      bswap(rdx);
      v = rdx;
    }
    touch();
    mov(qword[at], v);
    return;
  }
  Reg32 v = use(i, i.b, edx);
  const u32 size = access_size(i);
  if (big && size > 1) {
    if (v.getIdx() != edx.getIdx()) mov(edx, v);
    bswap(edx);
    if (size == 2) shr(edx, 16);
    v = edx;
  }
  touch();
  if (size == 1)
    mov(byte[at], v.cvt8());
  else if (size == 2)
    mov(word[at], v.cvt16());
  else
    mov(dword[at], v);
}

void Emitter::slow_access(const Inst& i, bool keep_xmm, bool window) {
  const bool in_xmm = accesses_.is_in_xmm(i);
  if (is_store(i.op)) {
    if (in_xmm)
      accesses_.move_stored_to(rcx, i);
    else
      i.op == Op::Store64 ? load_to64(i, i.b, rcx) : load_to(i, i.b, ecx);
  }
  name_uop();
  const Service load = window ? Service::WindowLoad : Service::Load;
  const Service store = window ? Service::WindowStore : Service::Store;
  call_service(is_store(i.op) ? store : load, keep_xmm);
  if (is_store(i.op)) return;
  if (in_xmm)
    accesses_.finish_load(i, rax);
  else if (i.op == Op::Load64)
    finish64(i.dst, rax);
  else
    finish(i.dst, eax);
}

void Emitter::access_address(const Inst& i) {
  const ir::Address imm = i.imm_address(), disp = i.disp_address();
  if (i.a.is_imm()) return move_address(eax, {imm.value + disp.value, imm.moves || disp.moves});
  const Reg32 base = use(i, i.a, eax);
  if (disp.moves)
    lea_address(eax, base, disp);
  else if (i.disp != 0)
    lea(eax, ptr[base.cvt64() + static_cast<s32>(i.disp)]);
  else if (base.getIdx() != eax.getIdx())
    mov(eax, base);
}

u32 Emitter::emit_access(u32 index) {
  const Inst& first = block_->insts[index];
  const u32 count = plan_.flow[index].group;
  const Inst& last = block_->insts[index + count - 1];
  const u32 length = last.disp + access_size(last) - first.disp;
  const Label miss = label(), slow = label(), back = label();
  accesses_.begin_group(index, count);
  if (by_window(index)) {
    window_access(index, count);
    return count;
  }
  access_address(first);
  if (options_.inline_tlb && !(first.attr & ir::MemAttr::unprivileged))
    probe(first, length, slow, miss);
  else
    jmp(slow, T_NEAR);
  for (u32 k = 0; k < count; ++k) {
    const Inst& i = block_->insts[index + k];
    const auto at = rax + rcx + (i.disp - first.disp);
    is_store(i.op) ? direct_store(i, at) : direct_load(i, at);
  }
  L(back);
  add_cold([this, index, count, miss, slow, back] {
    L(miss);
    add(eax, tag(block_->insts[index]));
    L(slow);
    flags_.recover(index);
    for (u32 k = 0; k < count; ++k) {
      index_ = index + k;
      if (k != 0) access_address(block_->insts[index + k]);
      slow_access(block_->insts[index + k], accesses_.keeps_xmm(index), false);
    }
    jmp(back, T_NEAR);
  });
  return count;
}

}  // namespace armvisor::engine::jit
