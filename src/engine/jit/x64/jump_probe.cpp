#include "engine/jit/x64/jump_probe.h"

#include "engine/context.h"

namespace armvisor::engine::jit {

static_assert(sizeof(JumpEntry) == 16);

void emit_jump_probe(Xbyak::CodeGenerator& c, const void* miss) {
  using namespace Xbyak::util;
  c.mov(ecx, eax);
  c.shr(ecx, k_jump_shift);
  c.xor_(ecx, eax);
  c.xor_(ecx, dword[rbp + offsetof(Context, now.salt)]);
  c.and_(ecx, k_jump_mask);
  c.mov(rdx, ptr[rbp + offsetof(Context, now.tag)]);
  c.or_(rdx, rax);
  c.cmp(rdx, ptr[rbp + rcx * 8 + offsetof(Context, jump) + offsetof(JumpEntry, tag)]);
  c.jne(miss);
  c.mov(rdx, ptr[rbp + rcx * 8 + offsetof(Context, jump) + offsetof(JumpEntry, block)]);
  c.jmp(ptr[rdx + offsetof(Block, indirect)]);
}

void emit_take_view(Xbyak::CodeGenerator& c) {
  using namespace Xbyak::util;
  static_assert(sizeof(View) == 40);
  constexpr u32 k_now = offsetof(Context, now);
  for (u32 at = 0; at < 32; at += 16) {
    c.movups(xmm0, ptr[rdx + at]);
    c.movups(ptr[rbp + k_now + at], xmm0);
  }
  c.mov(rcx, ptr[rdx + 32]);
  c.mov(ptr[rbp + k_now + 32], rcx);
}

}  // namespace armvisor::engine::jit
