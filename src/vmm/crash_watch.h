#pragma once
// Recognises a guest that can never run another instruction: the vector that it enters aborts or is undefined itself,
// so that taking the exception leads to the same exception again, with the same registers.
#include "arm/cpu_state.h"

namespace armvisor::vmm {

class CrashWatch {
 public:
  /// Judges the state of a vCPU between two instructions; called every now and then. True: the guest has crashed. One
  /// sample may catch the first of two exceptions in a row, which a guest may survive, so several must agree.
  bool sample(const arm::CpuState& s);

 private:
  static constexpr u32 k_samples = 3;
  arm::CpuState last_;
  u32 agreeing_ = 0;
};

}  // namespace armvisor::vmm
