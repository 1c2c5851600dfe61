#pragma once
// Numbers that several layers have to agree on, whatever board they serve.
#include "base/types.h"

namespace armvisor {

/// Most vCPUs of a machine: as many as a GICv2 has targets for (IHI 0048B 4.3.12). Sets of vCPUs are bytes.
inline constexpr u32 k_max_vcpus = 8;
static_assert(k_max_vcpus <= 8);

/// Frequency of the system counter (CNTFRQ).
inline constexpr u32 k_counter_hz = 62'500'000;

}  // namespace armvisor
