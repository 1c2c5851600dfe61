#pragma once
#include "engine/block.h"
#include "engine/code_cache.h"
#include "ir/ir.h"

namespace armvisor::engine {

/// Writes a translated block to stderr: guest instructions, IR, and the host code in hexadecimal, if there is any.
/// scripts/show_trace.py disassembles the latter.
void trace_block(const Block& block, const ir::Block& ir_block, const u8* code);

}  // namespace armvisor::engine
