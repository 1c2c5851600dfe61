#include "engine/dsp.h"

#include <algorithm>

#include "ir/ir.h"

namespace armvisor::engine::dsp {
namespace {

using ir::ParallelKind;
using ir::ParallelPrefix;

/// Clamps to a signed range of `width` bits; `saturated` is set when that changed the value.
s64 clamp_signed(s64 x, u32 width, bool& saturated) {
  const s64 high = (s64{1} << (width - 1)) - 1, low = -high - 1;
  const s64 r = std::clamp(x, low, high);
  saturated |= r != x;
  return r;
}
s64 clamp_unsigned(s64 x, u32 width, bool& saturated) {
  const s64 r = std::clamp(x, s64{0}, (s64{1} << width) - 1);
  saturated |= r != x;
  return r;
}

u32 saturating(s64 x, arm::CpuState& s) {
  bool saturated = false;
  const s64 r = clamp_signed(x, 32, saturated);
  s.q |= saturated;
  return static_cast<u32>(r);
}

s64 lane(u32 x, u32 k, u32 width, bool is_signed) {
  const u32 raw = static_cast<u32>(x >> (k * width) & low_mask(width));
  return is_signed ? static_cast<s32>(sign_extend(raw, width)) : s64{raw};
}

/// One lane: result bits; `ge` as the S and U forms define it for an addition or subtraction.
u32 parallel_lane(s64 x, s64 y, bool subtract, u32 width, ParallelPrefix prefix, bool& ge) {
  const s64 r = subtract ? x - y : x + y;
  bool ignored = false;
  s64 out = r;
  switch (prefix) {
    case ParallelPrefix::S: ge = r >= 0; break;
    case ParallelPrefix::U: ge = subtract ? r >= 0 : r >= (s64{1} << width); break;
    case ParallelPrefix::Q: out = clamp_signed(r, width, ignored); break;
    case ParallelPrefix::UQ: out = clamp_unsigned(r, width, ignored); break;
    case ParallelPrefix::SH:
    case ParallelPrefix::UH: out = r >> 1; break;
  }
  return static_cast<u32>(static_cast<u64>(out) & low_mask(width));
}

}  // namespace

u32 add_overflow(u32 a, u32 b, arm::CpuState&) {
  const u32 r = a + b;
  return (~(a ^ b) & (a ^ r)) >> 31;
}
u32 qadd(u32 a, u32 b, arm::CpuState& s) { return saturating(s64{static_cast<s32>(a)} + static_cast<s32>(b), s); }
u32 qsub(u32 a, u32 b, arm::CpuState& s) { return saturating(s64{static_cast<s32>(a)} - static_cast<s32>(b), s); }

u32 ssat(u32 a, u32 width, arm::CpuState& s) {
  bool saturated = false;
  const s64 r = clamp_signed(static_cast<s32>(a), width, saturated);
  s.q |= saturated;
  return static_cast<u32>(r);
}
u32 usat(u32 a, u32 width, arm::CpuState& s) {
  bool saturated = false;
  const s64 r = clamp_unsigned(static_cast<s32>(a), width, saturated);
  s.q |= saturated;
  return static_cast<u32>(r);
}
u32 ssat16(u32 a, u32 width, arm::CpuState& s) {
  bool saturated = false;
  const s64 low = clamp_signed(lane(a, 0, 16, true), width, saturated);
  const s64 high = clamp_signed(lane(a, 1, 16, true), width, saturated);
  s.q |= saturated;
  return (static_cast<u32>(low) & 0xffff) | static_cast<u32>(high) << 16;
}
u32 usat16(u32 a, u32 width, arm::CpuState& s) {
  bool saturated = false;
  const s64 low = clamp_unsigned(lane(a, 0, 16, true), width, saturated);
  const s64 high = clamp_unsigned(lane(a, 1, 16, true), width, saturated);
  s.q |= saturated;
  return static_cast<u32>(low) | static_cast<u32>(high) << 16;
}

u32 sel(u32 a, u32 b, arm::CpuState& s) {
  u32 mask = 0;
  for (u32 k = 0; k < 4; ++k)
    if (s.ge >> k & 1) mask |= 0xffu << (8 * k);
  return (a & mask) | (b & ~mask);
}

u32 usad8(u32 a, u32 b, arm::CpuState&) {
  u32 sum = 0;
  for (u32 k = 0; k < 4; ++k) {
    const s64 d = lane(a, k, 8, false) - lane(b, k, 8, false);
    sum += static_cast<u32>(d < 0 ? -d : d);
  }
  return sum;
}

u32 parallel(u32 a, u32 b, u32 kind, arm::CpuState& s) {
  const auto prefix = static_cast<ParallelPrefix>(kind >> 4);
  const auto op = static_cast<ParallelKind>(kind & 15);
  const bool is_signed = prefix <= ParallelPrefix::SH;
  const u32 width = op >= ParallelKind::Add8 ? 8 : 16, lanes = 32 / width;
  const bool exchange = op == ParallelKind::Asx || op == ParallelKind::Sax;
  u32 result = 0;
  u8 ge = 0;
  for (u32 k = 0; k < lanes; ++k) {
    bool subtract = op == ParallelKind::Sub16 || op == ParallelKind::Sub8;
    if (exchange) subtract = (op == ParallelKind::Asx) == (k == 0);
    const s64 x = lane(a, k, width, is_signed), y = lane(b, exchange ? 1 - k : k, width, is_signed);
    bool lane_ge = false;
    result |= parallel_lane(x, y, subtract, width, prefix, lane_ge) << (k * width);
    if (lane_ge) ge |= static_cast<u8>((width == 8 ? 1 : 3) << (k * width / 8));
  }
  if (prefix == ParallelPrefix::S || prefix == ParallelPrefix::U) s.ge = ge;
  return result;
}

}  // namespace armvisor::engine::dsp
