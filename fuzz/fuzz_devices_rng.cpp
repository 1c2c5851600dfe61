// The entropy device under a hostile driver.
#include "devices/virtio/rng.h"
#include "virtio_guest.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  fuzz::VirtioGuest guest(std::make_unique<devices::virtio::Rng>(), in.get<u8>() & 1);
  guest.run(in, [](fuzz::Input&) {});
  return 0;
}
