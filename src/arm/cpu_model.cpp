#include "arm/cpu_model.h"

#include <algorithm>

namespace armvisor::arm {
namespace {

constexpr CpuModelRow k_models[] = {
#define MODEL(model, name, compatible, midr, ctr, mmfr0, mmfr1, data, instructions, l2, fpsid, pmcr) \
  {CpuModel::model, name, compatible, {midr, ctr, mmfr0, mmfr1, {data, instructions, l2}, fpsid, pmcr}},
#include "arm/cpu_models.inc"
#undef MODEL
};

}  // namespace

std::span<const CpuModelRow> cpu_models() { return k_models; }

const CpuModelRow& row(CpuModel model) { return k_models[static_cast<std::size_t>(model)]; }

std::optional<CpuModel> find_cpu_model(std::string_view name) {
  const auto found = std::ranges::find(k_models, name, &CpuModelRow::name);
  return found == std::end(k_models) ? std::nullopt : std::optional(found->model);
}

}  // namespace armvisor::arm
