// The SCSI host, with a disk and a CD-ROM, under a hostile driver; its worker thread runs beside it.
#include <chrono>
#include <thread>

#include "devices/virtio/scsi.h"
#include "memory_disk.h"
#include "virtio_guest.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  const u8 how = in.get<u8>();
  std::vector<devices::virtio::Scsi::Place> units;
  for (const u8 target : {0, 1})
    units.push_back({{target, 0},
                     std::make_unique<devices::scsi::Unit>(std::make_shared<fuzz::MemoryDisk>((how & 2) || target == 1),
                                                           devices::scsi::UnitOptions{.cd_rom = target == 1})});
  auto device = devices::virtio::Scsi::create(std::move(units));
  if (!device) return 0;
  fuzz::VirtioGuest guest(*std::move(device), how & 1);
  guest.run(in, [](fuzz::Input&) { std::this_thread::sleep_for(std::chrono::microseconds(100)); });
  return 0;
}
