#pragma once
// One operation of Advanced SIMD, ready to be emitted: its operands and its result are in registers, none of them a
// scratch register. High halves of results with q clear are whatever they are unless something looks at them.
#include <optional>

#include "engine/jit/x64/cold_paths.h"
#include "ir/vector.h"

namespace armvisor::engine::jit {

struct VectorCode {
  Xbyak::Xmm a, b, c, d;
  unsigned size = 0;  ///< log2 of the element size
  bool q = false;
  u32 imm = 0;                 ///< see ir::VectorImm
  std::optional<u64> indices;  ///< of VTBL, where they are constant
};

}  // namespace armvisor::engine::jit
