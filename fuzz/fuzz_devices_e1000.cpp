// Registers of the e1000, rings and frames that the input writes to RAM, and frames that come.
#include "devices/ethernet/e1000.h"
#include "registers.h"

using namespace armvisor;

namespace {
struct Wire final : devices::NetworkBackend {
  Status start(devices::NetworkClient& c) override {
    client = &c;
    return {};
  }
  void stop() override {}
  void wake() override {}
  void send(std::span<const u8> frame) override {
    if (frame.size() < 14 || frame.size() > 0x11000) fuzz::fail("a frame that no wire carries");
  }
  devices::NetworkClient* client = nullptr;
};
}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  using namespace devices::e1000;
  constexpr u64 k_base = 0x40000000, k_size = 1 << 20;
  static GuestRam ram = *GuestRam::create(GuestPa(k_base), k_size);
  fuzz::Input in(data, size);
  fuzz::NullIrq irq;
  auto network = std::make_unique<Wire>();
  Wire& wire = *network;
  const auto controller = std::move(*Controller::create(std::move(network), {2, 0, 0, 0, 0, 1}, ram, irq));
  controller->config_write(devices::pci::Command, 2, devices::pci::k_command_master);
  devices::MmioDevice& registers = *controller->bars()[0].device;
  // 16: descriptors or a frame in RAM. 17: the wire's turn. 18: a frame comes. 19: rings that are in RAM.
  fuzz::drive(in, registers, RegistersEnd, [&](u8 extra) {
    switch (extra) {
      case 16: (void)ram.write(GuestPa(k_base + u64{in.get<u16>()} * 16), in.bytes(64)); return true;
      case 17:
        (void)wire.client->transmit_pending();
        wire.client->received_all();
        return true;
      case 18: wire.client->receive(in.bytes(in.get<u8>() * 8)); return true;
      case 19:
        for (const u32 first : {u32{Rdbal}, u32{Tdbal}}) {
          registers.mmio_write(first, 4, k_base + u64{in.get<u16>()} * 16);
          registers.mmio_write(first + 8, 4, in.get<u16>());
          registers.mmio_write(first + 0x18, 4, in.get<u8>());
        }
        registers.mmio_write(Tctl, 4, k_tctl_enable);
        registers.mmio_write(Rctl, 4, k_rctl_enable | k_rctl_all_unicast | in.get<u32>());
        return true;
      default: return false;
    }
  });
  return 0;
}
