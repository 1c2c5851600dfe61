#pragma once
// Declarations of every instruction handler: one per table line, in the namespace of its table, with the type of its
// line's fields.
#include "frontend/fields.h"

namespace armvisor::frontend {

#define INST(name, syntax, pattern)          \
  namespace fields {                         \
  using name = Fields<FieldLayout(pattern)>; \
  }                                          \
  void name(Translator& t, const fields::name& i);
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
