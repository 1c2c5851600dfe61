#include "devices/pci/ivshmem.h"

#include <atomic>
#include <cstring>

namespace armvisor::devices::pci {
namespace {

constexpr Identity k_identity = {.vendor = 0x1af4,
                                 .device = 0x1110,
                                 .class_code = 0x050000,
                                 .revision = 1,
                                 .subsystem_vendor = 0x1af4,
                                 .subsystem = 0x1100};

/// Others see an aligned access whole.
template <class T>
u64 load(u8* at) {
  if (reinterpret_cast<std::uintptr_t>(at) % sizeof(T) == 0)
    return std::atomic_ref<T>(*reinterpret_cast<T*>(at)).load(std::memory_order_acquire);
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <class T>
void store(u8* at, u64 value) {
  const T part = static_cast<T>(value);
  if (reinterpret_cast<std::uintptr_t>(at) % sizeof(T) == 0)
    return std::atomic_ref<T>(*reinterpret_cast<T*>(at)).store(part, std::memory_order_release);
  std::memcpy(at, &part, sizeof part);
}

}  // namespace

Ivshmem::Ivshmem(std::shared_ptr<SharedMemory> memory, const Wires& wires)
    : Function(k_identity, wires.intx), shared_(std::move(memory)), memory_(*shared_) {
  add_bar({0, BarKind::Memory, k_registers_size, &registers_});
  add_bar({2, BarKind::Memory64, static_cast<u32>(shared_->bytes().size()), &memory_});
}

u64 Ivshmem::Memory::mmio_read(u64 offset, u32 size) {
  u8* const at = memory_.bytes().data() + offset;
  switch (size) {
    case 1: return load<u8>(at);
    case 2: return load<u16>(at);
    case 4: return load<u32>(at);
    default: return load<u64>(at);
  }
}

void Ivshmem::Memory::mmio_write(u64 offset, u32 size, u64 value) {
  if (memory_.read_only()) return;
  u8* const at = memory_.bytes().data() + offset;
  switch (size) {
    case 1: return store<u8>(at, value);
    case 2: return store<u16>(at, value);
    case 4: return store<u32>(at, value);
    default: return store<u64>(at, value);
  }
}

}  // namespace armvisor::devices::pci
