#pragma once
// The life of a virtual machine: built, run on its threads, reset, ended.
//
// Threads: one per vCPU, the event loop's, the devices' own, and the caller of run(), which waits for the end. Lock
// order: making_mutex_, then machine_mutex_ or state_mutex_, then threads_mutex_, then a vCPU thread's own; mutex_ is a
// leaf.
#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/stop_event.h"
#include "devices/chardev/chardevs.h"
#include "machine/event_loop.h"
#include "machine/guest_time.h"
#include "machine/loader.h"
#include "machine/machine.h"
#include "machine/semihosting/semihosting.h"
#include "machine/system_clock.h"
#include "monitor/monitor.h"
#include "vmm/control_server.h"
#include "vmm/stats_session.h"
#include "vmm/vcpu_thread.h"
#include "vmm/vm_debugger.h"

namespace armvisor::vmm {

enum class EndReason {
  PoweredOff,   ///< the guest turned the machine off
  Reset,        ///< the guest reset the machine, and resets end it
  Crashed,      ///< the guest can run no further
  TimedOut,     ///< the time given is over
  Interrupted,  ///< by the user: Ctrl-A x or a signal
  Differs,      ///< --verify found a difference
  GuestExit,    ///< the guest asked for it, with a status (docs/hypercalls.md)
  ProgramExit,  ///< the guest's program ended, by semihosting; the status is its own
  Finished,     ///< finish() was called
};

/// A monitor on a chardev.
struct MonitorSpec {
  devices::ChardevIndex chardev;
  monitor::Monitor::Mode mode = monitor::Monitor::Mode::Readline;
};

struct SemihostingSpec {
  machine::SemihostingOptions options;
  devices::ChardevIndex console;  ///< nothing: standard error and input
};

struct VmConfig {
  machine::BootConfig boot;
  std::vector<machine::DeviceSpec> devices;       ///< that the board does not have by itself
  std::vector<machine::Seat> seats;               ///< of the devices; empty: slots 0, 1, 2... of virtio-mmio
  bool legacy_virtio = false;                     ///< as machine::MachineOptions has it
  std::vector<devices::ChardevOptions> chardevs;  ///< what others name by its place here
  devices::ChardevIndex console;                  ///< of the board's UART
  devices::ChardevIndex second_console;           ///< of its second one, if it has one
  std::vector<MonitorSpec> monitors;
  std::optional<SemihostingSpec> semihosting{};  ///< nothing: its instructions are what the architecture says
  devices::ChardevIndex gdb{};                   ///< where gdb may connect
  monitor::VersionInfo version{};                ///< that monitors tell
  std::string title{};                           ///< the machine's name, likewise
  std::string uuid = "00000000-0000-0000-0000-000000000000";
  bool stopped = false;         ///< the machine starts when a monitor says so
  bool keep_when_off = false;   ///< power-off by the guest leaves a stopped machine, for monitors to end or reset
  std::string engine = "auto";  ///< as engine::make_engine takes it
  engine::JitOptions jit;
  devices::IoOptions io;
  engine::MmuPolicy mmu = engine::MmuPolicy::Asid;
  bool trace = false;       ///< translated blocks go to stderr
  bool verify = false;      ///< compiled code is compared with the interpreter
  u64 timeout_ms = 0;       ///< 0: none
  bool count_time = false;  ///< the vCPUs' time is counted
  std::string name;         ///< of the control socket; empty: there is none
  bool reboot = true;       ///< a reset by the guest boots again
  /// Called once, when the machine has been built and is about to run, with its consoles at their places.
  std::function<Status()> on_start;
  std::vector<int> more_signals{};  ///< beside those of watched_signals(), of which it does what SIGTERM does
  /// Called on the event loop's thread with each signal that came; true: it was taken, and nothing else is done.
  std::function<bool(int)> signalled{};
  /// Called when nobody is to wait for readers of output any more, maybe more than once. (any thread)
  std::function<void()> give_up{};
  /// Called when the user insists (a second signal) while the machine is still ending. Does not return.
  std::function<void()> force_end;

  /// The place of `options` among chardevs, which they are put into.
  devices::ChardevIndex add_chardev(devices::ChardevOptions options) {
    chardevs.push_back(std::move(options));
    return static_cast<u32>(chardevs.size() - 1);
  }
};

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
  explicit Vm(VmConfig config) : config_(std::move(config)), devices_(config_.devices) {}
  Status open();
  Status load();
  Status build();
  Status watch_signals();
  Status build_machine();
  Status start_threads();
  void stop_threads();
  void discard_threads();
  struct End {
    EndReason reason;
    const char* cause = "";  ///< as QEMU calls it
    bool by_guest = false;
    u32 guest_status = 0;
  };
  bool is_reset(const End& end) const { return end.reason == EndReason::Reset && config_.reboot; }
  End wait_for_end();
  void end(EndReason reason, const char* cause, bool by_guest = false, u32 guest_status = 0);
  End wait_for_end_or_reset();
  void tell_end(const End& end);
  void tell(const char* event, const std::string& data = {});
  void stop_as(monitor::RunState state, bool (VmDebugger::*still)() = nullptr);
  // --- with state_mutex_
  void stop_now(monitor::RunState state);
  void halt();
  void let_go(std::span<const debugger::Go> cpus, bool interrupts);
  void resume_going();
  debugger::Go going(u32 cpu) const { return going_.empty() ? debugger::Go::Run : going_[cpu]; }

