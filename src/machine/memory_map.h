#pragma once
// Guest physical memory map and interrupt numbers of the board, those of QEMU's "virt" machine, so that the same images
// boot on both.
#include "base/types.h"

namespace armvisor::machine {

inline constexpr GuestPa k_flash0_base{0x0000'0000}, k_flash1_base{0x0400'0000};
inline constexpr u64 k_flash_size = 0x0400'0000;  ///< of each of the two banks
inline constexpr GuestPa k_gic_dist_base{0x0800'0000}, k_gic_cpu_base{0x0801'0000};
inline constexpr u64 k_gic_dist_size = 0x1'0000, k_gic_cpu_size = 0x1'0000;
inline constexpr GuestPa k_uart_base{0x0900'0000}, k_rtc_base{0x0901'0000};
inline constexpr u64 k_uart_size = 0x1000, k_rtc_size = 0x1000;
inline constexpr GuestPa k_virtio_base{0x0a00'0000};
inline constexpr u64 k_virtio_size = 0x200;
inline constexpr u32 k_virtio_count = 32;
inline constexpr GuestPa k_ram_base{0x4000'0000};
/// What lies between RAM base and the end of 32-bit physical space.
inline constexpr u64 k_ram_max = 0xc000'0000, k_ram_min = 0x0200'0000;

// Shared peripheral interrupts, as numbered in the device tree (GIC interrupt ID minus 32).
inline constexpr u32 k_uart_spi = 1, k_rtc_spi = 2, k_virtio_spi = 16;
inline constexpr u32 k_gic_spis = 224;  ///< interrupt IDs 32 to 255
// Private peripheral interrupts of the generic timer (interrupt ID minus 16).
inline constexpr u32 k_timer_secure_ppi = 13, k_timer_ppi = 14, k_timer_virtual_ppi = 11, k_timer_hyp_ppi = 10;

inline constexpr u32 k_counter_hz = 62'500'000;
inline constexpr u32 k_uart_clock_hz = 24'000'000;
inline constexpr u32 k_max_vcpus = 8;

}  // namespace armvisor::machine
