#pragma once
// The counters of a machine at one moment, or their change between two.
#include <string>
#include <vector>

#include "measure/clock.h"
#include "measure/counters.h"
#include "measure/steps.h"

namespace armvisor::measure {

struct VcpuSnapshot {
  std::array<u64, k_counters> counters{};
  std::array<u64, k_vcpu_times> ns{};
  u64 cpu_ns = 0;  ///< of a host CPU that its thread has had

  u64& operator[](Counter c) { return counters[static_cast<u32>(c)]; }
  u64 operator[](Counter c) const { return counters[static_cast<u32>(c)]; }
  u64 sum(Group group) const;
};

/// Accesses of the guest to one device's registers.
struct DeviceSnapshot {
  std::string name;
  u64 reads = 0, writes = 0;
  u64 ns = 0;  ///< in the device model, waiting for its lock included
  StepSnapshots steps{};
};

struct Snapshot {
  u64 ns = 0;  ///< host time since the machine began to run
  std::vector<VcpuSnapshot> vcpus;
  std::array<u64, k_machine_counters> machine{};
  std::vector<DeviceSnapshot> devices;

  u64& operator[](MachineCounter c) { return machine[static_cast<u32>(c)]; }
  u64 operator[](MachineCounter c) const { return machine[static_cast<u32>(c)]; }
  VcpuSnapshot total() const;  ///< over the vCPUs
};

/// What happened from `earlier` to `later`; levels are those of `later`. Counts that went back (a reader of running
/// vCPUs can see that of times) are 0.
Snapshot difference(const Snapshot& later, const Snapshot& earlier);
/// Adds what happened in `part`; levels are those of `part`.
void accumulate(Snapshot& total, const Snapshot& part);

}  // namespace armvisor::measure
