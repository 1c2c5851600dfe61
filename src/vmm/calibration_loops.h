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
inline constexpr u32 k_l1 = 0x40200000, k_l2 = 0x40204000;
inline constexpr u32 k_data_va = 0x80000000, k_data = 0x40300000;  // 256 pages
inline constexpr u32 k_code_va = 0x80100000, k_code = 0x40400000;  // 256 pages that hold BX LR
inline constexpr u32 k_nothing = 0x90000000;                       // not mapped
inline constexpr u32 k_gicd = 0x08000000, k_gicc = 0x08010000, k_pl011 = 0x09000000, k_virtio = 0x0a000000;
inline constexpr u32 k_bx_lr = 0xe12fff1e, k_hvc = 0xe1400070, k_svc = 0xef000000, k_undefined = 0xe7f000f0,
                     k_dsb = 0xf57ff04f;
inline constexpr u32 k_cpsid_i = 0xf10c0080, k_cpsie_i = 0xf1080080;
inline constexpr u32 k_user = 0x10, k_fiq = 0x11, k_supervisor = 0x13, k_system = 0x1f;
// Two addresses that have one entry of a vCPU's jump cache between them.
inline constexpr u32 k_pair = 0x40020000, k_other_of_pair = k_pair ^ 0x10010;

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
