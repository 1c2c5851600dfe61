#include "vmm/vm_debugger.h"

#include <algorithm>
#include <array>
#include <utility>

#include "arm/page_walk.h"
#include "base/thread.h"
#include "monitor/hmp.h"
#include "vmm/vm.h"

namespace armvisor::vmm {

using debugger::Go;
using debugger::Stop;
using monitor::RunState;

namespace {

/// The largest access that a device gets of [pa, pa + left).
u32 piece_of(u64 pa, std::size_t left) {
  for (const u32 size : {4u, 2u})
    if (pa % size == 0 && left >= size) return size;
  return 1;
}

bool read_physical(machine::Machine& machine, GuestPa pa, std::span<u8> out) {
  if (machine.ram().contains(pa, out.size())) return machine.ram().read(pa, out);
  for (std::size_t at = 0; at < out.size();) {
    const u32 size = piece_of(pa.value + at, out.size() - at);
    u64 value = 0;
    if (!machine.bus().read(pa + at, size, value)) return false;
    for (u32 k = 0; k < size; ++k) out[at++] = static_cast<u8>(value >> (8 * k));
  }
  return true;
}

bool write_physical(machine::Machine& machine, GuestPa pa, std::span<const u8> in) {
  if (machine.ram().contains(pa, in.size())) return machine.ram().write(pa, in);
  for (std::size_t at = 0; at < in.size();) {
    const u32 size = piece_of(pa.value + at, in.size() - at);
    u64 value = 0;
    for (u32 k = 0; k < size; ++k) value |= u64{in[at + k]} << (8 * k);
    if (!machine.bus().write(pa + at, size, value)) return false;
    at += size;
  }
  return true;
}

/// Tables are in RAM, or in flash while it reads as an array: a device would do something when it is read.
class Tables final : public arm::WalkMemory {
 public:
  Tables(GuestRam& ram, machine::FlashBanks& flash) : ram_(ram), flash_(flash) {}
  bool read32(GuestPa pa, u32& value) override { return get(pa, value); }
  bool read64(GuestPa pa, u64& value) override { return get(pa, value); }

 private:
  template <class T>
  bool get(GuestPa pa, T& value) {
    std::array<u8, sizeof value> bytes{};
    if (ram_.contains(pa, sizeof value)) {
      if (!ram_.read(pa, bytes)) return false;
    } else {
      const u8* const page = flash_.page(pa);
      if (!page) return false;
      std::copy_n(page + (pa.value & k_page_mask), sizeof value, bytes.begin());
    }
    value = 0;
    for (std::size_t k = 0; k < sizeof value; ++k) value |= static_cast<T>(T{bytes[k]} << (8 * k));
    return true;
  }
  GuestRam& ram_;
  machine::FlashBanks& flash_;
};

}  // namespace

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
  AV_TRY_ASSIGN(thread_, start_thread("debugger", [this] { main(); }));
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

bool VmDebugger::cpu_is_on(u32 cpu) {
  const std::shared_lock guard(vm_.threads_mutex_);
  return cpu < vm_.threads_.size() && vm_.threads_[cpu]->power() == machine::CpuPower::On;
}

bool VmDebugger::running() { return vm_.state_ == RunState::Running; }
void VmDebugger::stop() { vm_.stop(); }
void VmDebugger::accept_waiting() { vm_.chardevs_->accept_waiting(); }
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

/// Calls access(machine, physical address, bytes) for each page of [address, address + size). A device does not wait
/// meanwhile for who reads its output: others want the machine.
template <class Byte, class F>
bool VmDebugger::by_pages(u32 cpu, bool physical, u64 address, std::span<Byte> bytes, F access) {
  return while_stopped([&](machine::Machine& machine) {
    Tables tables(machine.ram(), *vm_.flash_);
    machine::Bus::set_accessing_vcpu(cpu);
    vm_.hurry(true);
    bool done = true;
    for (u64 at = address; done && !bytes.empty();) {
      const std::size_t size = std::min<std::size_t>(bytes.size(), k_page_size - (at & k_page_mask));
      arm::Translation t;
      t.pa = GuestPa(at);
      if (!physical)
        done = at >> 32 == 0 && !arm::translate(machine.engine().vcpu(cpu).state(), tables, static_cast<u32>(at),
                                                arm::Access::Read, true, t);
      done = done && access(machine, t.pa, bytes.first(size));
      bytes = bytes.subspan(size);
      at += size;
    }
    vm_.hurry(false);
    machine::Bus::set_accessing_vcpu(0);
    return done;
  });
}

bool VmDebugger::read_memory(u32 cpu, bool physical, u64 address, std::span<u8> out) {
  return by_pages(cpu, physical, address, out, read_physical);
}

bool VmDebugger::write_memory(u32 cpu, bool physical, u64 address, std::span<const u8> in) {
  return by_pages(cpu, physical, address, in, write_physical);
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
  if (running()) vm_.halt();
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
