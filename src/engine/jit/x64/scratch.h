#pragma once
// The host registers in which no value lives from one IR instruction to the next: rax, rcx, rdx and xmm0-xmm2. Code that
// changes one owns it as an object, of which there can be but one at a time; a function that needs another's register
// for itself gets it as an argument. So two uses that overlap are found where code is emitted, by any test that gets
// there. (A temp that the next instruction takes from eax or ecx belongs to RegisterPlan: see Temp::Home.)
#include <xbyak/xbyak.h>

#include <type_traits>

#include "base/assert.h"
#include "base/types.h"

namespace armvisor::engine::jit {

class ScratchRegisters {
 public:
  void take(u32 which) {
    AV_ASSERT((taken_ & which) == 0);
    taken_ |= which;
  }
  void give(u32 which) { taken_ &= ~which; }
  /// Code that is emitted from here on is reached from elsewhere: nothing is owned.
  void clear() { taken_ = 0; }

 private:
  u32 taken_ = 0;
};

/// A register, by its name at the width it is mostly used with, while the object exists.
template <class Register, int N>
class OwnedScratch : public Register {
 public:
  explicit OwnedScratch(ScratchRegisters& all) : Register(N), all_(all) { all_.take(k_which); }
  ~OwnedScratch() { all_.give(k_which); }
  OwnedScratch(const OwnedScratch&) = delete;
  OwnedScratch& operator=(const OwnedScratch&) = delete;

 private:
  static constexpr u32 k_which = 1u << (std::is_same_v<Register, Xbyak::Xmm> ? N + 16 : N);
  ScratchRegisters& all_;
};

using ScratchEax = OwnedScratch<Xbyak::Reg32, Xbyak::Operand::EAX>;
using ScratchEcx = OwnedScratch<Xbyak::Reg32, Xbyak::Operand::ECX>;
using ScratchEdx = OwnedScratch<Xbyak::Reg32, Xbyak::Operand::EDX>;
using ScratchXmm0 = OwnedScratch<Xbyak::Xmm, 0>;
using ScratchXmm1 = OwnedScratch<Xbyak::Xmm, 1>;
using ScratchXmm2 = OwnedScratch<Xbyak::Xmm, 2>;

}  // namespace armvisor::engine::jit
