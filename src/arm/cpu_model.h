#pragma once
// Models of CPUs, by what they say of themselves. Their features are all the same, those of cp15.inc.
#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "base/types.h"

namespace armvisor::arm {

/// Registers that tell models apart; the others are constants of cp15.inc.
struct CpuIds {
  u32 midr = 0, ctr = 0, mmfr0 = 0, mmfr1 = 0;
  std::array<u32, 3> ccsidr{};  ///< by CSSELR: data, instructions, second level
  u32 fpsid = 0;
  u32 pmcr = 0;  ///< PMCR[31:11]: implementer, identification, number of counters
};

enum class CpuModel : u8 {
#define MODEL(model, ...) model,
#include "arm/cpu_models.inc"
#undef MODEL
};

struct CpuModelRow {
  CpuModel model;
  std::string_view name;        ///< as QEMU has it
  std::string_view compatible;  ///< of the device tree
  CpuIds ids;
};
std::span<const CpuModelRow> cpu_models();
const CpuModelRow& row(CpuModel model);
std::optional<CpuModel> find_cpu_model(std::string_view name);

}  // namespace armvisor::arm
