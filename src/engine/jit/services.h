#pragma once
// Functions in C++ that generated code calls, by way of a stub each. The guest's registers are in the context during
// the call and are loaded again after it.
#include <array>

#include "engine/context.h"

namespace armvisor::engine::jit {

enum class Service : u8 {
  Load,         ///< a = address, b = const Uop*, result = value
  Store,        ///< a = address, b = const Uop*, c = value
  WindowLoad,   ///< likewise, where the window did not serve
  WindowStore,  ///< likewise
  Helper,       ///< b = const Uop*: its helper; one that fails raises Leave::Fault
  Trap,         ///< likewise, Leave::Undefined
  Sync,         ///< Vcpu::resync
  Return,       ///< a = address, c = PSR: TranslatingVcpu::return_from_exception
  Abort,        ///< TranslatingVcpu::enter_data_abort
  Svc,          ///< a = address of the next instruction: TranslatingVcpu::supervisor_call
  Count,
};
using ServiceFunction = u64 (*)(Context*, u64 a, u64 b, u64 c);
using Services = std::array<ServiceFunction, static_cast<std::size_t>(Service::Count)>;

/// What raises has set Dispatch::raised when it returns.
inline constexpr bool may_raise(Service s) { return s <= Service::Trap; }
/// It looks at floating-point state, all of which must be in the context.
inline constexpr bool uses_fp(Service s) { return s == Service::Helper || s == Service::Trap; }

// Those of Helper and Trap.
u64 service_helper(Context* c, u64 a, u64 uop, u64);
u64 service_trap(Context* c, u64 a, u64 uop, u64);

extern const Services k_services;

}  // namespace armvisor::engine::jit
