#pragma once
// The probe of the software TLB, which accesses and exclusives have in place.
#include "engine/jit/x64/code.h"

namespace armvisor::engine::jit {

/// eax = address of `length` bytes. rcx = host address of the page, eax = offset in it, if the entry has that page
/// under the tag at `tag_offset` in mmu::TlbEntry. Else it goes to `miss`, where rcx is the entry and eax the address
/// less that tag. `bmi2`: the host has it.
void emit_tlb_probe(Code& code, const ScratchEax& eax, const ScratchEcx& ecx, std::size_t tag_offset, u32 length,
                    Label miss, bool bmi2);

}  // namespace armvisor::engine::jit
