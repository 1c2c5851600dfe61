#pragma once
// The configuration space of a PCI function (PCI Local Bus Specification 3.0, chapter 6): 256 bytes, of which a mask
// says what the guest may write. Offsets in bytes; numbers are little-endian.
#include <array>
#include <optional>
#include <span>

#include "base/types.h"

namespace armvisor::devices::pci {

/// Offsets of the header.
enum Header : u32 {
  VendorId = 0x00,
  DeviceId = 0x02,
  Command = 0x04,
  StatusRegister = 0x06,
  Revision = 0x08,
  ClassCode = 0x09,
  HeaderType = 0x0e,
  BaseAddress = 0x10,
  SubsystemVendorId = 0x2c,
  SubsystemId = 0x2e,
  CapabilityList = 0x34,
  InterruptLine = 0x3c,
  InterruptPin = 0x3d,
};

inline constexpr u16 k_command_io = 1, k_command_memory = 2, k_command_master = 4, k_command_no_intx = 0x400;
inline constexpr u16 k_status_intx = 8, k_status_capabilities = 0x10;
inline constexpr u8 k_multifunction = 0x80;  ///< of HeaderType

struct Identity {
  u16 vendor, device;
  u32 class_code;  ///< 24 bits
  u8 revision = 0;
  u16 subsystem_vendor = 0, subsystem = 0;
};

enum class BarKind : u8 { Io, Memory, Memory64 };  ///< the last is prefetchable, and takes two registers

class ConfigSpace {
 public:
  static constexpr u32 k_size = 256, k_bars = 6;

  explicit ConfigSpace(const Identity& identity);

  // By the guest: of 1, 2 or 4 bytes at any offset. What lies beyond reads as ones.
  u32 read(u32 offset, u32 size) const;
  void write(u32 offset, u32 size, u32 value);

  u16 command() const { return static_cast<u16>(read(Command, 2)); }

  // By the device.
  void set(u32 offset, u32 size, u32 value);
  void allow(u32 offset, u32 size, u32 mask);  ///< bits that the guest may write, besides
  void add_bar(u32 index, BarKind kind, u32 size);
  /// `body`: what follows the identifier and the pointer to the next. Returns the capability's offset.
  u32 add_capability(u8 id, std::span<const u8> body);

  /// The address that is in a base address register, if the command register has the function decode it.
  std::optional<u64> bar_address(u32 index, BarKind kind) const;

 private:
  std::array<u8, k_size> bytes_{}, writable_{};
  u32 next_capability_ = 0x40;
};

}  // namespace armvisor::devices::pci
