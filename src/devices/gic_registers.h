#pragma once
// Offsets and constants of the GICv2 register maps (ARM IHI 0048B Tables 4-1 and 4-2) and of the GIC-400's IDs.
#include "base/types.h"

namespace armvisor::devices::gicv2 {

inline constexpr u32 GICD_CTLR = 0x000, GICD_TYPER = 0x004, GICD_IIDR = 0x008, GICD_IGROUPR = 0x080,
                     GICD_ISENABLER = 0x100, GICD_ICENABLER = 0x180, GICD_ISPENDR = 0x200, GICD_ICPENDR = 0x280,
                     GICD_ISACTIVER = 0x300, GICD_ICACTIVER = 0x380, GICD_IPRIORITYR = 0x400, GICD_ITARGETSR = 0x800,
                     GICD_ICFGR = 0xc00, GICD_PPISR = 0xd00, GICD_NSACR = 0xe00, GICD_SGIR = 0xf00,
                     GICD_CPENDSGIR = 0xf10, GICD_SPENDSGIR = 0xf20, GICD_IDS = 0xfd0, GICD_END = 0x1000;

inline constexpr u32 GICC_CTLR = 0x000, GICC_PMR = 0x004, GICC_BPR = 0x008, GICC_IAR = 0x00c, GICC_EOIR = 0x010,
                     GICC_RPR = 0x014, GICC_HPPIR = 0x018, GICC_ABPR = 0x01c, GICC_AIAR = 0x020, GICC_AEOIR = 0x024,
                     GICC_AHPPIR = 0x028, GICC_APR0 = 0x0d0, GICC_IIDR = 0x0fc, GICC_DIR = 0x1000;

inline constexpr u32 k_gicd_iidr = 0x0200143b, k_gicc_iidr = 0x0202143b;  // GIC-400 r0p1
inline constexpr u8 k_gicd_ids[12] = {0x04, 0, 0, 0, 0x90, 0xb4, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1};

/// Implemented priority bits: 32 levels. The binary point cannot be below what they can express.
inline constexpr u8 k_priority_mask = 0xf8;
inline constexpr u32 k_priority_shift = 3;
inline constexpr u8 k_min_bpr = 2, k_min_abpr = 3;
inline constexpr u32 k_ctlr_enable = 1u << 0, k_ctlr_eoimode = 1u << 9;

/// Group priority of `priority` with binary point `bpr` (3.3.3).
constexpr u32 group_priority(u8 priority, u8 bpr) { return priority & ~((2u << bpr) - 1) & 0xff; }

}  // namespace armvisor::devices::gicv2
