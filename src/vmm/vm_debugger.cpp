#include "vmm/vm_debugger.h"

#include <utility>

#include "base/thread.h"
#include "monitor/hmp.h"
#include "vmm/guest_view.h"
#include "vmm/vm.h"

namespace armvisor::vmm {

using debugger::Go;
using debugger::Stop;
using monitor::RunState;

VmDebugger::VmDebugger(Vm& vm, devices::Chardev& line) : vm_(vm) {
  line_.emplace(line, [this](monitor::Session::Say say) {
    auto session = std::make_unique<debugger::GdbSession>(*this, std::move(say));
    session_ = session.get();
    return session;
  });
}

void VmDebugger::stop_thread() {
  {
    const std::lock_guard guard(mutex_);
    end_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status VmDebugger::start() {
  AV_TRY_ASSIGN(thread_, start_thread(ThreadKind::Debugger, "debugger", [this] { main(); }));
  return {};
}

void VmDebugger::machine_made(engine::Engine& engine) {
  const std::lock_guard guard(mutex_);
  engine.set_debug_stops(stops_);
  if (!running()) return;
  stop_.reset();  // of a vCPU of the machine before
  is_hit_ = false;
}

void VmDebugger::stopped(Stop::Why why) {
  {
    const std::lock_guard guard(mutex_);
    if (!stop_) stop_ = {.why = why};
  }
  changed_.notify_all();
}

/// The first of several vCPUs is told; what the others have met they meet again.
void VmDebugger::hit(u32 cpu, const engine::DebugStop& stop) {
  const bool watch = stop.why == engine::DebugStop::Why::Watchpoint;
  {
    const std::lock_guard guard(mutex_);
    if (!is_hit_) stop_ = {.why = watch ? Stop::Why::Watch : Stop::Why::Debug, .cpu = cpu, .watch = stop.watch};
    is_hit_ = true;
  }
  changed_.notify_all();
}

void VmDebugger::goes_on() {
  const std::lock_guard guard(mutex_);
  stop_.reset();
  is_hit_ = false;
}

bool VmDebugger::is_hit() {
  const std::lock_guard guard(mutex_);
  return is_hit_;
}

/// What a vCPU has met is told when all have stopped.
std::optional<Stop> VmDebugger::take_stop() {
  const std::lock_guard state(vm_.state_mutex_);
  if (running()) return {};
  const std::lock_guard guard(mutex_);
  return std::exchange(stop_, std::nullopt);
}

void VmDebugger::main() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return end_ || stop_; });
    if (end_) return;
    lock.unlock();
    vm_.stop_for_debugger();
    session_->stopped();
    lock.lock();
  }
}

// --- debugger::DebugTarget

u32 VmDebugger::cpu_count() { return vm_.config_.boot.vcpus; }

bool VmDebugger::cpu_is_on(u32 cpu) { return vm_.threads_.is_on(cpu); }

bool VmDebugger::running() { return vm_.state_ == RunState::Running; }
void VmDebugger::stop() { vm_.stop(); }
void VmDebugger::accept_waiting() { vm_.resources_.chardevs()->accept_waiting(); }
bool VmDebugger::go(std::span<const Go> cpus, bool interrupts) { return static_cast<bool>(vm_.go(cpus, interrupts)); }
void VmDebugger::quit() { vm_.quit(); }

/// Calls f(machine) while no vCPU runs, nor begins to. False: they run, or there is no machine.
template <class F>
bool VmDebugger::while_stopped(F f) {
  const std::lock_guard made(vm_.making_mutex_);
  const std::lock_guard state(vm_.state_mutex_);
  return vm_.state_ != RunState::Running && vm_.machine_ && f(*vm_.machine_);
}

bool VmDebugger::read_state(u32 cpu, arm::CpuState& state) {
  return while_stopped([&](machine::Machine& machine) {
    state = machine.engine().vcpu(cpu).state();
    return true;
  });
}

bool VmDebugger::write_state(u32 cpu, const arm::CpuState& state) {
  return while_stopped([&](machine::Machine& machine) {
    machine.engine().vcpu(cpu).state() = state;
    machine.engine().vcpu(cpu).state_changed();
    return true;
  });
}

/// A device does not wait meanwhile for who reads its output: others want the machine.
template <class Byte, class F>
bool VmDebugger::at_memory(u32 cpu, bool physical, u64 address, std::span<Byte> bytes, F access) {
  return while_stopped([&](machine::Machine& machine) {
    vm_.resources_.hurry(true);
    const bool done = by_pages(machine, vm_.resources_.flash(), cpu, physical, address, bytes, access);
    vm_.resources_.hurry(false);
    return done;
  });
}

bool VmDebugger::read_memory(u32 cpu, bool physical, u64 address, std::span<u8> out) {
  return at_memory(cpu, physical, address, out, read_physical);
}

bool VmDebugger::write_memory(u32 cpu, bool physical, u64 address, std::span<const u8> in) {
  return at_memory(cpu, physical, address, in, write_physical);
}

/// With making_mutex_ and state_mutex_ of the machine, no vCPU of which runs.
void VmDebugger::put_stops(const arm::ExternalStops& stops) {
  const std::lock_guard guard(mutex_);
  stops_ = stops;
  if (vm_.machine_) vm_.machine_->engine().set_debug_stops(stops);
}

/// A monitor may have let the machine go since gdb's packet came.
void VmDebugger::set_stops(const arm::ExternalStops& stops) {
  const std::lock_guard made(vm_.making_mutex_);
  const std::lock_guard state(vm_.state_mutex_);
  vm_.stop_now(RunState::Paused);
  put_stops(stops);
}

void VmDebugger::release() {
  const std::lock_guard made(vm_.making_mutex_);
  const std::lock_guard state(vm_.state_mutex_);
  if (running()) vm_.threads_.halt();
  put_stops({});
  if (running()) vm_.let_go({}, true);
}

std::string VmDebugger::human_command(const std::string& line) {
  std::string text = monitor::run_human_command(static_cast<monitor::MachineControl&>(vm_), line);
  std::string out;
  for (const char c : text) out += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return out;
}

}  // namespace armvisor::vmm
