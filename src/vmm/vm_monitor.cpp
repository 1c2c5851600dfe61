// What monitors ask of the machine, and what they are told.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "vmm/vm.h"

namespace armvisor::vmm {

using monitor::RunState;

namespace {
constexpr std::string_view k_panicked = "guest-panic";  // as QEMU calls why the machine ended
}

Status Vm::start_monitors() {
  for (std::size_t i = 0; i < config_.monitors.size(); ++i)
    if (auto* const line = resources_.monitor_line(i))
      monitors_.push_back(std::make_unique<monitor::Monitor>(*line, config_.monitors[i].mode,
                                                             static_cast<monitor::MachineControl&>(*this)));
  if (!resources_.gdb_line()) return {};
  debugger_ = std::make_unique<VmDebugger>(*this, *resources_.gdb_line());
  return debugger_->start();
}

void Vm::tell(const char* event, const std::string& data) {
  const monitor::Event e{event, data, clock_.realtime_ns() / 1000};
  for (const auto& one : monitors_) one->event(e);
}

void Vm::tell_panic(const char* action) { tell("GUEST_PANICKED", fmt::format("{{\"action\": \"{}\"}}", action)); }

/// A guest says it with every few pages: monitors are told once a second at most, as QEMU does.
void Vm::balloon_changed(u64 bytes) {
  const std::lock_guard guard(mutex_);
  balloon_bytes_ = bytes;
  loop_->arm(balloon_timer_, std::max(clock_.now_ns(), next_balloon_ns_));
}

void Vm::tell_balloon() {
  u64 bytes = 0;
  {
    const std::lock_guard guard(mutex_);
    next_balloon_ns_ = clock_.now_ns() + 1'000'000'000;
    bytes = balloon_bytes_;
  }
  tell("BALLOON_CHANGE", fmt::format("{{\"actual\": {}}}", bytes));
}

std::optional<u64> Vm::balloon() {
  const std::lock_guard made(making_mutex_);
  return machine_ ? machine_->balloon() : std::nullopt;
}

/// Of the machine that runs, and of those that a reset makes.
void Vm::set_balloon(u64 bytes) {
  const std::lock_guard made(making_mutex_);
  for (machine::DeviceSpec& spec : devices_)
    if (auto* const balloon = std::get_if<machine::BalloonSpec>(&spec))
      balloon->pages = machine::balloon_pages(config_.boot.ram_size, bytes);
  if (machine_) machine_->set_balloon(bytes);
}

void Vm::ask(Errand errand) {
  {
    const std::lock_guard guard(mutex_);
    errand_ = errand;
  }
  ended_.notify_all();
}

void Vm::run_errand(Errand errand) {
  switch (errand) {
    case Errand::StopForPanic: return stop_as(RunState::GuestPanicked);
    case Errand::StopForWatchdog: return stop_as(RunState::Watchdog);
    case Errand::PressPowerKey: return power_down();
  }
}

/// A reset and the end of the machine wait for this thread to be out of the device's timer.
void Vm::watchdog_expired() {
  const auto row = std::ranges::find(k_watchdog_actions, config_.watchdog, &WatchdogActionRow::action);
  tell("WATCHDOG", fmt::format("{{\"action\": \"{}\"}}", row->name));
  switch (config_.watchdog) {
    case WatchdogAction::Reset: return end(EndReason::Reset, "guest-reset", true);
    case WatchdogAction::Shutdown: return ask(Errand::PressPowerKey);
    case WatchdogAction::PowerOff: return end(EndReason::Interrupted, "host-error");
    case WatchdogAction::Pause: return ask(Errand::StopForWatchdog);
    case WatchdogAction::Debug: AV_LOG(Error, "watchdog: timer fired"); return;
    case WatchdogAction::None:
    case WatchdogAction::InjectNmi: return;
  }
}

/// The vCPU's thread cannot wait for the machine to stop: it only has no vCPU run on, and the thread that waits for the
/// machine's end does the rest.
void Vm::guest_event(devices::GuestEvent event) {
  using devices::GuestEvent;
  if (event == GuestEvent::CrashLoaded) return tell("GUEST_CRASHLOADED", "{\"action\": \"run\"}");
  if (event == GuestEvent::Shutdown) {
    tell("GUEST_PVSHUTDOWN");
    return end(EndReason::PoweredOff, "guest-shutdown", true);
  }
  const PanicAction action = config_.panic;
  if (action == PanicAction::None) return tell_panic("run");
  if (action == PanicAction::Pause || (action == PanicAction::PowerOff && config_.keep_when_off)) {
    tell_panic("pause");
    threads_.pause();
    return ask(Errand::StopForPanic);
  }
  tell_panic("poweroff");
  end(action == PanicAction::Fail ? EndReason::Panicked : EndReason::PoweredOff, k_panicked.data(), true);
}

/// Why the machine ended or was reset, as QEMU tells it.
void Vm::tell_end(const End& end) {
  const std::string data = fmt::format("{{\"guest\": {}, \"reason\": \"{}\"}}", end.by_guest, end.cause);
  if (is_reset(end)) {
    // As QEMU has it: a machine that was stopped is as before its start.
    const std::lock_guard one_at_a_time(state_mutex_);
    if (state_ != RunState::Running) state_ = RunState::Prelaunch;
  }
  if (end.reason == EndReason::Crashed) tell_panic("poweroff");
  if (end.cause == k_panicked) tell("STOP");
  tell(is_reset(end) ? "RESET" : "SHUTDOWN", data);
}

RunState Vm::state() { return state_; }

void Vm::stop() { stop_as(RunState::Paused); }

/// Nothing if the debugger does not say `still` any more.
void Vm::stop_as(RunState state, bool (VmDebugger::*still)()) {
  const std::lock_guard one_at_a_time(state_mutex_);
  if (still && !(debugger_.get()->*still)()) return;
  stop_now(state);
}

/// Nothing but for Shutdown, if the machine is stopped.
void Vm::stop_now(RunState state) {
  const bool ran = state_ == RunState::Running;
  if (ran || state == RunState::Shutdown) state_ = state;
  if (!ran) return;
  threads_.halt();
  // A vCPU may have met a breakpoint meanwhile: gdb is told of that.
  if (state == RunState::Paused && debugger_ && debugger_->is_hit()) state_ = state = RunState::Debug;
  time_->stop();
  tell("STOP");
  using Why = debugger::Stop::Why;
  if (debugger_ && state != RunState::Debug)
    debugger_->stopped(state == RunState::Shutdown ? Why::Shutdown : Why::Paused);
}

/// On the vCPU's thread.
void Vm::debug_stop(u32 cpu) {
  if (!debugger_) return;
  debugger_->hit(cpu, machine_->engine().vcpu(cpu).debug_stop());
  threads_.pause();
}

/// The guest's first words are for whoever connected before the command. Whoever is accepted may be a debugger, who
/// stops the machine: so no lock of the machine's is held.
Status Vm::cont() {
  resources_.chardevs()->accept_waiting();
  return go({}, true);
}

/// What each vCPU does; without `cpus` all run. A machine that another monitor has let go meanwhile does what is asked
/// for all the same.
Status Vm::go(std::span<const debugger::Go> cpus, bool interrupts) {
  const std::lock_guard one_at_a_time(state_mutex_);
  if (state_ == RunState::Running) {
    if (cpus.empty()) return {};
    threads_.halt();
    let_go(cpus, interrupts);
    return {};
  }
  if (state_ == RunState::Shutdown) return Error{ErrorKind::BadArguments, "Resetting the Virtual Machine is required"};
  state_ = RunState::Running;
  time_->go_on();
  tell("RESUME");  // before what the guest does then
  let_go(cpus, interrupts);
  return {};
}

void Vm::let_go(std::span<const debugger::Go> cpus, bool interrupts) {
  if (debugger_) debugger_->goes_on();
  threads_.let_go(cpus, interrupts);
}

void Vm::reset() {
  resources_.chardevs()->accept_waiting();
  end(EndReason::Reset, "host-qmp-system-reset");
}

void Vm::power_down() {
  {
    const std::lock_guard made(making_mutex_);
    if (machine_) machine_->press_power_key();
  }
  tell("POWERDOWN");
}

std::vector<monitor::CpuInfo> Vm::cpus() {
  const std::lock_guard made(making_mutex_);
  std::vector<monitor::CpuInfo> all;
  for (const int id : threads_.thread_ids()) all.push_back({static_cast<u32>(all.size()), id});
  return all;
}

std::vector<monitor::BlockInfo> Vm::blocks() {
  std::vector<monitor::BlockInfo> all;
  const Status told = machine::for_each_disk(config_.devices, [&](const machine::DiskSpec& disk) -> Status {
    const u64 size = resources_.disk_size(all.size());
    all.push_back({disk.name.empty() ? "disk" + std::to_string(all.size()) : disk.name, disk.path, disk.format,
                   disk.read_only, false, size});
    return {};
  });
  return told ? all : std::vector<monitor::BlockInfo>();
}

std::vector<monitor::ChardevInfo> Vm::chardevs_in_use() {
  std::vector<monitor::ChardevInfo> all;
  if (const auto* const list = resources_.chardevs())
    for (const auto& entry : list->list()) all.push_back({entry.label, entry.filename, entry.used});
  return all;
}

}  // namespace armvisor::vmm
