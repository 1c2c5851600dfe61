// The PCI host bridge with virtio devices: configuration, BARs and messages as a hostile guest writes them.
#include <optional>

#include "devices/pci/host_bridge.h"
#include "devices/virtio/pci.h"
#include "devices/virtio/rng.h"
#include "registers.h"

using namespace armvisor;
using namespace armvisor::devices;

namespace {

constexpr Region k_memory{GuestPa(0x1000'0000), 0x2000'0000}, k_ports{GuestPa(0x3eff'0000), 0x1'0000},
    k_high{GuestPa(0x80'0000'0000), 0x80'0000'0000};

struct World;
struct Placed final : MovableRegion {
  Placed(World& w, u64 s, MmioDevice& d) : world(w), size(s), device(d) {}
  bool place(GuestPa base) override;
  void remove() override { at.reset(); }
  World& world;
  const u64 size;
  MmioDevice& device;
  std::optional<u64> at;
};

struct World final : pci::MessageSink {
  void message(GuestPa address, u32) override {
    if (address.value % 4) fuzz::fail("a message to an odd address");
  }
  GuestRam ram = *GuestRam::create(GuestPa(0x4000'0000), 1u << 20);
  fuzz::NullIrq lines[4];
  std::vector<std::unique_ptr<Placed>> regions;
  pci::HostBridge bridge{{.memory = k_memory,
                          .ports = k_ports,
                          .high = k_high,
                          .lines = {&lines[0], &lines[1], &lines[2], &lines[3]},
                          .add_region = [this](u64 size, MmioDevice& device) -> MovableRegion& {
                            return *regions.emplace_back(std::make_unique<Placed>(*this, size, device));
                          }}};
  std::vector<std::unique_ptr<virtio::PciTransport>> functions;
};

bool Placed::place(GuestPa base) {
  const auto inside = [&](const Region& w) {
    return base.value >= w.base.value && base.value + size <= w.base.value + w.size;
  };
  if (!inside(k_memory) && !inside(k_ports) && !inside(k_high)) fuzz::fail("a region outside the windows");
  if (at) fuzz::fail("a region that is at two places");
  for (const auto& other : world.regions)
    if (other->at && *other->at < base.value + size && base.value < *other->at + other->size) return false;
  at = base.value;
  return true;
}

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  World world;
  const virtio::PciForm forms[] = {{}, {.legacy = true, .modern = false}};
  for (u32 n = 0; n < 2; ++n) {  // functions 0 and 1 of slot 1: the first 64 KiB of configuration has no more slots
    const pci::Wires wires{world.bridge.intx(1, n), world};
    world.functions.push_back(
        std::make_unique<virtio::PciTransport>(std::make_unique<virtio::Rng>(), world.ram, wires, forms[n]));
    world.bridge.plug(1, n, *world.functions.back());
  }
  fuzz::drive(in, world.bridge, 0x1'0000, [&](u32 which) {
    if (which == 0 || which > world.regions.size()) return false;
    // An access to what is placed, or would be.
    Placed& region = *world.regions[which - 1];
    const u16 at = in.get<u16>();
    const u32 bytes = 1u << (at & 3);
    const u64 offset = (at >> 3) % region.size & ~u64{bytes - 1};
    if (at & 4)
      region.device.mmio_write(offset, bytes, in.get<u64>() & fuzz::low_bytes_mask(bytes));
    else if (region.device.mmio_read(offset, bytes) & ~fuzz::low_bytes_mask(bytes))
      fuzz::fail("a read wider than the access");
    return true;
  });
  return 0;
}
