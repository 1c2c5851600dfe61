#pragma once
// Accesses to guest RAM by vCPUs: relaxed atomics of their size when aligned, so that no other vCPU sees a torn
// value; by elements, or by bytes, otherwise, which is what the architecture promises (ARM DDI 0406C A3.5.3).
#include <type_traits>

#include "base/types.h"

namespace armvisor::engine {

template <class T>
inline T guest_load(u64 host) {
  return __atomic_load_n(reinterpret_cast<const T*>(host), __ATOMIC_RELAXED);
}
template <class T>
inline void guest_store(u64 host, T value) {
  __atomic_store_n(reinterpret_cast<T*>(host), value, __ATOMIC_RELAXED);
}

/// `size` is 1, 2, 4 or 8 and divides the address.
inline u64 guest_load_aligned(u64 host, u32 size) {
  switch (size) {
    case 1: return guest_load<u8>(host);
    case 2: return guest_load<u16>(host);
    case 4: return guest_load<u32>(host);
    default: return guest_load<u64>(host);
  }
}
inline void guest_store_aligned(u64 host, u32 size, u64 value) {
  switch (size) {
    case 1: guest_store<u8>(host, static_cast<u8>(value)); break;
    case 2: guest_store<u16>(host, static_cast<u16>(value)); break;
    case 4: guest_store<u32>(host, static_cast<u32>(value)); break;
    default: guest_store<u64>(host, value); break;
  }
}

/// `size` bytes, of which each `unit` is in one piece: it divides the address and the size.
inline u64 guest_load_units(u64 host, u32 size, u32 unit) {
  u64 value = 0;
  for (u32 k = 0; k < size; k += unit) value |= guest_load_aligned(host + k, unit) << (8 * k);
  return value;
}
inline void guest_store_units(u64 host, u32 size, u32 unit, u64 value) {
  for (u32 k = 0; k < size; k += unit) guest_store_aligned(host + k, unit, value >> (8 * k));
}
inline u64 guest_load_bytes(u64 host, u32 size) { return guest_load_units(host, size, 1); }

inline u64 byte_swap(u64 value, u32 size) { return __builtin_bswap64(value) >> (64 - 8 * size); }

}  // namespace armvisor::engine
