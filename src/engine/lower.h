#pragma once
// From IR to uops.
#include <memory>

#include "engine/block.h"
#include "ir/ir.h"

namespace armvisor::engine {

/// Lowers a well-formed block. Null when more temps live at once than the context has room for.
std::unique_ptr<Block> lower(const ir::Block& block, u32 key);

}  // namespace armvisor::engine
