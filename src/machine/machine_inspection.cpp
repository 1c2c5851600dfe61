// What monitors show of a machine's buses.
#include <algorithm>

#include "machine/machine.h"

namespace armvisor::machine {

std::vector<devices::PciFunctionInfo> Machine::pci_functions() {
  using namespace devices::pci;
  std::vector<devices::PciFunctionInfo> all;
  for (u32 place = 0; pci_ && place < HostBridge::k_slots * HostBridge::k_functions; ++place) {
    devices::PciFunctionInfo info{.slot = place / HostBridge::k_functions, .function = place % HostBridge::k_functions};
    const Function* const function = pci_->function(info.slot, info.function);
    if (!function) continue;
    bool there = true;
    const auto read = [&](u32 offset, u32 size) {
      u64 value = 0;
      there = there && bus_.peek(pci_config_ + place * HostBridge::k_config_size + offset, size, value);
      return static_cast<u32>(value);
    };
    info.vendor = static_cast<u16>(read(VendorId, 2));
    info.device = static_cast<u16>(read(DeviceId, 2));
    info.subsystem_vendor = static_cast<u16>(read(SubsystemVendorId, 2));
    info.subsystem = static_cast<u16>(read(SubsystemId, 2));
    info.device_class = static_cast<u16>(read(ClassCode + 1, 2));
    info.pin = static_cast<u8>(read(InterruptPin, 1));
    info.line = static_cast<u8>(read(InterruptLine, 1));
    const u32 command = read(Command, 2);
    for (const Function::Bar& bar : function->bars()) {
      const bool io = bar.kind == BarKind::Io, wide = bar.kind == BarKind::Memory64;
      const u32 at = BaseAddress + 4 * bar.index;
      const u64 address = (read(at, 4) & (io ? ~3u : ~15u)) | (wide ? u64{read(at + 4, 4)} << 32 : 0);
      const bool decodes = (command & (io ? k_command_io : k_command_memory)) != 0;
      info.regions.push_back({.index = bar.index,
                              .io = io,
                              .prefetchable = wide,
                              .wide = wide,
                              .size = bar.size,
                              .address = decodes ? std::optional(address) : std::nullopt});
    }
    std::ranges::sort(info.regions, {}, &devices::PciFunctionInfo::Region::index);
    if (there) all.push_back(std::move(info));
  }
  return all;
}

std::vector<devices::MappedRegion> Machine::memory_map() const {
  std::vector<devices::MappedRegion> all = bus_.layout();
  all.push_back({ram_.base().value, ram_.size(), "mach-virt.ram", "ram"});
  std::ranges::stable_sort(all, [](const auto& a, const auto& b) { return a.base < b.base; });
  return all;
}

}  // namespace armvisor::machine
