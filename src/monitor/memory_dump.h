#pragma once
// The monitor's commands "x" and "xp": the guest's memory, in QEMU's forms.
#include <string>
#include <vector>

#include "monitor/control.h"

namespace armvisor::monitor {

/// `words`: [/COUNT FORMAT SIZE] ADDRESS, of which the first is one word. FORMAT is x, d, u, o or c, SIZE b, h, w or g.
/// Without a vCPU the address is physical.
std::string dump_memory(MachineControl& machine, std::optional<u32> cpu, const std::vector<std::string>& words);

}  // namespace armvisor::monitor
