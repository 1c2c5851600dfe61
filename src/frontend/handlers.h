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
#if __has_include("frontend/t32.inc")
#include "frontend/t32.inc"
#endif
}  // namespace t32
namespace t16 {
#if __has_include("frontend/t16.inc")
#include "frontend/t16.inc"
#endif
}  // namespace t16
namespace simd {
#if __has_include("frontend/simd.inc")
#include "frontend/simd.inc"
#endif
}  // namespace simd
#undef INST

}  // namespace armvisor::frontend
