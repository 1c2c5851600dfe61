#include "machine/bus.h"

#include <algorithm>
#include <string>

namespace armvisor::machine {
namespace {
thread_local u32 t_vcpu = 0;
}

u32 Bus::accessing_vcpu() { return t_vcpu; }
void Bus::set_accessing_vcpu(u32 index) { t_vcpu = index; }

std::mutex* Bus::lock_of(const devices::MmioDevice& device) {
  for (const Lock& lock : locks_)
    if (lock.device == &device) return lock.mutex.get();
  locks_.push_back({&device, std::make_unique<std::mutex>()});
  return locks_.back().mutex.get();
}

Status Bus::add(GuestPa base, u64 size, devices::MmioDevice& device) {
  const auto next = std::upper_bound(regions_.begin(), regions_.end(), base.value,
                                     [](u64 b, const Region& region) { return b < region.base; });
  const bool overlaps_next = next != regions_.end() && size > next->base - base.value;
  const bool overlaps_previous = next != regions_.begin() && base.value - std::prev(next)->base < std::prev(next)->size;
  if (size == 0 || base.value + size < base.value || overlaps_next || overlaps_previous)
    return Error{ErrorKind::Internal, "the region of device " + std::string(device.name()) + " overlaps another"};
  regions_.insert(next, {base.value, size, &device, lock_of(device)});
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
  const std::lock_guard guard(*region->lock);
  value = region->device->mmio_read(pa.value - region->base, size);
  return true;
}

bool Bus::write(GuestPa pa, u32 size, u64 value) {
  const Region* region = find(pa, size);
  if (!region) return false;
  const std::lock_guard guard(*region->lock);
  region->device->mmio_write(pa.value - region->base, size, value);
  return true;
}

}  // namespace armvisor::machine