  void stop_for_debugger() { stop_as(monitor::RunState::Debug, &VmDebugger::is_hit); }
  Status start_monitors();
  Status go(std::span<const debugger::Go> cpus, bool interrupts);
  void debug_stop(u32 cpu);
  measure::Snapshot snapshot();
  void signalled();
  void sample_vcpus();
  void vcpu_runs();
  Status open_disks();
  Status open_links();
  Status open_shares();
  Status open_dumps();
  Status open_chardevs();
  Status use_chardevs();
  Status open_semihosting();
  machine::Semihosting* semihosting();
  void hurry(bool begin);
  devices::Chardevs* chardevs();
  void give_up_output();

  // machine::MachineHost
  u32 cpu_count() const override { return config_.boot.vcpus; }
  // Called by vCPU threads, which end before threads_ changes.
  machine::CpuPower cpu_power(u32 index) override { return threads_[index]->power(); }
  machine::PsciStatus cpu_on(u32 index, u32 entry, u32 context_id) override {
    return threads_[index]->turn_on(entry, context_id);
  }
  void cpu_off(u32 caller) override { threads_[caller]->turn_off(); }
  void cpu_suspend(u32 caller) override { threads_[caller]->suspend(); }
  void system_off(u32) override { end(EndReason::PoweredOff, "guest-shutdown", true); }
  void system_reset(u32) override { end(EndReason::Reset, "guest-reset", true); }
  Time host_time() override { return {clock_.now_ns(), clock_.realtime_ns()}; }
  void guest_exit(u32, u32 status) override { end(EndReason::GuestExit, "guest-shutdown", true, status); }
  machine::CallStatus mark_begin(std::string_view name) override;
  machine::CallStatus mark_end(std::string_view name) override;
  void vcpu_input(u32 index) override;
  void send_event() override;

  // machine::SemihostingHost
  void program_exit(u32 status) override { end(EndReason::ProgramExit, "guest-shutdown", true, status); }
  void sleep_in_call(u32 vcpu) override { threads_[vcpu]->wait_in_call(); }
  void wake_in_call(u32 vcpu) override;

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
  std::vector<monitor::CpuInfo> cpus() override;
  std::vector<monitor::BlockInfo> blocks() override;
  std::vector<monitor::ChardevInfo> chardevs_in_use() override;
  std::vector<monitor::NetworkInfo> networks() override;
  Status add_forward(const std::string& network, const std::string& forward) override;
  Status remove_forward(const std::string& network, const std::string& forward) override;

  std::string registers(u32 cpu) override;
  Status read_memory(std::optional<u32> cpu, u64 address, std::span<u8> out) override;

  template <class F>
  bool while_halted(F f);
  template <class F>
  bool while_made(F f);
  Status change_forward(const std::string& network, const devices::HostForward& forward, bool add);

  const VmConfig config_;
  std::vector<machine::DeviceSpec> devices_;  ///< as changed since; guarded by making_mutex_
  std::unique_ptr<StopEvent> stop_;           ///< the machine is to end
  machine::BootPlan plan_;
  machine::SystemClock clock_;
  Fd signals_;
  std::unique_ptr<machine::EventLoop> loop_;
  std::optional<machine::GuestTime> time_;
  std::unique_ptr<devices::Chardevs> chardevs_;  ///< set with mutex_
  machine::MachineLines lines_;
  std::vector<devices::Chardev*> monitor_lines_;  ///< of config_.monitors; null: nobody is there
  std::unique_ptr<machine::FlashBanks> flash_;
  std::vector<std::shared_ptr<devices::DiskBackend>> disks_;           ///< they outlive a reset of the machine
  std::vector<std::shared_ptr<devices::FrameLink>> links_;             ///< likewise
  std::vector<std::shared_ptr<devices::PacketDump>> dumps_;            ///< likewise; filled with mutex_
  std::vector<std::shared_ptr<devices::ninep::SharedFolder>> shares_;  ///< likewise
  std::unique_ptr<machine::Semihosting> semihosting_;  ///< likewise; null: there is none; set with mutex_
  std::unique_ptr<machine::Machine> machine_;
  std::unique_ptr<ControlServer> control_;
  std::vector<std::unique_ptr<monitor::Monitor>> monitors_;  ///< made before the machine runs
  devices::Chardev* gdb_line_ = nullptr;
  devices::Chardev* semihosting_line_ = nullptr;
  std::unique_ptr<VmDebugger> debugger_;  ///< likewise; null: there is none
  std::mutex state_mutex_;                ///< held while vCPUs are stopped or let go
  std::atomic<monitor::RunState> state_{monitor::RunState::Running};
  std::vector<debugger::Go> going_;  ///< what each vCPU does while the machine runs; empty: they run. With state_mutex_
  bool steps_take_interrupts_ = true;  ///< likewise
  std::shared_mutex threads_mutex_;    ///< guards threads_ itself, which a reset replaces
  std::vector<std::unique_ptr<VcpuThread>> threads_;
  machine::EventLoop::Id timeout_timer_ = 0, sample_timer_ = 0;
  std::atomic<bool> sampling_{false};

  measure::Marks marks_;
  measure::Snapshot past_;  ///< of the machines before the last reset
  u64 started_ns_ = 0;
  std::mutex making_mutex_;   ///< held while there is no machine that runs: monitors wait for the next one
  std::mutex machine_mutex_;  ///< guards machine_ and past_ against a reset, for other threads than the vCPUs'
  std::mutex mutex_;          // guards what follows
  std::condition_variable ended_;
  std::optional<End> end_;
  bool ending_ = false;              ///< the user's wish to end was seen
  bool given_up_ = false;            ///< nobody waits for readers of output any more
  std::vector<Outlet*> last_words_;  ///< of write()
};

}  // namespace armvisor::vmm
