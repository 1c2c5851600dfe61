#pragma once
// Makes one CondValue of two complementary conditional moves of 0 and 1 to the same register (MOVcc Rd, #1; MOVncc Rd,
// #0), which is how compilers write a comparison's value: such a condition is seldom one that a host predicts well.
#include <optional>

#include "ir/ir.h"

namespace armvisor::ir {

/// `block` with its pairs replaced; nothing if it has none.
std::optional<Block> with_condition_values(const Block& block);

}  // namespace armvisor::ir
