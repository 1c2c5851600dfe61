#pragma once
// The code of one block while it is emitted: an assembler that notes what depends on where the block is (reloc.h), and
// who owns the scratch registers. All emitters write to the same one.
#include "engine/context.h"
#include "engine/jit/reloc.h"
#include "engine/jit/x64/assembler.h"
#include "engine/jit/x64/scratch.h"
#include "ir/ir.h"

namespace armvisor::engine::jit {

/// Offset of a member of the guest's state from the context.
#define AV_STATE(member) static_cast<u32>(offsetof(Context, guest) + offsetof(arm::CpuState, member))
/// Offset of any other member.
#define AV_CONTEXT(member) static_cast<u32>(offsetof(Context, member))

// Places in the context, by offset.
inline Xbyak::Address context8(u32 at) { return Xbyak::util::byte[Xbyak::util::rbp + at]; }
inline Xbyak::Address context16(u32 at) { return Xbyak::util::word[Xbyak::util::rbp + at]; }
inline Xbyak::Address context32(u32 at) { return Xbyak::util::dword[Xbyak::util::rbp + at]; }
inline Xbyak::Address context64(u32 at) { return Xbyak::util::qword[Xbyak::util::rbp + at]; }
inline Xbyak::Address context128(u32 at) { return Xbyak::util::ptr[Xbyak::util::rbp + at]; }
/// Guest register n; 15: PC.
inline Xbyak::Address context_guest(u32 n) { return context32(AV_STATE(r) + 4 * n); }

class Code : public Assembler {
 public:
  ScratchRegisters scratch;

  /// Code comes from `at` on; `relocs` gets what depends on its place. Throws Xbyak::Error from anywhere when `capacity`
  /// bytes do not suffice.
  void start(u8* at, std::size_t capacity, Relocs& relocs);

  Xbyak::Address constant32(u32 v) { return constant(v * 0x100000001u, v * 0x100000001u); }

  void note(Reloc::Kind kind, std::size_t at, std::size_t of = 0);
  void note_address(ir::Address a);
  void move_address(const Xbyak::Reg32& d, ir::Address a);
  void lea_address(const Xbyak::Reg32& d, const Xbyak::Reg32& base, ir::Address a);
  void load_pointer(const Xbyak::Reg64& d, Reloc::Kind kind, std::size_t of = 0);
  // To code that all blocks share, by its offset (Stubs).
  void jump_to(std::size_t stub);
  void jump_to_if(u8 cc, std::size_t stub);
  void call_stub(std::size_t stub);

 private:
  void displacement_to(std::size_t stub);

  Relocs* relocs_ = nullptr;
};

}  // namespace armvisor::engine::jit
