#include "ir/vector.h"

#include <array>

#include "ir/vector_reference.h"

namespace armvisor::ir {

const VecInfo& info(VecOp op) {
  static constexpr std::array<VecInfo, static_cast<unsigned>(VecOp::Count)> table = {{
#define VEC(name, fp, qc) {#name, reference::name, fp != 0, qc != 0},
#include "ir/vector_ops.inc"
#undef VEC
  }};
  return table[static_cast<unsigned>(op)];
}

}  // namespace armvisor::ir
