#pragma once
// A debugger's hold on a machine that runs: what debugger::DebugTarget asks is done with the machine's vCPUs stopped,
// and what stops them is told to the debugger.
//
// A vCPU that meets a breakpoint says so on its own thread, where it may not wait for the others. So a thread of the
// debugger's stops the machine and tells gdb; it holds no lock of the machine's when it does. Locks are taken in the
// order of vmm/vm.h; mutex_ is a leaf.
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "debugger/gdb_session.h"
#include "debugger/target.h"
#include "engine/engine.h"
#include "monitor/monitor.h"

namespace armvisor::machine {
class Machine;
}

namespace armvisor::vmm {

class Vm;

class VmDebugger final : public debugger::DebugTarget {
 public:
  /// Listens on `line`; both outlive it.
  VmDebugger(Vm& vm, devices::Chardev& line);
  ~VmDebugger() { stop_thread(); }
  Status start();
  void stop_thread();  ///< no stop is told any more; no vCPU runs

  // --- with the lock under which the machine is stopped and let go
  /// The machine's vCPUs are about to be started for the first time.
  void machine_made(engine::Engine& engine);
  /// The machine was stopped by somebody else.
  void stopped(debugger::Stop::Why why);
  /// It goes on: what stopped it before is nobody's concern any more.
  void goes_on();
  /// A vCPU has stopped, and the machine has not gone on since.
  bool is_hit();

  /// On the thread of a vCPU that has returned Exit::Debug. It does not run on.
  void hit(u32 cpu, const engine::DebugStop& stop);
  void ended() { session_->ended(); }

  // --- debugger::DebugTarget
  u32 cpu_count() override;
  bool cpu_is_on(u32 cpu) override;
  bool running() override;
  std::optional<debugger::Stop> take_stop() override;
  void stop() override;
  void accept_waiting() override;
  bool go(std::span<const debugger::Go> cpus, bool interrupts) override;
  void quit() override;
  bool read_state(u32 cpu, arm::CpuState& state) override;
  bool write_state(u32 cpu, const arm::CpuState& state) override;
  bool read_memory(u32 cpu, bool physical, u64 address, std::span<u8> out) override;
  bool write_memory(u32 cpu, bool physical, u64 address, std::span<const u8> in) override;
  void set_stops(const arm::ExternalStops& stops) override;
  void release() override;
  std::string human_command(const std::string& line) override;

 private:
  template <class F>
  bool while_stopped(F f);
  template <class Byte, class F>
  bool at_memory(u32 cpu, bool physical, u64 address, std::span<Byte> bytes, F access);
  void put_stops(const arm::ExternalStops& stops);
  void main();

  Vm& vm_;
  debugger::GdbSession* session_ = nullptr;  ///< the monitor's
  std::optional<monitor::Monitor> line_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  arm::ExternalStops stops_;
  std::optional<debugger::Stop> stop_;  ///< that is to be told
  bool is_hit_ = false;                 ///< a vCPU's: the machine is to be stopped
  bool end_ = false;
  std::thread thread_;
};

}  // namespace armvisor::vmm
