#pragma once
// Moves what sets the flags down to the skip that looks at them, past instructions that neither raise nor have to do
// with it, so that a code generator finds compare and branch side by side.
#include "ir/ir.h"

namespace armvisor::ir {

void sink_compares(Block& block);

}  // namespace armvisor::ir
