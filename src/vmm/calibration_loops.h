#pragma once
// The loops of the calibration guest, by what each was made to show (docs/cost-model.md).
#include <string_view>
#include <vector>

#include "vmm/a32_assembler.h"
#include "vmm/calibration_guest.h"

namespace armvisor::vmm::calibration {

// Registers: R0-R4 scratch and arguments of hypercalls, R5 rounds, R7 what an Undefined Instruction means, R8-R10
// addresses, R11 where a loop returns to, R12 where a Prefetch Abort goes on.
inline constexpr u32 k_rounds = 5, k_undefined_ends = 7, k_return = 11, k_resume = 12;
inline constexpr u32 k_ram = static_cast<u32>(machine::k_virt.ram.base.value);
inline constexpr u32 k_l1 = k_ram + 0x200000, k_l2 = k_ram + 0x204000;
inline constexpr u32 k_data_va = 0x80000000, k_data = k_ram + 0x300000;  // 256 pages
inline constexpr u32 k_code_va = 0x80100000, k_code = k_ram + 0x400000;  // 256 pages that hold BX LR
inline constexpr u32 k_nothing = 0x90000000;                             // not mapped
constexpr u32 device(machine::DeviceKind kind, u32 region = 0) {
  return static_cast<u32>(machine::k_virt.base(kind, region).value);
}
inline constexpr u32 k_gicd = device(machine::DeviceKind::Gic), k_gicc = device(machine::DeviceKind::Gic, 1),
                     k_pl011 = device(machine::DeviceKind::Uart), k_virtio = device(machine::DeviceKind::VirtioMmio);
inline constexpr u32 k_bx_lr = 0xe12fff1e, k_hvc = 0xe1400070, k_svc = 0xef000000, k_undefined = 0xe7f000f0,
                     k_dsb = 0xf57ff04f;
inline constexpr u32 k_cpsid_i = 0xf10c0080, k_cpsie_i = 0xf1080080;
inline constexpr u32 k_user = 0x10, k_fiq = 0x11, k_supervisor = 0x13, k_system = 0x1f;
// Two addresses that have one entry of a vCPU's jump cache between them.
inline constexpr u32 k_pair = k_ram + 0x20000, k_other_of_pair = k_pair ^ 0x10010;

struct Loop {
  std::string_view term;      ///< as measure::Calibration names it
  u32 rounds, rounds_before;  ///< measured, and before that
  void (*before)(A32Assembler&);
  void (*body)(A32Assembler&);
  void (*after)(A32Assembler&) = nullptr;
  bool windowed = false;  ///< as CalibrationLoop's
};

const std::vector<Loop>& loops();

}  // namespace armvisor::vmm::calibration
