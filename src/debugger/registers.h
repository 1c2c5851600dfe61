#pragma once
// The registers that gdb sees, by its numbers, and the description of them that it is given: those of QEMU's, in
// features of the same names, so that scripts find what they know. System registers are those of arm/cp15.inc whose
// value is in the state; they can be read only.
#include <span>
#include <string>
#include <string_view>

#include "arm/cpu_state.h"

namespace armvisor::debugger {

/// Appends the register's bytes, in guest order. False: there is none of that number.
bool read_register(const arm::CpuState& state, u64 number, std::string& bytes);
/// False: there is none, it cannot be written, or it has another size.
bool write_register(arm::CpuState& state, u64 number, std::string_view bytes);

/// R0 to R15 and CPSR: what the packets g and G have.
inline constexpr u32 k_core_registers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 25};

/// A file of the target description; nothing: there is none of that name.
std::string_view description(std::string_view name);

}  // namespace armvisor::debugger
