// The network device under a hostile driver; frames arrive when the input says so.
#include "devices/virtio/net.h"
#include "virtio_guest.h"

using namespace armvisor;

namespace {

/// A backend whose thread is the fuzzer's: it works when it is told to.
class Wire final : public devices::NetworkBackend {
 public:
  Status start(devices::NetworkClient& client) override {
    client_ = &client;
    return {};
  }
  void stop() override { client_ = nullptr; }
  void wake() override {}
  void send(std::span<const u8> frame) override {
    for (u8 b : frame) sum_ += b;
  }
  void work(std::span<const u8> frame) {
    if (!client_) return;
    for (int i = 0; i < 16 && client_->transmit_pending(); ++i) {
    }
    if (!frame.empty()) client_->receive(frame);
    client_->received_all();
  }

 private:
  devices::NetworkClient* client_ = nullptr;
  u64 sum_ = 0;
};

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  auto backend = std::make_unique<Wire>();
  Wire& wire = *backend;
  constexpr devices::MacAddress mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
  fuzz::VirtioGuest guest(*devices::virtio::Net::create(std::move(backend), mac), in.get<u8>() & 1);
  guest.run(in, [&](fuzz::Input& rest) { wire.work(rest.bytes(rest.get<u8>())); });
  return 0;
}
