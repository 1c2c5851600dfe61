#pragma once
// The board that QEMU calls "virt": the same addresses and interrupts, so that the same images boot on both.
#include <array>

#include "devices/fw_cfg.h"
#include "devices/pl011.h"
#include "devices/pl031.h"
#include "devices/power_key.h"
#include "devices/virtio/mmio.h"
#include "machine/board.h"

namespace armvisor::machine {

inline constexpr u64 k_virt_flash_bank = 0x0400'0000;
/// QEMU has room for 255 GiB. No 32-bit kernel has room for what it notes of so many pages; what is noted of them here
/// takes 0.3% of them, all of it from the start.
inline constexpr u64 k_virt_most_ram = u64{31} << 30;
inline constexpr Placement k_virt_gic = {DeviceKind::Gic,
                                         {{{{GuestPa(0x0800'0000), devices::Gic::k_distributor_size},
                                            {GuestPa(0x0801'0000), devices::Gic::k_cpu_interface_size}}}}};
inline constexpr Placement k_virt_devices[] = {
    k_virt_gic,
    {DeviceKind::ArchTimer},
    {DeviceKind::FixedClock},
    {DeviceKind::Uart, {{{{GuestPa(0x0900'0000), devices::Pl011::k_region_size}}}, 1}},
    {DeviceKind::Rtc, {{{{GuestPa(0x0901'0000), devices::Pl031::k_region_size}}}, 2}},
    {DeviceKind::Gpio, {{{{GuestPa(0x0903'0000), devices::Pl061::k_region_size}}}, 7}},
    {DeviceKind::PowerKey},
    {DeviceKind::Flash, {{{{GuestPa(0), k_virt_flash_bank}, {GuestPa(0x0400'0000), k_virt_flash_bank}}}}},
    {DeviceKind::FwCfg, {{{{GuestPa(0x0902'0000), devices::FwCfg::k_region_size}}}}},
    {DeviceKind::VirtioMmio, {{{{GuestPa(0x0a00'0000), devices::virtio::MmioTransport::k_region_size}}}, 16}, 32},
};

/// The second UART, which QEMU has when two serial lines are asked for.
inline constexpr Placement k_virt_second_uart = {DeviceKind::SecondUart,
                                                 {{{{GuestPa(0x0904'0000), devices::Pl011::k_region_size}}}, 8}};
/// PCI as QEMU has it with highmem=off, all of it in reach of 32-bit addresses: 16 buses' configuration, the windows of
/// memory and of I/O ports; and the GIC's frame for messages.
inline constexpr Placement k_virt_low_pci = {
    DeviceKind::PciHost,
    {{{{GuestPa(0x3f00'0000), 0x0100'0000}, {GuestPa(0x1000'0000), 0x2eff'0000}, {GuestPa(0x3eff'0000), 0x1'0000}}},
     3}};
/// And with the window for 64-bit addresses that QEMU's has otherwise, at its place in machines with up to 255 GiB.
inline constexpr Placement k_virt_pci = [] {
  Placement pci = k_virt_low_pci;
  pci.first.regions[3] = {GuestPa(0x80'0000'0000), 0x80'0000'0000};
  return pci;
}();
inline constexpr Placement k_virt_gic_with_messages = [] {
  Placement gic = k_virt_gic;
  gic.first.regions[2] = {GuestPa(0x0802'0000), devices::GicV2m::k_region_size};
  gic.first.spi = 48;
  return gic;
}();

enum class VirtPci { None, Low, High };

template <bool two_uarts, VirtPci pci>
inline constexpr auto k_virt_all_devices = [] {
  constexpr bool has_pci = pci != VirtPci::None;
  std::array<Placement, std::size(k_virt_devices) + two_uarts + has_pci> all{};
  auto end = std::ranges::copy(k_virt_devices, all.begin()).out;
  if (two_uarts) *end++ = k_virt_second_uart;
  if (has_pci) *end++ = pci == VirtPci::High ? k_virt_pci : k_virt_low_pci;
  if (has_pci) all[0] = k_virt_gic_with_messages;
  return all;
}();

template <bool two_uarts, VirtPci pci>
inline constexpr Board k_virt_with = {
    .name = pci != VirtPci::None ? (two_uarts ? "virt_two_uarts_pci" : "virt_pci")
                                 : (two_uarts ? "virt_two_uarts" : "virt"),
    .compatible = "linux,dummy-virt",
    .cpu_compatible = "arm,cortex-a15",
    .max_vcpus = k_max_vcpus,
    .ram = {GuestPa(0x4000'0000), k_virt_most_ram},
    .min_ram = 0x0010'0000,
    .devices = k_virt_all_devices<two_uarts, pci>,
};
inline constexpr const Board& k_virt = k_virt_with<false, VirtPci::None>;

template <bool two_uarts>
constexpr const Board& virt_board_with(VirtPci pci) {
  switch (pci) {
    case VirtPci::None: return k_virt_with<two_uarts, VirtPci::None>;
    case VirtPci::Low: return k_virt_with<two_uarts, VirtPci::Low>;
    case VirtPci::High: break;
  }
  return k_virt_with<two_uarts, VirtPci::High>;
}
/// The board with what is not always there.
constexpr const Board& virt_board(bool two_uarts, VirtPci pci) {
  return two_uarts ? virt_board_with<true>(pci) : virt_board_with<false>(pci);
}
static_assert(is_sound(virt_board(false, VirtPci::None)) && is_sound(virt_board(true, VirtPci::None)) &&
              is_sound(virt_board(false, VirtPci::Low)) && is_sound(virt_board(true, VirtPci::Low)) &&
              is_sound(virt_board(false, VirtPci::High)) && is_sound(virt_board(true, VirtPci::High)));

}  // namespace armvisor::machine
