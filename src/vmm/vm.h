#pragma once
// The life of a virtual machine: built, run on its threads, reset, ended.
//
// Threads: one per vCPU, the event loop's, the devices' own, and the caller of run(), which waits for the end. Lock
// order: making_mutex_, then machine_mutex_ or state_mutex_, then that of VcpuThreads, then a vCPU thread's own; then
// mutex_, and that of HostResources as a leaf.
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/stop_event.h"
#include "engine/engine.h"
#include "machine/event_loop.h"
#include "machine/guest_time.h"
#include "machine/machine.h"
#include "machine/system_clock.h"
#include "monitor/monitor.h"
#include "vmm/control_server.h"
#include "vmm/host_resources.h"
#include "vmm/stall_watch.h"
#include "vmm/stats_session.h"
#include "vmm/vcpu_threads.h"
#include "vmm/vm_config.h"
#include "vmm/vm_debugger.h"

namespace armvisor::vmm {

class Vm final : private machine::MachineHost, private machine::SemihostingHost, private monitor::MachineControl {
 public:
  /// Reads and checks the files that the configuration boots. The time limit begins. To be called with the watched
  /// signals (vmm/signals.h) blocked, in all threads: the machine reads them from a descriptor.
  static Result<std::unique_ptr<Vm>> create(VmConfig config);
  ~Vm();

  /// How the machine was ended before it ran, while files were read or a tree written; else nothing.
  std::optional<EndReason> ended_early();
  /// Writes the guest's device tree instead of running, unless it ended early; waits as write() does.
  Status write_fdt(OutputFile file);
  /// Builds the machine, from disks, networks and consoles that the configuration names, and runs until it ends. Once.
  Result<EndReason> run();
  /// (any thread, once run() was called) What the machine was for is done.
  void finish() { end(EndReason::Finished, "host-ui"); }
  u32 guest_status() const { return end_->guest_status; }  ///< after EndReason::GuestExit and ProgramExit
  Stats stats();                                           ///< (any thread)
  /// Writes a file that is complete at the end. Waits for its reader, if it has one, while the machine's time lasts and
  /// the user does not want it to end.
  Status write(OutputFile file, std::string_view text);
  /// Waits likewise until all that guest and machine have said is written.
  void drain();

 private:
  friend class VmDebugger;
  explicit Vm(VmConfig config);
  Status open();
  Status load();
  Status build();
  Status watch_signals();
  Status build_machine();
  Status start_threads();
  struct End {
    EndReason reason;
    const char* cause = "";  ///< as QEMU calls it
    bool by_guest = false;
    u32 guest_status = 0;
  };
  /// What is to be done on the thread that waits for the end, since others must not wait for vCPUs.
  enum class Errand : u8 { StopForPanic, StopForWatchdog, PressPowerKey };
  bool is_reset(const End& end) const { return end.reason == EndReason::Reset && config_.reboot; }
  End wait_for_end();
  void end(EndReason reason, const char* cause, bool by_guest = false, u32 guest_status = 0);
  End wait_for_end_or_reset();
  void tell_end(const End& end);
  void tell(const char* event, const std::string& data = {});
  void tell_panic(const char* action);
  void ask(Errand errand);
  void run_errand(Errand errand);
  void tell_balloon();
  void stop_as(monitor::RunState state, bool (VmDebugger::*still)() = nullptr);
  // --- with state_mutex_
  void stop_now(monitor::RunState state);
  void let_go(std::span<const debugger::Go> cpus, bool interrupts);

  void stop_for_debugger() { stop_as(monitor::RunState::Debug, &VmDebugger::is_hit); }
  Status start_monitors();
  Status go(std::span<const debugger::Go> cpus, bool interrupts);
  void debug_stop(u32 cpu);
  measure::Snapshot snapshot();
  void signalled();
  void sample_vcpus();
  void vcpu_runs();
  bool watches_time() const { return config_.guest_timeout_ms || config_.stall_s; }
  std::optional<EndReason> watch_time();
  void give_up_output();

  // machine::MachineHost
  u32 cpu_count() const override { return config_.boot.vcpus; }
  machine::CpuPower cpu_power(u32 index) override { return threads_.of(index).power(); }
  machine::PsciStatus cpu_on(u32 index, u32 entry, u32 context_id) override {
    return threads_.of(index).turn_on(entry, context_id);
  }
  void cpu_off(u32 caller) override { threads_.of(caller).turn_off(); }
  void cpu_suspend(u32 caller) override { threads_.of(caller).suspend(); }
  void system_off(u32) override { end(EndReason::PoweredOff, "guest-shutdown", true); }
  void system_reset(u32) override { end(EndReason::Reset, "guest-reset", true); }
  Time host_time() override { return {clock_.now_ns(), clock_.realtime_ns()}; }
  void guest_exit(u32, u32 status) override { end(EndReason::GuestExit, "guest-shutdown", true, status); }
  machine::CallStatus mark_begin(std::string_view name) override;
  machine::CallStatus mark_end(std::string_view name) override;
  void vcpu_input(u32 index) override { threads_.wake(index); }
  void send_event() override { threads_.send_event(); }
  void balloon_changed(u64 bytes) override;
  void watchdog_expired() override;
  void guest_event(devices::GuestEvent event) override;

