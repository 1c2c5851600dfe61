#include "devices/pci/config_space.h"

#include <bit>

#include "base/assert.h"
#include "base/bits.h"

namespace armvisor::devices::pci {

ConfigSpace::ConfigSpace(const Identity& id) {
  set(VendorId, 2, id.vendor);
  set(DeviceId, 2, id.device);
  set(Revision, 1, id.revision);
  set(ClassCode, 1, id.class_code & 0xff);
  set(ClassCode + 1, 2, id.class_code >> 8);
  set(SubsystemVendorId, 2, id.subsystem_vendor);
  set(SubsystemId, 2, id.subsystem);
  constexpr u16 k_serr = 0x100;  // may be enabled, and never comes
  allow(Command, 2, k_command_io | k_command_memory | k_command_master | k_command_no_intx | k_serr);
  allow(InterruptLine, 1, 0xff);
  allow(0x0c, 1, 0xff);  // cache line size
}

u32 ConfigSpace::read(u32 offset, u32 size) const {
  u32 value = 0;
  for (u32 i = 0; i < size; ++i) {
    const u32 byte = offset + i < k_size ? bytes_[offset + i] : 0xff;
    value |= byte << (8 * i);
  }
  return value;
}

void ConfigSpace::write(u32 offset, u32 size, u32 value) {
  for (u32 i = 0; i < size && offset + i < k_size; ++i) {
    const u8 mask = writable_[offset + i], byte = static_cast<u8>(value >> (8 * i));
    bytes_[offset + i] = static_cast<u8>((bytes_[offset + i] & ~mask) | (byte & mask));
  }
}

void ConfigSpace::set(u32 offset, u32 size, u32 value) {
  for (u32 i = 0; i < size; ++i) bytes_[offset + i] = static_cast<u8>(value >> (8 * i));
}

void ConfigSpace::allow(u32 offset, u32 size, u32 mask) {
  for (u32 i = 0; i < size; ++i) writable_[offset + i] |= static_cast<u8>(mask >> (8 * i));
}

void ConfigSpace::add_bar(u32 index, BarKind kind, u32 size) {
  AV_ASSERT(index + (kind == BarKind::Memory64 ? 1 : 0) < k_bars && std::has_single_bit(size) && size >= 16);
  const u32 at = BaseAddress + 4 * index;
  set(at, 4, kind == BarKind::Io ? 1 : kind == BarKind::Memory ? 0 : 0xc);
  allow(at, 4, ~(size - 1));
  if (kind == BarKind::Memory64) allow(at + 4, 4, ~u32{0});
}

u32 ConfigSpace::add_capability(u8 id, std::span<const u8> body) {
  const u32 at = next_capability_;
  next_capability_ += align_up<u32>(2 + static_cast<u32>(body.size()), 4);
  AV_ASSERT(next_capability_ <= k_size);
  set(at, 1, id);
  set(at + 1, 1, bytes_[CapabilityList]);
  for (u32 i = 0; i < body.size(); ++i) set(at + 2 + i, 1, body[i]);
  set(CapabilityList, 1, at);
  set(StatusRegister, 2, k_status_capabilities);
  return at;
}

std::optional<u64> ConfigSpace::bar_address(u32 index, BarKind kind) const {
  if (!(command() & (kind == BarKind::Io ? k_command_io : k_command_memory))) return std::nullopt;
  const u32 at = BaseAddress + 4 * index;
  const u64 low = read(at, 4) & (kind == BarKind::Io ? ~u32{3} : ~u32{15});
  return kind == BarKind::Memory64 ? low | u64{read(at + 4, 4)} << 32 : low;
}

}  // namespace armvisor::devices::pci
