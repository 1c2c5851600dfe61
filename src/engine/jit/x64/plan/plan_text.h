#pragma once
// The text form of a plan, for tests and for people who look at what the compiler does.
#include <string>

#include "engine/jit/x64/plan/plan.h"

namespace armvisor::engine::jit {

/// First what holds for all of the block, then each instruction in a line, as ir::print has it, with what is decided of
/// it. Flags are N, Z, C and V; instructions have their numbers. What goes without saying is left out: an instruction
/// with code of its own, that flags are stored of which a plan says nothing, a temp in the frame.
std::string print(const ir::Block& block, const Plan& plan);

}  // namespace armvisor::engine::jit
