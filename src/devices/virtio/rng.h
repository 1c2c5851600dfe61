#pragma once
// A virtio entropy device (virtio 1.2 section 5.4), fed by getrandom(2). It answers at once, on the notifying thread.
#include "devices/virtio/device.h"

namespace armvisor::devices::virtio {

class Rng final : public Device {
 public:
  std::string_view name() const override { return "virtio-rng"; }
  u32 id() const override { return 4; }
  u64 features() const override { return 0; }
  std::span<const u16> queue_sizes() const override;
  void read_config(u32, std::span<u8>) override {}
  void activate(u64) override { notify(0); }
  void reset() override {}
  void notify(u16 queue) override;

 private:
  std::optional<u32> answer(const Chain& chain);

  Chain chain_;
};

}  // namespace armvisor::devices::virtio
