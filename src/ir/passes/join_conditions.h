#pragma once
// Makes one decision of conditional instructions in a row that the same flags decide, as compilers write short
// alternatives (A8.3, IT blocks): one branch instead of one for each. What stands between them unconditionally is then
// there twice.
#include <optional>

#include "ir/ir.h"

namespace armvisor::ir {

/// `block` with its rows of conditional instructions joined; nothing if it has none.
std::optional<Block> with_joined_conditions(const Block& block);

}  // namespace armvisor::ir
