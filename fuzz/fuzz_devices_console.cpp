// The console device under a hostile driver; input arrives now and then.
#include "devices/virtio/console.h"
#include "virtio_guest.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  auto device = std::make_unique<devices::virtio::Console>([](std::span<const u8>) {});
  auto& console = *device;
  console.on_room([] {});
  fuzz::VirtioGuest guest(std::move(device), in.get<u8>() & 1);
  guest.run(in, [&](fuzz::Input& rest) {
    const u8 n = rest.get<u8>();
    if (n & 1) console.resize(n, static_cast<u16>(n << 4));
    console.input(rest.bytes(n & 0x7e));
  });
  return 0;
}
