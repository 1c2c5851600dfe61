#pragma once
// The machine as a debugger sees it. All vCPUs stop together; what asks for registers, memory or stops is for a machine
// that is stopped, and says no otherwise. Nothing waits for the guest longer than until its vCPUs have left guest code.
#include <optional>
#include <span>
#include <string>

#include "arm/cpu_state.h"
#include "arm/external_debug.h"
#include "base/types.h"

namespace armvisor::debugger {

/// What a vCPU is to do until the machine stops again.
enum class Go : u8 { Stay, Run, Step };

/// Why the machine has stopped.
struct Stop {
  enum class Why : u8 {
    Paused,    ///< somebody wanted it
    Debug,     ///< a step or a breakpoint
    Watch,     ///< a watchpoint
    Shutdown,  ///< the guest turned the machine off
  };
  Why why = Why::Paused;
  u32 cpu = 0;                 ///< of Debug and Watch
  arm::ExternalWatch watch{};  ///< of Watch
};

class DebugTarget {
 public:
  virtual u32 cpu_count() = 0;
  virtual bool cpu_is_on(u32 cpu) = 0;
  virtual bool running() = 0;
  virtual void stop() = 0;  ///< nothing if it is stopped
  /// Whoever waits to connect to a chardev is there when it returns, so that the guest's first words are not lost. Not
  /// from GdbSession::opened() and closed(), which have the lock of who accepts.
  virtual void accept_waiting() = 0;
  /// Lets the machine go, what each vCPU does by its number. `interrupts`: steps may take some. False: it was turned
  /// off, and must be reset first.
  virtual bool go(std::span<const Go> cpus, bool interrupts) = 0;
  virtual void quit() = 0;  ///< ends it
  /// Why the machine, which is stopped, has stopped: once, and only until it goes on.
  virtual std::optional<Stop> take_stop() = 0;

  virtual bool read_state(u32 cpu, arm::CpuState& state) = 0;
  virtual bool write_state(u32 cpu, const arm::CpuState& state) = 0;
  /// By the translation tables that the vCPU has in force, as privileged code; or by physical addresses. Devices are
  /// asked as by a load or store. False: some of it is not there; writes may be done in part.
  virtual bool read_memory(u32 cpu, bool physical, u64 address, std::span<u8> out) = 0;
  virtual bool write_memory(u32 cpu, bool physical, u64 address, std::span<const u8> in) = 0;
  /// Where all vCPUs stop from now on, whatever becomes of the machine, which stops for that if it runs.
  virtual void set_stops(const arm::ExternalStops& stops) = 0;
  /// Nobody is there any more: vCPUs stop nowhere, and in a machine that runs all of them do. One that is stopped stays
  /// so.
  virtual void release() = 0;
  /// What the monitor for people says to a command.
  virtual std::string human_command(const std::string& line) = 0;

 protected:
  ~DebugTarget() = default;
};

}  // namespace armvisor::debugger
