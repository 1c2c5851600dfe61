#pragma once
// The guest's memory as a debugger or a monitor sees it: by physical addresses, or by the tables that a vCPU has in
// force. No vCPU runs meanwhile where its state is looked at.
#include <algorithm>
#include <optional>
#include <span>

#include "base/platform.h"
#include "machine/machine.h"

namespace armvisor::vmm {

/// Devices are asked as by a load or store. False: some of it is not there; a write may be done in part.
bool read_physical(machine::Machine& machine, GuestPa pa, std::span<u8> out);
bool write_physical(machine::Machine& machine, GuestPa pa, std::span<const u8> in);
/// Where the vCPU, as privileged code, finds a virtual address. Tables are in RAM, or in flash while it reads as an
/// array. Nothing: nowhere.
std::optional<GuestPa> translate(machine::Machine& machine, machine::FlashBanks& flash, u32 cpu, u64 address);

/// Calls access(machine, physical address, bytes) for each page of `bytes` at `address`, until one fails.
template <class Byte, class F>
bool by_pages(machine::Machine& machine, machine::FlashBanks& flash, u32 cpu, bool physical, u64 address,
              std::span<Byte> bytes, F access) {
  machine::Bus::set_accessing_vcpu(cpu);
  bool done = true;
  for (u64 at = address; done && !bytes.empty();) {
    const std::size_t size = std::min<std::size_t>(bytes.size(), k_page_size - (at & k_page_mask));
    const auto pa = physical ? GuestPa(at) : translate(machine, flash, cpu, at);
    done = pa && access(machine, *pa, bytes.first(size));
    bytes = bytes.subspan(size);
    at += size;
  }
  machine::Bus::set_accessing_vcpu(0);
  return done;
}

}  // namespace armvisor::vmm
