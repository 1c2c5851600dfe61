#pragma once
// Strong types for the quantities that must not be mixed up.
#include <compare>
#include <cstddef>
#include <cstdint>

namespace armvisor {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;
__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 s128;

/// A value that converts to and from its representation only on request.
template <class Tag, class Rep>
struct Strong {
  Rep value{};
  constexpr Strong() = default;
  constexpr explicit Strong(Rep v) : value(v) {}
  constexpr auto operator<=>(const Strong&) const = default;
  constexpr Strong operator+(Rep delta) const { return Strong(static_cast<Rep>(value + delta)); }
};

/// Guest virtual address (32 bits; wraps).
using GuestVa = Strong<struct GuestVaTag, u32>;
/// Guest physical address (40 bits with the long-descriptor format).
using GuestPa = Strong<struct GuestPaTag, u64>;
/// Address space identifier (8 bits).
using Asid = Strong<struct AsidTag, u8>;

inline constexpr u32 k_page_bits = 12;
inline constexpr u32 k_page_size = 1u << k_page_bits;
inline constexpr u32 k_page_mask = k_page_size - 1;

/// A 128-bit vector register or temporary; element 0 is in the low bits of `lo`.
struct alignas(16) V128 {
  u64 lo = 0;
  u64 hi = 0;
  constexpr bool operator==(const V128&) const = default;
};

}  // namespace armvisor
