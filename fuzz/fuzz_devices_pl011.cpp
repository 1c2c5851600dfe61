// Register accesses at the UART, with input from the host.
#include "devices/pl011.h"
#include "registers.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  fuzz::NullIrq irq;
  u64 sum = 0;
  devices::Pl011 uart(irq, [&](std::span<const u8> out) {
    for (u8 b : out) sum += b;
  });
  uart.set_space_callback([] {});
  fuzz::drive(in, uart, devices::Pl011::k_region_size, [&](u8 extra) {
    if (extra == 16) {
      const auto bytes = in.bytes(in.get<u16>() & 0x1fff);
      if (uart.push(bytes) > bytes.size()) fuzz::fail("more taken than was offered");
    } else if (extra == 17) {
      uart.reset();
    } else {
      return false;
    }
    return true;
  });
  return 0;
}
