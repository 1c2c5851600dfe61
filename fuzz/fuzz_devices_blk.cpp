// The block device under a hostile driver; its worker thread runs beside it.
#include <chrono>
#include <thread>

#include "devices/virtio/blk.h"
#include "memory_disk.h"
#include "virtio_guest.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  const u8 how = in.get<u8>();
  auto device = devices::virtio::Block::create(std::make_unique<fuzz::MemoryDisk>(how & 2), {"FUZZ"});
  if (!device) return 0;
  fuzz::VirtioGuest guest(*std::move(device), how & 1);
  guest.run(in, [](fuzz::Input&) { std::this_thread::sleep_for(std::chrono::microseconds(100)); });
  return 0;
}
