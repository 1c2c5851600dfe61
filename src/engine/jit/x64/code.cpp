#include "engine/jit/x64/code.h"

namespace armvisor::engine::jit {

void Code::start(u8* at, std::size_t capacity, Relocs& relocs) {
  Assembler::start(at, capacity);
  relocs_ = &relocs;
  scratch.clear();
}

void Code::note(Reloc::Kind kind, std::size_t at, std::size_t of) {
  relocs_->push_back({static_cast<u32>(at), static_cast<u16>(of), kind});
}

/// The instruction that was emitted last ends with `a`, in 32 bits.
void Code::note_address(ir::Address a) {
  if (a.moves) note(Reloc::Kind::Pc, getSize() - 4);
}

void Code::move_address(const Xbyak::Reg32& d, ir::Address a) {
  mov(d, a.value);
  note_address(a);
}

/// d = base + a.
void Code::lea_address(const Xbyak::Reg32& d, const Xbyak::Reg32& base, ir::Address a) {
  constexpr u32 k_any = 0x7fffffff;  // a displacement that takes 32 bits
  lea(d, ptr[base.cvt64() + k_any]);
  rewrite(getSize() - 4, a.value, 4);
  note_address(a);
}

/// d = the address that the relocation stands for.
void Code::load_pointer(const Xbyak::Reg64& d, Reloc::Kind kind, std::size_t of) {
  AV_ASSERT(d.getIdx() < 8);
  db(0x48), db(0xb8 | d.getIdx());  // mov d, imm64, whatever the value
  note(kind, getSize(), of);
  dq(0);
}

void Code::displacement_to(std::size_t stub) {
  note(Reloc::Kind::Stub, getSize(), stub);
  dd(0);
}

void Code::jump_to(std::size_t stub) {
  db(0xe9);
  displacement_to(stub);
}

void Code::jump_to_if(u8 cc, std::size_t stub) {
  db(0x0f), db(0x80 | cc);
  displacement_to(stub);
}

void Code::call_stub(std::size_t stub) {
  db(0xe8);
  displacement_to(stub);
}

}  // namespace armvisor::engine::jit
