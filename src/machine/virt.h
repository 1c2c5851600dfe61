#pragma once
// The board that QEMU calls "virt": the same addresses and interrupts, so that the same images boot on both.
#include <array>

#include "devices/pl011.h"
#include "devices/pl031.h"
#include "devices/virtio/mmio.h"
#include "machine/board.h"

namespace armvisor::machine {

inline constexpr u64 k_virt_flash_bank = 0x0400'0000;
inline constexpr Placement k_virt_devices[] = {
    {DeviceKind::Gic,
     {{{{GuestPa(0x0800'0000), devices::Gic::k_distributor_size},
        {GuestPa(0x0801'0000), devices::Gic::k_cpu_interface_size}}}}},
    {DeviceKind::ArchTimer},
    {DeviceKind::FixedClock},
    {DeviceKind::Uart, {{{{GuestPa(0x0900'0000), devices::Pl011::k_region_size}}}, 1}},
    {DeviceKind::Rtc, {{{{GuestPa(0x0901'0000), devices::Pl031::k_region_size}}}, 2}},
    {DeviceKind::Flash, {{{{GuestPa(0), k_virt_flash_bank}, {GuestPa(0x0400'0000), k_virt_flash_bank}}}}},
    {DeviceKind::VirtioMmio, {{{{GuestPa(0x0a00'0000), devices::virtio::MmioTransport::k_region_size}}}, 16}, 32},
};

inline constexpr Board k_virt = {
    .name = "virt",
    .compatible = "linux,dummy-virt",
    .cpu_compatible = "arm,cortex-a15",
    .max_vcpus = k_max_vcpus,
    .ram = {GuestPa(0x4000'0000), 0xc000'0000},  // to the end of 32-bit physical space
    .min_ram = 0x0200'0000,
    .devices = k_virt_devices,
};
static_assert(is_sound(k_virt));

/// The same with a second UART, which QEMU has when two serial lines are asked for.
inline constexpr auto k_virt_two_uarts_devices = [] {
  std::array<Placement, std::size(k_virt_devices) + 1> all{};
  std::ranges::copy(k_virt_devices, all.begin());
  all.back() = {DeviceKind::SecondUart, {{{{GuestPa(0x0904'0000), devices::Pl011::k_region_size}}}, 8}};
  return all;
}();
inline constexpr Board k_virt_two_uarts = [] {
  Board board = k_virt;
  board.name = "virt_two_uarts";
  board.devices = k_virt_two_uarts_devices;
  return board;
}();
static_assert(is_sound(k_virt_two_uarts));

}  // namespace armvisor::machine
