// Register accesses at the UART, with input from the host.
#include "devices/pl011.h"
#include "registers.h"

using namespace armvisor;

namespace {
struct Line final : devices::Chardev {
  u64 sum = 0;
  bool full = false;
  using Chardev::give;
  using Chardev::tell_break;
  using Chardev::tell_writable;
  std::string filename() const override { return "fuzz"; }
  bool do_offer(std::span<const u8> out) override {
    if (!full) do_write(out);
    return !full;
  }
  void do_write(std::span<const u8> out) override {
    for (u8 b : out) sum += b;
  }
};
}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  fuzz::NullIrq irq;
  Line line;
  line.hurry(true);  // nobody would end a wait for room
  devices::Pl011 uart(irq, &line);
  fuzz::drive(in, uart, devices::Pl011::k_region_size, [&](u8 extra) {
    if (extra == 16) {
      const auto bytes = in.bytes(in.get<u16>() & 0x1fff);
      if (line.give(bytes) > bytes.size()) fuzz::fail("more taken than was offered");
    } else if (extra == 17) {
      uart.reset();
    } else if (extra == 18) {
      line.full = in.get<u8>() & 1;
      line.tell_writable();
      line.tell_break();
    } else {
      return false;
    }
    return true;
  });
  return 0;
}
