#include "engine/jit/x64/tlb_probe.h"

namespace armvisor::engine::jit {

void emit_tlb_probe(Code& code, const ScratchEax& eax, const ScratchEcx& ecx, std::size_t tag_offset, u32 length,
                    Label miss, bool bmi2) {
  constexpr u32 k_index_mask = (mmu::k_tlb_entries - 1) << 4;
  static_assert(sizeof(mmu::TlbEntry) == 16);
  const Xbyak::Reg64 entry = ecx.cvt64();
  if (bmi2) {
    code.rorx(ecx, eax, k_page_bits - 4);
  } else {
    code.mov(ecx, eax);
    code.shr(ecx, k_page_bits - 4);
  }
  code.and_(ecx, k_index_mask);
  code.add(entry, context64(AV_CONTEXT(dispatch.now.tlb)));
  code.sub(eax, code.dword[entry + tag_offset]);
  code.cmp(eax, k_page_size - length);
  code.ja(miss, Code::T_NEAR);
  code.mov(entry, code.ptr[entry + offsetof(mmu::TlbEntry, host)]);
}

}  // namespace armvisor::engine::jit
