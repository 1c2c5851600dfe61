// The state of vCPUs and memory, as monitors show it.
#include <fmt/format.h>

#include "base/output_file.h"
#include "vmm/guest_view.h"
#include "vmm/screenshot.h"
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

std::size_t Vm::read_memory(std::optional<u32> cpu, u64 address, std::span<u8> out) {
  std::size_t done = 0;
  const auto access = [&](machine::Machine& machine, GuestPa pa, std::span<u8> bytes) {
    if (!read_physical(machine, pa, bytes)) return false;
    done += bytes.size();
    return true;
  };
  const auto read = [&](machine::Machine& machine) {
    resources_.hurry(true);
    const bool all = by_pages(machine, resources_.flash(), cpu.value_or(0), !cpu, address, out, access);
    resources_.hurry(false);
    return all;
  };
  (void)(cpu ? while_halted(read) : while_made(read));
  return done;
}

std::vector<monitor::PciDeviceInfo> Vm::pci() {
  std::vector<monitor::PciDeviceInfo> all;
  while_made([&](machine::Machine& machine) {
    for (devices::PciFunctionInfo& f : machine.pci_functions()) all.push_back({std::move(f), {}});
    return true;
  });
  for (monitor::PciDeviceInfo& device : all)
    for (const machine::Seat& seat : config_.seats)
      if (seat.bus == machine::Seat::Bus::Pci && seat.slot == device.slot && seat.function == device.function)
        device.id = seat.id;
  return all;
}

/// As a portable pixmap (PPM), which is there when it is whole.
Status Vm::screendump(const std::string& path) {
  std::optional<devices::virtio::Picture> picture;
  while_made([&](machine::Machine& machine) {
    picture = machine.picture();
    return true;
  });
  if (!picture) return Error{ErrorKind::BadArguments, "There is no console to take a screendump from"};
  if (picture->width == 0) *picture = {640, 480, std::vector<u8>(640 * 480 * 3)};
  return save_screenshot(path, make_pixmap(picture->width, picture->height, std::move(picture->pixels)),
                         machine::input_files(config_.boot));
}

std::vector<devices::MappedRegion> Vm::memory_map() {
  std::vector<devices::MappedRegion> all;
  while_made([&](machine::Machine& machine) {
    all = machine.memory_map();
    return true;
  });
  return all;
}

}  // namespace armvisor::vmm
