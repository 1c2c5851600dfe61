#pragma once
// Declarations of every instruction handler: one per table line, in the namespace of its table.
#include "frontend/decoder.h"

namespace armvisor::frontend {

/// True when one of the fields named by `letters` is 15.
inline bool any_pc(const Inst& i, const char* letters) {
  for (; *letters != 0; ++letters)
    if (i(*letters) == 15) return true;
  return false;
}

#define INST(name, syntax, pattern) void name(Translator& t, const Inst& i);
namespace a32 {
#include "frontend/a32.inc"
}
namespace t32 {
#include "frontend/t32.inc"
}  // namespace t32
namespace t16 {
#include "frontend/t16.inc"
}  // namespace t16
namespace simd {
#include "frontend/simd.inc"
}  // namespace simd
#undef INST

}  // namespace armvisor::frontend
