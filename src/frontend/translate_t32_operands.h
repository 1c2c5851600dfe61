#pragma once
// Register choices that most 32-bit Thumb instructions leave UNPREDICTABLE (ARM DDI 0406C A6.1.1): SP and PC.
#include "base/types.h"

namespace armvisor::frontend::t32 {

constexpr bool bad_reg(u32 r) { return r == 13 || r == 15; }
constexpr bool any_bad(auto... r) { return (bad_reg(r) || ...); }

}  // namespace armvisor::frontend::t32
