#pragma once
// The description of a machine, as values: from a Board come the memory map, the interrupts, the devices that are made,
// the device tree and the limits of options. Nothing else in the program has an address of a board.
#include <algorithm>
#include <span>
#include <string_view>

#include "base/platform.h"
#include "devices/device_tree.h"
#include "devices/gic.h"
#include "devices/gic_v2m.h"

namespace armvisor::machine {

enum class DeviceKind : u8 {
#define DEVICE(kind, type, regions, interrupts, make) kind,
#include "machine/devices.inc"
#undef DEVICE
};

/// What a board has to give a device of a kind.
struct DeviceNeeds {
  std::size_t regions;  ///< at least
  u32 interrupts;
};
inline constexpr DeviceNeeds k_device_needs[] = {
#define DEVICE(kind, type, regions, interrupts, make) {regions, interrupts},
#include "machine/devices.inc"
#undef DEVICE
};

/// Devices of one kind: `count` of them, each of one region if there are several, whose addresses and interrupts follow
/// each other.
struct Placement {
  DeviceKind kind;
  devices::Site first{};
  u32 count = 1;

  constexpr devices::Site site(u32 n) const {
    devices::Site s = first;
    s.regions[0].base = s.regions[0].base + n * s.regions[0].size;
    if (s.spi) s.spi = *s.spi + n;  // kinds of which there are several have one each
    return s;
  }
};

struct Board {
  std::string_view name;
  std::string_view compatible;      ///< of the device tree's root
  std::string_view cpu_compatible;  ///< of its CPUs
  u32 max_vcpus;
  devices::Region ram;  ///< where it begins, and the most there may be
  u64 min_ram;
  std::span<const Placement> devices;  ///< in the order of the device tree; each kind once

  constexpr const Placement* find(DeviceKind kind) const {
    const auto at = std::ranges::find(devices, kind, &Placement::kind);
    return at == devices.end() ? nullptr : &*at;
  }
  constexpr bool has(DeviceKind kind) const {
    for (std::size_t k = 0; k < devices.size(); ++k)  // (GCC 12 with UBSan takes no test of a pointer as constant)
      if (devices[k].kind == kind) return true;
    return false;
  }
  /// How much of `ram_size` bytes of RAM is in reach of 32-bit physical addresses: of code before it turns LPAE on, and
  /// of kernels without it.
  constexpr u64 low_ram(u64 ram_size) const { return std::min(ram_size, (u64{1} << 32) - ram.base.value); }
  /// The first region of a device that the board has.
  constexpr GuestPa base(DeviceKind kind, u32 region = 0) const { return find(kind)->first.regions[region].base; }
};

// --- whether a machine can be as a board says

constexpr bool overlap(const devices::Region& a, const devices::Region& b) {
  return a.base.value < b.base.value + b.size && b.base.value < a.base.value + a.size;
}

/// The n-th region of all devices of a placement together.
constexpr devices::Region whole(const Placement& p, std::size_t n) {
  return {p.first.regions[n].base, p.first.regions[n].size * p.count};
}

/// The last part of RAM, and what devices have beyond their needs, is for those who use the long descriptors' 40 bits
/// of physical address; all else is for all.
inline constexpr u32 k_short_address_bits = 32, k_long_address_bits = 40;
constexpr bool is_in_reach(const devices::Region& r, u32 address_bits = k_short_address_bits) {
  return r.size != 0 && r.base.value % k_page_size == 0 && r.base.value + r.size <= u64{1} << address_bits;
}

/// How many SPIs each device of a placement has: a GIC those of its frame for messages, if it has one.
constexpr u32 interrupts_of_each(const Placement& p) {
  const bool messages = p.kind == DeviceKind::Gic && p.first.used().size() > 2;
  return messages ? devices::GicV2m::k_interrupts : k_device_needs[static_cast<std::size_t>(p.kind)].interrupts;
}

/// It has what its kind needs, apart from the board's RAM and from itself.
constexpr bool is_sound(const Placement& p, const Board& board) {
  const DeviceNeeds& needs = k_device_needs[static_cast<std::size_t>(p.kind)];
  const std::size_t regions = p.first.used().size();
  if (p.count < 1 || (p.count > 1 && regions != 1) || regions < needs.regions) return false;
  const u32 interrupts = interrupts_of_each(p);
  if (p.first.spi.has_value() != (interrupts != 0)) return false;
  if (p.first.spi && *p.first.spi + p.count * interrupts > devices::Gic::k_spis) return false;
  for (std::size_t n = 0; n < regions; ++n) {
    const bool needed = n < needs.regions;  // what is there besides may be for those who use long descriptors
    if (!is_in_reach(whole(p, n), needed ? k_short_address_bits : k_long_address_bits)) return false;
    if (overlap(whole(p, n), board.ram)) return false;
  }
  for (std::size_t n = 1; n < regions; ++n)
    for (std::size_t k = 0; k < n; ++k)
      if (overlap(whole(p, k), whole(p, n))) return false;
  return true;
}

/// They do not share a place or an interrupt.
constexpr bool are_apart(const Placement& p, const Placement& q) {
  if (p.kind == q.kind) return false;
  const u32 p_spis = p.count * interrupts_of_each(p), q_spis = q.count * interrupts_of_each(q);
  if (p.first.spi && q.first.spi && *p.first.spi < *q.first.spi + q_spis && *q.first.spi < *p.first.spi + p_spis)
    return false;
  for (std::size_t a = 0; a < p.first.used().size(); ++a)
    for (std::size_t b = 0; b < q.first.used().size(); ++b)
      if (overlap(whole(p, a), whole(q, b))) return false;
  return true;
}

/// All boards are: the machine and its device tree count on it.
constexpr bool is_sound(const Board& board) {
  if (board.max_vcpus < 1 || board.max_vcpus > k_max_vcpus) return false;
  if (!is_in_reach(board.ram, k_long_address_bits) || board.ram.base.value >= u64{1} << k_short_address_bits ||
      board.min_ram > board.ram.size)
    return false;
  if (!board.has(DeviceKind::Gic) || !board.has(DeviceKind::ArchTimer)) return false;
  for (std::size_t i = 0; i < board.devices.size(); ++i) {
    if (!is_sound(board.devices[i], board)) return false;
    for (std::size_t k = 0; k < i; ++k)
      if (!are_apart(board.devices[i], board.devices[k])) return false;
  }
  return true;
}

}  // namespace armvisor::machine
