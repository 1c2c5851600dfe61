#include "devices/pci/host_bridge.h"

#include <algorithm>

#include "base/assert.h"

namespace armvisor::devices::pci {
namespace {

// As QEMU's is called: lspci and drivers know it.
constexpr Identity k_identity = {
    .vendor = 0x1b36, .device = 0x0008, .class_code = 0x060000, .subsystem_vendor = 0x1af4, .subsystem = 0x1100};

constexpr u32 k_config_size = HostBridge::k_config_size;
constexpr u32 k_first_pin = 1;  // INTA#, as interrupt-map counts
// First cell of an address in "ranges" (IEEE 1275 PCI bus binding).
constexpr u32 k_space_ports = 0x0100'0000, k_space_memory = 0x0200'0000, k_space_memory64 = 0x0300'0000;

u32 high(u64 v) { return static_cast<u32>(v >> 32); }
u32 low(u64 v) { return static_cast<u32>(v); }

/// A window of memory, whose addresses are the same on both sides.
void describe_window(std::vector<u32>& ranges, u32 space, const Region& window) {
  const u64 base = window.base.value;
  ranges.insert(ranges.end(),
                {space, high(base), low(base), high(base), low(base), high(window.size), low(window.size)});
}

/// Which line a slot's pin is on: neighbours share none. `pin`: 0 is INTA#.
constexpr u32 line_of(u32 slot, u32 pin) { return (slot + pin) % HostBridge::k_lines; }

void describe_interrupts(TreeWriter& tree, u32 first_spi) {
  std::vector<u32> map;
  for (u32 slot = 0; slot < HostBridge::k_lines; ++slot)
    for (u32 pin = 0; pin < HostBridge::k_lines; ++pin) {
      const u32 entry[] = {slot << 11,
                           0,
                           0,
                           k_first_pin + pin,
                           static_cast<u32>(Phandle::Gic),
                           0,
                           0,
                           static_cast<u32>(InterruptType::Spi),
                           first_spi + line_of(slot, pin),
                           k_level_high};
      map.insert(map.end(), std::begin(entry), std::end(entry));
    }
  tree.cells("#interrupt-cells", {1});
  tree.cells("interrupt-map-mask", {(HostBridge::k_lines - 1) << 11, 0, 0, 7});
  tree.cells("interrupt-map", map);
}

}  // namespace

void HostBridge::describe(TreeWriter& tree, const Site& site) {
  const Region config = site.regions[0], memory = site.regions[1], ports = site.regions[2];
  const u32 buses = static_cast<u32>(config.size / k_bus_size);
  tree.begin(node_name("pcie", memory.base));
  tree.text("compatible", "pci-host-ecam-generic");
  tree.text("device_type", "pci");
  tree.cells("#address-cells", {3});
  tree.cells("#size-cells", {2});
  tree.cells("linux,pci-domain", {0});
  tree.cells("bus-range", {0, buses - 1});
  tree.empty("dma-coherent");
  tree.cells("msi-map", {0, static_cast<u32>(Phandle::Messages), 0, 1 << 16});  // of all functions
  tree.reg({&config, 1});
  std::vector<u32> ranges = {k_space_ports,  0, 0, high(ports.base.value), low(ports.base.value), high(ports.size),
                             low(ports.size)};
  describe_window(ranges, k_space_memory, memory);
  if (const Region& high_window = site.regions[3]; high_window.size)
    describe_window(ranges, k_space_memory64, high_window);
  tree.cells("ranges", ranges);
  describe_interrupts(tree, *site.spi);
  tree.end();
}

HostBridge::HostBridge(Wiring wiring) : wiring_(std::move(wiring)) {
  for (u32 n = 0; n < k_lines; ++n) lines_[n].output = wiring_.lines[n];
  for (u32 n = 0; n < pins_.size(); ++n) pins_[n].line = &lines_[line_of(n / k_functions, 0)];
  self_ = std::make_unique<Function>(k_identity, intx(0, 0));
  plug(0, 0, *self_);
}

IrqLine& HostBridge::intx(u32 slot, u32 function) { return pins_[slot * k_functions + function]; }

void HostBridge::plug(u32 slot, u32 function, Function& device) {
  Function*& place = functions_[slot * k_functions + function];
  AV_ASSERT(!place);
  place = &device;
  for (const Function::Bar& bar : device.bars())
    mappings_.push_back({&device, bar, &wiring_.add_region(bar.size, *bar.device), std::nullopt});
}

// --- interrupts

void HostBridge::Line::set(bool level) {
  const std::lock_guard lock(mutex);
  pins += level ? 1 : ~u32{0};
  output->set(pins != 0);
}

void HostBridge::Pin::set(bool now) {
  if (now == level) return;
  level = now;
  line->set(now);
}

// --- configuration

Function* HostBridge::function_at(u64 offset) const {
  const u64 number = offset / k_config_size;  // bus, slot, function
  return number < functions_.size() ? functions_[number] : nullptr;
}

u64 HostBridge::mmio_read(u64 offset, u32 size) {
  Function* const function = function_at(offset);
  const u32 at = offset % k_config_size;
  const u32 first = std::min(size, 4u);
  if (!function) return low_mask(8 * size);
  const u64 value = function->config_read(at, first);
  return size == 8 ? value | u64{function->config_read(at + 4, 4)} << 32 : value;
}

void HostBridge::mmio_write(u64 offset, u32 size, u64 value) {
  Function* const function = function_at(offset);
  if (!function) return;
  const u32 at = offset % k_config_size;
  function->config_write(at, std::min(size, 4u), low(value));
  if (size == 8) function->config_write(at + 4, 4, high(value));
  if (at < CapabilityList) update();
}

/// Where its register says that a region is, if the guest reaches that through a window.
std::optional<GuestPa> HostBridge::wanted(const Mapping& m) const {
  const auto address = m.function->config().bar_address(m.bar.index, m.bar.kind);
  if (!address) return std::nullopt;
  const bool port = m.bar.kind == BarKind::Io;
  for (const Region& window : {port ? wiring_.ports : wiring_.memory, port ? Region{} : wiring_.high}) {
    const u64 offset = port ? *address : *address - window.base.value;
    if (offset < window.size && m.bar.size <= window.size - offset) return window.base + offset;
  }
  return std::nullopt;
}

/// Moves regions as the registers say. Of two that overlap the one that was there first has the place; the other is
/// nowhere until it is free.
void HostBridge::update() {
  for (Mapping& m : mappings_)
    if (m.at && m.at != wanted(m)) {
      m.region->remove();
      m.at.reset();
    }
  for (Mapping& m : mappings_) {
    const auto at = wanted(m);
    if (at && !m.at && m.region->place(*at)) m.at = at;
  }
}

}  // namespace armvisor::devices::pci
