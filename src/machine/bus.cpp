#include "machine/bus.h"

#include <algorithm>
#include <string>

namespace armvisor::machine {
namespace {
thread_local u32 t_vcpu = 0;

/// By the one thread that may write `n` now.
void bump(std::atomic<u64>& n, u64 more) {
  n.store(n.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}
}  // namespace

u32 Bus::accessing_vcpu() { return t_vcpu; }
void Bus::set_accessing_vcpu(u32 index) { t_vcpu = index; }

Bus::Port* Bus::port_of(devices::MmioDevice& device) {
  for (const auto& port : ports_)
    if (&port->device == &device) return port.get();
  return ports_.emplace_back(std::make_unique<Port>(device)).get();
}

Status Bus::add(const devices::Region& added, devices::MmioDevice& device) {
  const auto [base, size] = added;
  const auto next = std::upper_bound(regions_.begin(), regions_.end(), base.value,
                                     [](u64 b, const Region& region) { return b < region.base; });
  const bool overlaps_next = next != regions_.end() && size > next->base - base.value;
  const bool overlaps_previous = next != regions_.begin() && base.value - std::prev(next)->base < std::prev(next)->size;
  if (size == 0 || base.value + size < base.value || overlaps_next || overlaps_previous)
    return Error{ErrorKind::Internal, "the region of device " + std::string(device.name()) + " overlaps another"};
  regions_.insert(next, {base.value, size, port_of(device)});
  return {};
}

const Bus::Region* Bus::find(GuestPa pa, u32 size) const {
  const auto next = std::upper_bound(regions_.begin(), regions_.end(), pa.value,
                                     [](u64 a, const Region& region) { return a < region.base; });
  if (next == regions_.begin()) return nullptr;
  const Region& region = *std::prev(next);
  const u64 offset = pa.value - region.base;
  return offset < region.size && size <= region.size - offset ? &region : nullptr;
}

bool Bus::read(GuestPa pa, u32 size, u64& value) {
  const Region* region = find(pa, size);
  if (!region) return false;
  Port& port = *region->port;
  const u64 start = measure::ticks();
  const std::lock_guard guard(port.mutex);
  value = port.device.mmio_read(pa.value - region->base, size);
  bump(port.reads, 1);
  bump(port.ticks, measure::ticks() - start);
  return true;
}

bool Bus::write(GuestPa pa, u32 size, u64 value) {
  const Region* region = find(pa, size);
  if (!region) return false;
  Port& port = *region->port;
  const u64 start = measure::ticks();
  const std::lock_guard guard(port.mutex);
  port.device.mmio_write(pa.value - region->base, size, value);
  bump(port.writes, 1);
  bump(port.ticks, measure::ticks() - start);
  return true;
}

std::vector<measure::DeviceSnapshot> Bus::stats() const {
  const double ns_per_tick = tick_scale_.ns_per_tick();
  std::vector<measure::DeviceSnapshot> out;
  for (const auto& port : ports_) {
    const std::string base(port->device.name());
    std::string name = base;
    const auto taken = [&] { return std::ranges::any_of(out, [&](const auto& d) { return d.name == name; }); };
    for (u32 n = 2; taken(); ++n) name = base + "-" + std::to_string(n);
    out.push_back({name, port->reads.load(std::memory_order_relaxed), port->writes.load(std::memory_order_relaxed),
                   static_cast<u64>(static_cast<double>(port->ticks.load(std::memory_order_relaxed)) * ns_per_tick)});
    if (const auto* steps = port->device.steps()) out.back().steps = steps->snapshot(ns_per_tick);
  }
  return out;
}

}  // namespace armvisor::machine
