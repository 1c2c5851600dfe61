// The balloon under a hostile driver, with and without reporting of free pages.
#include "devices/virtio/balloon.h"
#include "virtio_guest.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  const u8 how = in.get<u8>();
  const devices::virtio::BalloonOptions options{.free_page_reporting = (how & 2) != 0, .pages = in.get<u16>()};
  fuzz::VirtioGuest guest(std::make_unique<devices::virtio::Balloon>(options, [](u32) {}), how & 1);
  auto& balloon = static_cast<devices::virtio::Balloon&>(guest.device());
  guest.run(in, [&balloon](fuzz::Input& more) { balloon.ask_for(more.get<u16>()); });
  return 0;
}
