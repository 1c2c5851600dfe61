// The state of vCPUs and memory, as monitors show it.
#include <fmt/format.h>

#include "vmm/guest_view.h"
#include "vmm/vm.h"

namespace armvisor::vmm {
namespace {

const char* mode_name(u32 mode) {
  switch (mode) {
    case arm::k_mode_usr: return "usr";
    case arm::k_mode_fiq: return "fiq";
    case arm::k_mode_irq: return "irq";
    case arm::k_mode_svc: return "svc";
    case arm::k_mode_abt: return "abt";
    case arm::k_mode_und: return "und";
    case arm::k_mode_sys: return "sys";
    default: return "???";
  }
}

/// As QEMU writes them.
std::string registers_text(u32 index, const arm::CpuState& s) {
  std::string text = fmt::format("\nCPU#{}\n", index);
  for (u32 n = 0; n < 16; ++n) text += fmt::format("R{:02}={:08x}{}", n, s.r[n], n % 4 == 3 ? '\n' : ' ');
  const u32 psr = arm::cpsr(s);
  const auto flag = [psr](u32 bit, char name) { return psr >> bit & 1 ? name : '-'; };
  text += fmt::format("PSR={:08x} {}{}{}{} {} {}32\n", psr, flag(31, 'N'), flag(30, 'Z'), flag(29, 'C'), flag(28, 'V'),
                      s.thumb() ? 'T' : 'A', mode_name(s.mode()));
  for (u32 n = 0; n < 32; ++n)
    text += fmt::format("s{:02}={:08x} s{:02}={:08x} d{:02}={:016x}\n", 2 * n, static_cast<u32>(s.d[n]), 2 * n + 1,
                        static_cast<u32>(s.d[n] >> 32), n, s.d[n]);
  return text + fmt::format("FPSCR: {:08x}\n", arm::fpscr(s));
}

}  // namespace

/// Calls f(machine) while no vCPU runs; those that did go on afterwards. What one has met a debugger's thread is about
/// to tell, and stops the machine for it.
template <class F>
bool Vm::while_halted(F f) {
  const std::lock_guard made(making_mutex_);
  const std::lock_guard state(state_mutex_);
  if (!machine_) return false;
  const bool ran = state_ == monitor::RunState::Running;
  if (ran) threads_.halt();
  const bool done = f(*machine_);
  if (ran && !(debugger_ && debugger_->is_hit())) threads_.resume();
  return done;
}

/// Calls f(machine) while there is one.
template <class F>
bool Vm::while_made(F f) {
  const std::lock_guard made(making_mutex_);
  return machine_ && f(*machine_);
}

std::string Vm::registers(u32 cpu) {
  std::string text;
  while_halted([&](machine::Machine& machine) {
    text = registers_text(cpu, machine.engine().vcpu(cpu).state());
    return true;
  });
  return text;
}

Status Vm::read_memory(std::optional<u32> cpu, u64 address, std::span<u8> out) {
  const auto read = [&](machine::Machine& machine) {
    resources_.hurry(true);
    const bool done = by_pages(machine, resources_.flash(), cpu.value_or(0), !cpu, address, out, read_physical);
    resources_.hurry(false);
    return done;
  };
  if (cpu ? while_halted(read) : while_made(read)) return {};
  return Error{ErrorKind::BadInput, "Cannot access memory"};
}

}  // namespace armvisor::vmm
