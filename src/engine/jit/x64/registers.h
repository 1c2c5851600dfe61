#pragma once
// Which host register holds what while generated code runs (System V x86-64).
//
//   rbp        Context
//   rbx rsi rdi r8-r13   guest R0-R7 and SP, across blocks; the other guest registers live in Context
//   r14 r15    temps, or copies of the guest registers without one of their own that the block reads most: loaded at
//              its start, stored to Context with each write, loaded again after a helper; both survive service calls
//   rax rcx rdx  scratch within one IR instruction
//
// A service call stores the pinned registers to Context and loads them again, so C++ sees and may change all of them.
#include <xbyak/xbyak.h>

#include <array>

#include "base/types.h"

namespace armvisor::engine::jit {

inline constexpr int k_not_pinned = -1;
inline constexpr int k_context = Xbyak::Operand::RBP, k_temp = Xbyak::Operand::R14;
inline constexpr std::array<int, 2> k_copies = {Xbyak::Operand::R15, Xbyak::Operand::R14};

/// Host register number of guest register n, or k_not_pinned.
inline constexpr std::array<int, 15> k_pinned = {
    Xbyak::Operand::RBX, Xbyak::Operand::RSI, Xbyak::Operand::RDI, Xbyak::Operand::R8,  Xbyak::Operand::R9,
    Xbyak::Operand::R10, Xbyak::Operand::R11, Xbyak::Operand::R12, k_not_pinned,        k_not_pinned,
    k_not_pinned,        k_not_pinned,        k_not_pinned,        Xbyak::Operand::R13, k_not_pinned};

}  // namespace armvisor::engine::jit
