#include "engine/jit/x64/jump_probe.h"

#include "engine/context.h"

namespace armvisor::engine::jit {

static_assert(sizeof(JumpEntry) == 16);

namespace {

using namespace Xbyak::util;

/// rcx * 8 = offset of the entry for eax in Context::jump.
void emit_jump_index(Xbyak::CodeGenerator& c) {
  c.mov(ecx, eax);
  c.shr(ecx, k_jump_shift);
  c.xor_(ecx, eax);
  c.xor_(ecx, dword[rbp + offsetof(Context, dispatch.now.salt)]);
  c.and_(ecx, k_jump_mask);
}

}  // namespace

void emit_jump_compare(Xbyak::CodeGenerator& c) {
  emit_jump_index(c);
  c.mov(rdx, ptr[rbp + offsetof(Context, dispatch.now.tag)]);
  c.or_(rdx, rax);
  c.cmp(rdx, ptr[rbp + rcx * 8 + offsetof(Context, jump) + offsetof(JumpEntry, tag)]);
}

void emit_jump_taken(Xbyak::CodeGenerator& c) {
  c.mov(rdx, ptr[rbp + rcx * 8 + offsetof(Context, jump) + offsetof(JumpEntry, block)]);
  c.jmp(ptr[rdx + offsetof(Block, indirect)]);
}

void emit_jump_probe(Xbyak::CodeGenerator& c, const void* miss) {
  emit_jump_compare(c);
  c.jne(miss);
  emit_jump_taken(c);
}

void emit_stale_probe(Xbyak::CodeGenerator& c, const void* miss) {
  emit_jump_index(c);
  c.cmp(eax, dword[rbp + rcx * 8 + offsetof(Context, jump) + offsetof(JumpEntry, tag)]);
  c.jne(miss);
  c.mov(rdx, ptr[rbp + rcx * 8 + offsetof(Context, jump) + offsetof(JumpEntry, block)]);
  c.test(rdx, rdx);
  c.jz(miss);
  c.mov(r14d, eax);
  c.shr(r14d, k_page_bits);
  c.and_(r14d, mmu::k_exec_entries - 1);
  c.mov(r15, ptr[rbp + offsetof(Context, dispatch.now.exec)]);
  c.mov(r14, ptr[r15 + r14 * 8]);
  c.cmp(r14, ptr[rdx + offsetof(Block, exec_id)]);
  c.jne(miss);
  c.mov(r14d, dword[rdx + offsetof(Block, key)]);
  c.and_(r14d, base_key(~u32{0}));
  c.mov(r15d, eax);
  c.and_(r15d, 1);
  c.cmp(r14d, dword[rbp + r15 * 4 + offsetof(Context, dispatch.now.key)]);
  c.jne(miss);
  c.mov(r14, ptr[rbp + offsetof(Context, dispatch.now.tag)]);
  c.or_(r14, rax);
  c.mov(ptr[rbp + rcx * 8 + offsetof(Context, jump) + offsetof(JumpEntry, tag)], r14);
  c.jmp(ptr[rdx + offsetof(Block, indirect)]);
}

void emit_take_view(Xbyak::CodeGenerator& c) {
  static_assert(sizeof(View) == 40);
  constexpr u32 k_now = offsetof(Context, dispatch.now);
  for (u32 at = 0; at < 32; at += 16) {
    c.movups(xmm0, ptr[rdx + at]);
    c.movups(ptr[rbp + k_now + at], xmm0);
  }
  c.mov(rcx, ptr[rdx + 32]);
  c.mov(ptr[rbp + k_now + 32], rcx);
}

}  // namespace armvisor::engine::jit
