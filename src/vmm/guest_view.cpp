#include "vmm/guest_view.h"

#include <array>

#include "arm/page_walk.h"

namespace armvisor::vmm {
namespace {

/// The largest access that a device gets of [pa, pa + left).
u32 piece_of(u64 pa, std::size_t left) {
  for (const u32 size : {4u, 2u})
    if (pa % size == 0 && left >= size) return size;
  return 1;
}

/// A device would do something when it is read.
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

bool read_physical(machine::Machine& machine, GuestPa pa, std::span<u8> out) {
  if (machine.ram().contains(pa, out.size())) return machine.ram().read(pa, out);
  for (std::size_t at = 0; at < out.size();) {
    const u32 size = piece_of(pa.value + at, out.size() - at);
    u64 value = 0;
    if (!machine.bus().peek(pa + at, size, value)) return false;
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
    if (!machine.bus().poke(pa + at, size, value)) return false;
    at += size;
  }
  return true;
}

std::optional<GuestPa> translate(machine::Machine& machine, machine::FlashBanks& flash, u32 cpu, u64 address) {
  Tables tables(machine.ram(), flash);
  arm::Translation t;
  if (address >> 32 ||
      arm::translate(machine.engine().vcpu(cpu).state(), tables, static_cast<u32>(address), arm::Access::Read, true, t))
    return std::nullopt;
  return t.pa;
}

}  // namespace armvisor::vmm
