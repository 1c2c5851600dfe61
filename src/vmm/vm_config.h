#pragma once
// What a virtual machine is made from, and how it can end.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sandbox/sandbox.h"
#include "devices/chardev/chardevs.h"
#include "devices/io_options.h"
#include "engine/engine.h"
#include "machine/device_spec.h"
#include "machine/loader.h"
#include "machine/semihosting/semihosting.h"
#include "monitor/monitor.h"
#include "vmm/panic_action.h"
#include "vmm/watchdog_action.h"

namespace armvisor::vmm {

enum class EndReason {
  PoweredOff,     ///< the guest turned the machine off
  Reset,          ///< the guest reset the machine, and resets end it
  Crashed,        ///< the guest can run no further
  Panicked,       ///< the guest's kernel told that it panicked
  TimedOut,       ///< the time given is over
  GuestTimedOut,  ///< likewise that of the guest
  Stalled,        ///< the guest makes no progress
  Interrupted,    ///< by the user: Ctrl-A x or a signal
  Differs,        ///< --verify found a difference
  GuestExit,      ///< the guest asked for it, with a status (docs/hypercalls.md)
  ProgramExit,    ///< the guest's program ended, by semihosting; the status is its own
  Finished,       ///< finish() was called
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

enum class SandboxMode : u8 {
  Off,
  IfPossible,  ///< else a warning says that there is none
  On,          ///< else an error does
};

struct SandboxSpec {
  SandboxMode mode = SandboxMode::Off;
  std::vector<std::string> outputs{};       ///< beside the machine's own: what its owner writes at the end
  std::vector<std::string> removed{};       ///< likewise what it removes
  void (*end)(Sandbox::End why) = nullptr;  ///< as Sandbox::Options has it
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
  std::string board_type = "virt-10.0-machine";  ///< what QEMU calls the type of the machine
  std::vector<std::string> device_types{};       ///< that a line may name, for monitors
  std::string uuid = "00000000-0000-0000-0000-000000000000";
  bool stopped = false;        ///< the machine starts when a monitor says so
  bool keep_when_off = false;  ///< power-off by the guest leaves a stopped machine, for monitors to end or reset
  PanicAction panic = PanicAction::Fail;  ///< when the guest tells of one
  WatchdogAction watchdog = WatchdogAction::Reset;
  SandboxSpec sandbox{};        ///< of begin_sandbox()
  std::string engine = "auto";  ///< as engine::make_engine takes it
  engine::JitOptions jit;
  devices::IoOptions io;
  engine::MmuPolicy mmu = engine::MmuPolicy::Asid;
  bool trace = false;   ///< translated blocks go to stderr
  bool verify = false;  ///< compiled code is compared with the interpreter
  /// Of the guest's time: the host's, but for the whiles in which a vCPU waits for a CPU of the host. 0: none.
  u64 guest_timeout_ms = 0;
  u32 stall_s = 0;          ///< after which a guest that makes no progress is ended; 0: never
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

}  // namespace armvisor::vmm
