#pragma once
// A virtio 9P transport (virtio id 9; Linux's net/9p/trans_virtio.c): a folder of the host that the guest mounts by a
// tag. One queue, of which each chain is a request and room for its answer. Requests may wait for the host's disk, so a
// thread serves them, one after the other. A vCPU waits only when it resets the device, for the request at hand
// (queue_worker.h); the files that were open are closed by the thread.
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "devices/ninep/server.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue_worker.h"

namespace armvisor::devices::virtio {

class NineP final : public Device {
 public:
  static Result<std::unique_ptr<NineP>> create(std::shared_ptr<ninep::SharedFolder> folder);

  std::string_view name() const override { return "virtio-9p"; }
  u32 id() const override { return 9; }
  u64 features() const override { return k_mount_tag; }
  std::span<const u16> queue_sizes() const override;
  u32 config_bytes() const override { return static_cast<u32>(config_.size()); }
  void read_config(u32 offset, std::span<u8> out) override;
  void activate(u64) override { worker_.activate(); }
  void reset() override { worker_.reset(); }
  void notify(u16 queue) override { worker_.notify(queue); }

 private:
  static constexpr u64 k_mount_tag = 1;

  explicit NineP(std::shared_ptr<ninep::SharedFolder> folder);
  std::optional<u32> answer(const Chain& chain);

  std::vector<u8> config_;

  // Who serves has these.
  ninep::Server server_;
  Chain chain_;
  std::vector<iovec> request_, reply_;
  QueueWorker worker_;
};

}  // namespace armvisor::devices::virtio
