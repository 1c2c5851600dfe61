#include "measure/snapshot.h"

#include <algorithm>

namespace armvisor::measure {
namespace {

u64 since(u64 later, u64 earlier) { return later > earlier ? later - earlier : 0; }

template <class F>
void combine(Snapshot& a, const Snapshot& b, F f) {
  a.ns = f(a.ns, b.ns);
  a.vcpus.resize(std::max(a.vcpus.size(), b.vcpus.size()));
  for (std::size_t v = 0; v < b.vcpus.size(); ++v) {
    for (u32 k = 0; k < k_counters; ++k) a.vcpus[v].counters[k] = f(a.vcpus[v].counters[k], b.vcpus[v].counters[k]);
    for (u32 k = 0; k < k_vcpu_times; ++k) a.vcpus[v].ns[k] = f(a.vcpus[v].ns[k], b.vcpus[v].ns[k]);
    a.vcpus[v].cpu_ns = f(a.vcpus[v].cpu_ns, b.vcpus[v].cpu_ns);
  }
  for (u32 k = 0; k < k_machine_counters; ++k)
    if (!info(static_cast<MachineCounter>(k)).level) a.machine[k] = f(a.machine[k], b.machine[k]);
  for (const DeviceSnapshot& from : b.devices) {
    auto at = std::find_if(a.devices.begin(), a.devices.end(), [&](const auto& d) { return d.name == from.name; });
    if (at == a.devices.end()) at = a.devices.insert(at, {from.name});
    at->reads = f(at->reads, from.reads);
    at->writes = f(at->writes, from.writes);
    at->ns = f(at->ns, from.ns);
    for (u32 k = 0; k < k_steps; ++k) {
      at->steps[k].count = f(at->steps[k].count, from.steps[k].count);
      at->steps[k].ns = f(at->steps[k].ns, from.steps[k].ns);
    }
  }
}

}  // namespace

u64 VcpuSnapshot::sum(Group group) const {
  u64 n = 0;
  for (u32 k = 0; k < k_counters; ++k)
    if (info(static_cast<Counter>(k)).group == group) n += counters[k];
  return n;
}

VcpuSnapshot Snapshot::total() const {
  VcpuSnapshot sum;
  for (const VcpuSnapshot& vcpu : vcpus) {
    for (u32 k = 0; k < k_counters; ++k) sum.counters[k] += vcpu.counters[k];
    for (u32 k = 0; k < k_vcpu_times; ++k) sum.ns[k] += vcpu.ns[k];
    sum.cpu_ns += vcpu.cpu_ns;
  }
  return sum;
}

Snapshot difference(const Snapshot& later, const Snapshot& earlier) {
  Snapshot out = later;
  combine(out, earlier, since);
  return out;
}

void accumulate(Snapshot& total, const Snapshot& part) {
  combine(total, part, [](u64 a, u64 b) { return a + b; });
  for (u32 k = 0; k < k_machine_counters; ++k)
    if (info(static_cast<MachineCounter>(k)).level) total.machine[k] = part.machine[k];
}

}  // namespace armvisor::measure
