#include "machine/psci.h"

namespace armvisor::machine {
namespace {

// Function identifiers (DEN0022 5.1), 32-bit calls.
enum Function : u32 {
  k_smccc_version = 0x80000000,
  k_version = 0x84000000,
  k_cpu_suspend = 0x84000001,
  k_cpu_off = 0x84000002,
  k_cpu_on = 0x84000003,
  k_affinity_info = 0x84000004,
  k_migrate = 0x84000005,
  k_migrate_info_type = 0x84000006,
  k_system_off = 0x84000008,
  k_system_reset = 0x84000009,
  k_features = 0x8400000a,
};

constexpr u32 k_psci_1_0 = 1u << 16;
constexpr u32 k_no_migration_needed = 2;  // MIGRATE_INFO_TYPE: no Trusted OS, or it does not mind

u32 code(PsciStatus status) { return static_cast<u32>(status); }

/// The vCPU whose MPIDR affinity fields are `target`; cpu_count() when there is none.
u32 cpu_of(u32 target, const PowerControl& power) { return target < power.cpu_count() ? target : power.cpu_count(); }

u32 features(u32 function) {
  switch (function) {
    case k_smccc_version:  // there is SMCCC 1.1 or later (DEN0028 appendix B)
    case k_version:
    case k_cpu_suspend:  // flags 0: power_state in the original format, platform-coordinated mode
    case k_cpu_off:
    case k_cpu_on:
    case k_affinity_info:
    case k_migrate_info_type:
    case k_system_off:
    case k_system_reset:
    case k_features: return code(PsciStatus::Success);
    default: return code(PsciStatus::NotSupported);
  }
}

u32 affinity_info(u32 target, u32 lowest_level, PowerControl& power) {
  // All vCPUs share affinity levels 1 to 3, so a query at such a level is answered by vCPU 0, which is on as long as
  // anybody can ask (5.7).
  if (lowest_level > 3) return code(PsciStatus::InvalidParameters);
  if (lowest_level > 0) return static_cast<u32>(CpuPower::On);
  const u32 index = cpu_of(target, power);
  if (index == power.cpu_count()) return code(PsciStatus::InvalidParameters);
  return static_cast<u32>(power.cpu_power(index));
}

u32 cpu_on(u32 target, u32 entry, u32 context_id, PowerControl& power) {
  const u32 index = cpu_of(target, power);
  if (index == power.cpu_count()) return code(PsciStatus::InvalidParameters);
  return code(power.cpu_on(index, entry, context_id));
}

}  // namespace

void psci_call(arm::CpuState& s, u32 caller, PowerControl& power) {
  u32& r0 = s.r[0];
  switch (r0) {
    case k_version: r0 = k_psci_1_0; break;
    case k_cpu_suspend:
      r0 = code(PsciStatus::Success);
      power.cpu_suspend(caller);
      break;
    case k_cpu_off: power.cpu_off(caller); break;
    case k_cpu_on: r0 = cpu_on(s.r[1], s.r[2], s.r[3], power); break;
    case k_affinity_info: r0 = affinity_info(s.r[1], s.r[2], power); break;
    case k_migrate_info_type: r0 = k_no_migration_needed; break;
    case k_system_off: power.system_off(caller); break;
    case k_system_reset: power.system_reset(caller); break;
    case k_features: r0 = features(s.r[1]); break;
    default: r0 = code(PsciStatus::NotSupported); break;
  }
}

void describe_psci(devices::TreeWriter& tree) {
  tree.begin("psci");
  tree.texts("compatible", {"arm,psci-1.0", "arm,psci-0.2", "arm,psci"});
  tree.text("method", "hvc");
  tree.cells("cpu_suspend", {k_cpu_suspend});
  tree.cells("cpu_off", {k_cpu_off});
  tree.cells("cpu_on", {k_cpu_on});
  tree.cells("migrate", {k_migrate});
  tree.end();
}

}  // namespace armvisor::machine
