#pragma once
// Power State Coordination Interface 1.0 (ARM DEN0022), called by HVC or SMC per the SMC calling convention (DEN0028).
#include "arm/cpu_state.h"
#include "base/types.h"
#include "devices/device_tree.h"

namespace armvisor::machine {

/// PSCI return codes (DEN0022 5.2.2).
enum class PsciStatus : s32 {
  Success = 0,
  NotSupported = -1,
  InvalidParameters = -2,
  Denied = -3,
  AlreadyOn = -4,
  OnPending = -5,
};

/// Answers of AFFINITY_INFO.
enum class CpuPower : s32 { On = 0, Off = 1, OnPending = 2 };

/// Powers vCPUs and the system. Called on vCPU threads; what a call asks of its own vCPU (off, suspend) or of the
/// system takes effect when that vCPU's run() returns, which the implementation brings about.
class PowerControl {
 public:
  virtual u32 cpu_count() const = 0;
  virtual CpuPower cpu_power(u32 index) = 0;
  virtual PsciStatus cpu_on(u32 index, u32 entry, u32 context_id) = 0;
  virtual void cpu_off(u32 caller) = 0;
  virtual void cpu_suspend(u32 caller) = 0;  ///< until an interrupt, as WFI
  virtual void system_off(u32 caller) = 0;
  virtual void system_reset(u32 caller) = 0;

 protected:
  ~PowerControl() = default;
};

/// Carries out the call whose function is in R0 and puts the answer there. Unknown functions get NOT_SUPPORTED.
void psci_call(arm::CpuState& s, u32 caller, PowerControl& power);

/// The node that says how it is called.
void describe_psci(devices::TreeWriter& tree);

}  // namespace armvisor::machine
