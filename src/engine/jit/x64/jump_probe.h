#pragma once
// The probe of the jump cache, which generated code has in place and stubs share.
#include <xbyak/xbyak.h>

namespace armvisor::engine::jit {

/// eax = address of the next instruction, CPSR.T in bit 0: jumps to its block, or to `miss` with eax as it was.
/// Changes ecx, edx.
void emit_jump_probe(Xbyak::CodeGenerator& c, const void* miss);
/// emit_jump_probe() in two parts, for code whose jump to `miss` is declared as a relocation: between the two comes a
/// jump if the host's flags say "not equal".
void emit_jump_compare(Xbyak::CodeGenerator& c);
void emit_jump_taken(Xbyak::CodeGenerator& c);
/// As emit_jump_probe() after a flush, where a probe missed: the block of an entry whose tag is old is still the right
/// one if the execute-side TLB, refilled since, has its page, and gets the tag of now. Changes r14, r15, too.
void emit_stale_probe(Xbyak::CodeGenerator& c, const void* miss);
/// Dispatch::now becomes the view at rdx. Changes ecx and xmm0.
void emit_take_view(Xbyak::CodeGenerator& c);

}  // namespace armvisor::engine::jit
