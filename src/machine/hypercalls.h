#pragma once
// The SMC calling convention's own calls (ARM DEN0028, 1.1) and armvisor's service in its vendor-specific hypervisor
// range: hints about translation tables, a clock, an end with a status, marks. docs/hypercalls.md describes them.
#include <string_view>

#include "arm/cpu_state.h"
#include "engine/engine.h"

namespace armvisor::machine {

/// Answers in R0 (DEN0028 chapter 7; those from -4 on are ours).
enum class CallStatus : s32 {
  Success = 0,
  NotSupported = -1,
  InvalidParameter = -3,
  NoRoom = -4,    ///< as many different marks as there may be
  NotFound = -5,  ///< the end of a mark that is not open
};

/// What the calls ask of the machine's owner. Called on vCPU threads.
class HypercallHost {
 public:
  struct Time {
    u64 monotonic_ns = 0, realtime_ns = 0;
  };
  virtual Time host_time() = 0;
  virtual void guest_exit(u32 caller, u32 status) = 0;  ///< takes effect when the caller's run() returns
  virtual CallStatus mark_begin(std::string_view name) = 0;
  virtual CallStatus mark_end(std::string_view name) = 0;

 protected:
  ~HypercallHost() = default;
};

namespace hypercalls {

inline constexpr u32 k_max_exit_status = 63;

/// Carries out the call whose function is in R0, if it is one of these. False: it is not, and nothing has changed.
bool call(arm::CpuState& s, u32 caller, engine::Vcpu& vcpu, HypercallHost& host);

}  // namespace hypercalls
}  // namespace armvisor::machine