  // machine::SemihostingHost
  void program_exit(u32 status) override { end(EndReason::ProgramExit, "guest-shutdown", true, status); }
  void sleep_in_call(u32 vcpu) override { threads_.of(vcpu).wait_in_call(); }
  void wake_in_call(u32 vcpu) override { threads_.end_wait(vcpu); }

  // monitor::MachineControl
  monitor::RunState state() override;
  void stop() override;
  Status cont() override;
  void reset() override;
  void power_down() override;
  void quit() override { end(EndReason::Interrupted, "host-qmp-quit"); }
  monitor::VersionInfo version() override { return config_.version; }
  std::string name() override { return config_.title; }
  std::string uuid() override { return config_.uuid; }
  u64 memory() override { return config_.boot.ram_size; }
  std::optional<u64> balloon() override;
  void set_balloon(u64 bytes) override;
  std::vector<monitor::CpuInfo> cpus() override;
  std::vector<monitor::BlockInfo> blocks() override;
  std::vector<monitor::ChardevInfo> chardevs_in_use() override;
  std::vector<monitor::NetworkInfo> networks() override;
  Status add_forward(const std::string& network, const std::string& forward) override;
  Status remove_forward(const std::string& network, const std::string& forward) override;

  std::vector<monitor::PciDeviceInfo> pci() override;
  std::vector<devices::MappedRegion> memory_map() override;
  std::vector<monitor::ObjectInfo> objects() override;
  std::vector<monitor::ObjectTypeInfo> object_types() override;
  Status screendump(const std::string& path) override;
  std::string registers(u32 cpu) override;
  std::size_t read_memory(std::optional<u32> cpu, u64 address, std::span<u8> out) override;

  template <class F>
  bool while_halted(F f);
  template <class F>
  bool while_made(F f);
  Status change_forward(const std::string& network, const devices::HostForward& forward, bool add);

  const VmConfig config_;
  const std::shared_ptr<engine::jit::KeptCodeMemory> kept_code_ = engine::keep_code_memory();  ///< over resets
  std::vector<machine::DeviceSpec> devices_;  ///< as changed since; guarded by making_mutex_
  std::unique_ptr<StopEvent> stop_;           ///< the machine is to end
  machine::BootPlan plan_;
  machine::SystemClock clock_;
  Fd signals_;
  std::unique_ptr<machine::EventLoop> loop_;
  std::optional<machine::GuestTime> time_;
  HostResources resources_;
  VcpuThreads threads_;
  std::unique_ptr<machine::Machine> machine_;
  std::unique_ptr<ControlServer> control_;
  std::vector<std::unique_ptr<monitor::Monitor>> monitors_;  ///< made before the machine runs
  std::unique_ptr<VmDebugger> debugger_;                     ///< likewise; null: there is none
  std::mutex state_mutex_;                                   ///< held while vCPUs are stopped or let go
  std::atomic<monitor::RunState> state_{monitor::RunState::Running};
  machine::EventLoop::Id timeout_timer_ = 0, sample_timer_ = 0, balloon_timer_ = 0;
  std::atomic<bool> sampling_{false};
  std::mutex watch_mutex_;                 // guards what follows; taken before that of the threads
  std::optional<StallWatch> stall_watch_;  ///< if stall_s is given

  measure::Marks marks_;
  measure::Snapshot past_;  ///< of the machines before the last reset
  u64 started_ns_ = 0;
  std::mutex making_mutex_;   ///< held while there is no machine that runs: monitors wait for the next one
  std::mutex machine_mutex_;  ///< guards machine_ and past_ against a reset, for other threads than the vCPUs'
  std::mutex mutex_;          // guards what follows
  std::condition_variable ended_;
  std::optional<End> end_;
  u64 balloon_bytes_ = 0, next_balloon_ns_ = 0;  ///< what is to be told, and not before when
  std::optional<Errand> errand_;
  bool ending_ = false;              ///< the user's wish to end was seen
  bool given_up_ = false;            ///< nobody waits for readers of output any more
  std::vector<Outlet*> last_words_;  ///< of write()
};

}  // namespace armvisor::vmm
