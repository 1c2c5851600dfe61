#pragma once
// Code shared by all blocks, at the start of the code cache: entry from and exit to C++, service trampolines, the
// probe of the indirect-branch cache.
#include <cstddef>
#include <span>

#include "engine/jit/services.h"

namespace armvisor::engine::jit {

/// Offsets from the start of the code cache.
struct Stubs {
  using Enter = u64 (*)(Context*, const void* code);
  std::size_t enter = 0;             ///< Enter: runs from `code`; the result is a Leave
  std::size_t leave = 0;             ///< returns eax to Enter's caller
  std::size_t leave_at = 0;          ///< likewise, at the uop rdx
  std::size_t attention = 0;         ///< r15 is set: leaves with Leave::Attention
  std::size_t hot = 0;               ///< likewise, Leave::Hot
  std::size_t sync = 0;              ///< likewise, Leave::Sync
  std::size_t unlinked = 0;          ///< leaves by the exit whose Link is rdx
  std::size_t world_switch = 0;      ///< leaves at the uop rdx with Leave::Emulate, to go on at rax
  std::size_t branch = 0;            ///< PC = eax with CPSR.T in bit 0: jumps to its block, or leaves
  std::size_t miss = 0;              ///< likewise, leaves
  std::size_t stale = 0;             ///< likewise, when the jump cache may have the block under an old tag
  std::size_t lookup = 0;            ///< r15 is set: leaves with Leave::Lookup
  std::size_t interwork = 0;         ///< BXWritePC(eax) that changes CPSR.T
  std::size_t exception_return = 0;  ///< PC = eax, CPSR = ecx, from a privileged mode with SCTLR.NMFI clear
  std::size_t supervisor_call = 0;   ///< SVC outside IT blocks; eax = address of the next instruction
  /// call: a = rax, b = rdx, c = rcx; result rax. One that raises does not return: the
  /// stub leaves with Dispatch::raised, or enters the abort.
  std::size_t service[static_cast<std::size_t>(Service::Count)] = {};
  std::size_t service_keeping_xmm[static_cast<std::size_t>(Service::Count)] = {};  ///< xmm3-xmm15 stay, too
  std::size_t size = 0;
};

struct StubOptions {
  bool count_traps, inline_exceptions;
  bool windows;  ///< unprivileged blocks may use host-MMU windows
};

/// Emits the stubs at the start of `rw`.
Stubs emit_stubs(std::span<u8> rw, const StubOptions& options, const Services& services);

}  // namespace armvisor::engine::jit
