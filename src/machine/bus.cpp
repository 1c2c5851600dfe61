#include "machine/bus.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

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

/// A region that is moved: which window it is in, if any, follows from its place.
class Bus::Movable final : public devices::MovableRegion {
 public:
  Movable(Bus& bus, u64 size, Port* port) : bus_(bus), size_(size), port_(port) {}
  bool place(GuestPa base) override {
    remove();
    const devices::Region region{base, size_};
    for (const auto& window : bus_.windows_)
      if (window->holds(region) && window->insert(region, port_)) {
        window_ = window.get();
        base_ = base.value;
      }
    return window_ != nullptr;
  }
  void remove() override {
    if (window_) window_->erase(base_);
    window_ = nullptr;
  }

 private:
  Bus& bus_;
  const u64 size_;
  Port* const port_;
  BusWindow* window_ = nullptr;
  u64 base_ = 0;
};

Bus::Bus() = default;
Bus::~Bus() = default;

Status Bus::add(const devices::Region& region, devices::MmioDevice& device) { return add(region, device, nullptr); }

Status Bus::add_window(const devices::Region& region, devices::MmioDevice& background) {
  windows_.push_back(std::make_unique<BusWindow>(region));
  windows_.back()->make_room(movables_.size());
  return add(region, background, windows_.back().get());
}

devices::MovableRegion& Bus::add_movable(u64 size, devices::MmioDevice& device) {
  movables_.push_back(std::make_unique<Movable>(*this, size, port_of(device)));
  for (const auto& window : windows_) window->make_room(movables_.size());
  return *movables_.back();
}

Status Bus::add(const devices::Region& added, devices::MmioDevice& device, BusWindow* window) {
  const auto [base, size] = added;
  const auto next = std::upper_bound(regions_.begin(), regions_.end(), base.value,
                                     [](u64 b, const Region& region) { return b < region.base; });
  const bool overlaps_next = next != regions_.end() && size > next->base - base.value;
  const bool overlaps_previous = next != regions_.begin() && base.value - std::prev(next)->base < std::prev(next)->size;
  if (size == 0 || base.value + size < base.value || overlaps_next || overlaps_previous)
    return Error{ErrorKind::Internal, "the region of device " + std::string(device.name()) + " overlaps another"};
  regions_.insert(next, {base.value, size, port_of(device), window});
  return {};
}

Bus::Hit Bus::find(GuestPa pa, u32 size) const {
  const auto next = std::upper_bound(regions_.begin(), regions_.end(), pa.value,
                                     [](u64 a, const Region& region) { return a < region.base; });
  if (next == regions_.begin()) return {};
  const Region& region = *std::prev(next);
  const u64 offset = pa.value - region.base;
  if (offset >= region.size || size > region.size - offset) return {};
  if (region.window) {
    const BusWindow::Found found = region.window->find(pa.value, size);
    if (found.port) return {static_cast<Port*>(found.port), found.offset};
  }
  return {region.port, offset};
}

bool Bus::read(GuestPa pa, u32 size, u64& value) {
  const Hit hit = find(pa, size);
  if (!hit.port) return false;
  Port& port = *hit.port;
  const u64 start = measure::ticks();
  const std::lock_guard guard(port.mutex);
  value = port.device.mmio_read(hit.offset, size);
  bump(port.reads, 1);
  bump(port.ticks, measure::ticks() - start);
  return true;
}

bool Bus::write(GuestPa pa, u32 size, u64 value) {
  const Hit hit = find(pa, size);
  if (!hit.port) return false;
  Port& port = *hit.port;
  const u64 start = measure::ticks();
  const std::lock_guard guard(port.mutex);
  port.device.mmio_write(hit.offset, size, value);
  bump(port.writes, 1);
  bump(port.ticks, measure::ticks() - start);
  return true;
}

namespace {
/// False: somebody else has had it for long.
bool lock_soon(std::mutex& mutex) {
  constexpr int k_tries = 100;
  for (int n = 0; n < k_tries; ++n) {
    if (mutex.try_lock()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}
}  // namespace

bool Bus::peek(GuestPa pa, u32 size, u64& value) {
  const Hit hit = find(pa, size);
  if (!hit.port || !lock_soon(hit.port->mutex)) return false;
  const std::lock_guard guard(hit.port->mutex, std::adopt_lock);
  value = hit.port->device.mmio_read(hit.offset, size);
  return true;
}

bool Bus::poke(GuestPa pa, u32 size, u64 value) {
  const Hit hit = find(pa, size);
  if (!hit.port || !lock_soon(hit.port->mutex)) return false;
  const std::lock_guard guard(hit.port->mutex, std::adopt_lock);
  hit.port->device.mmio_write(hit.offset, size, value);
  return true;
}

namespace {
/// What monitors call a device's region: flash is read like memory.
const char* kind_of(const devices::MmioDevice& device) { return device.name() == "cfi-flash" ? "romd" : "i/o"; }
}  // namespace

std::vector<devices::MappedRegion> Bus::layout() const {
  std::vector<devices::MappedRegion> all;
  for (const Region& region : regions_) {
    const devices::MmioDevice& device = region.port->device;
    all.push_back({region.base, region.size, std::string(device.name()), kind_of(device)});
    if (!region.window) continue;
    for (const BusWindow::Placed& placed : region.window->placed())
      all.push_back({placed.region.base.value, placed.region.size,
                     std::string(static_cast<Port*>(placed.port)->device.name()), "i/o", 1});
  }
  return all;
}

std::vector<measure::DeviceSnapshot> Bus::stats() const {
  const double ns_per_tick = tick_scale_.ns_per_tick();
  std::vector<measure::DeviceSnapshot> out;
  for (const auto& port : ports_) {
    const std::string base(port->device.name());
    std::string name = base;
    const auto taken = [&] { return std::ranges::any_of(out, [&](const auto& d) { return d.name == name; }); };
    for (u32 n = 2; taken(); ++n) name = fmt::format("{}-{}", base, n);
    out.push_back({name, port->reads.load(std::memory_order_relaxed), port->writes.load(std::memory_order_relaxed),
                   static_cast<u64>(static_cast<double>(port->ticks.load(std::memory_order_relaxed)) * ns_per_tick)});
    if (const auto* steps = port->device.steps()) out.back().steps = steps->snapshot(ns_per_tick);
  }
  return out;
}

}  // namespace armvisor::machine
