#pragma once
// Operations of the IR that the interpreter runs as functions. Operands and results are at the uop's offsets.
#include "engine/uop.h"
#include "ir/ir.h"

namespace armvisor::engine {

/// The function of `op`, or null when execute() has a label for it.
Helper helper_of(ir::Op op);

/// Compiled blocks name helpers by number, so that nothing in their tables is an address of a function. The number of
/// an operation is of helper_of(op), that of Op::ExitReturn of exit_return.
constexpr u16 helper_number(ir::Op op) { return static_cast<u16>(op); }
Helper helper_by_number(u16 number);

/// Uop::imm of exclusive accesses.
constexpr u64 access_imm(u32 disp, u8 attr) { return disp | u64{attr} << 32; }

/// PC = a, then Leave::Sync: exits of blocks that end inside an IT block, and exception return.
bool exit_indirect(Context& context, const Uop& u);
bool exit_interwork(Context& context, const Uop& u);
bool exit_switch(Context& context, const Uop& u);
bool exit_return(Context& context, const Uop& u);

}  // namespace armvisor::engine
