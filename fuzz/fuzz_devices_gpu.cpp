// The GPU under a hostile driver.
#include "devices/virtio/gpu.h"
#include "virtio_guest.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  fuzz::VirtioGuest guest(*devices::virtio::Gpu::create({}), in.get<u8>() & 1);
  guest.run(in, [](fuzz::Input&) {});
  return 0;
}
