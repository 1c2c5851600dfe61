#pragma once
// A virtio device whose work a program on the host does (vhost-user): a file system (virtio 1.2 section 5.11) or a disk
// (5.2). Its requests go through rings of our own (vhost_user/shadow_ring.h):
//
//   guest's ring --pop, check--> shadow ring --> program --> shadow ring --check--> tell the engine --> guest's ring
//
// The program writes its answers straight into guest RAM, of which the engine knows nothing: code that it has
// translated there, and tables that it follows, would stay as they were. So when the program says that it has used a
// chain, all of the chain's buffers are told of as a device's write, whatever it says that it wrote, and only then are
// the used ring and the interrupt the guest's. Until then the guest was told nothing, as with any DMA. The same is done
// for chains that come back unused, from a program that failed or was stopped.
//
// A thread of its own carries chains and does all of the talking. A vCPU waits only when it resets the device, until
// the program has left the rings, or Options::patience_ms are over for that (and for beginning, if it was at that);
// then the program counts as broken. A broken one's requests are answered here, as errors, so the guest's programs get
// these and do not wait.
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/wake_event.h"
#include "devices/vhost_user/backend.h"
#include "devices/virtio/device.h"

namespace armvisor::devices::virtio {

class VhostUser final : public Device {
 public:
  static Result<std::unique_ptr<VhostUser>> create(std::shared_ptr<vhost_user::Backend> backend);
  ~VhostUser() override;

  std::string_view name() const override { return is_disk() ? "vhost-user-blk" : "vhost-user-fs"; }
  u32 id() const override { return is_disk() ? 2 : 26; }
  u64 features() const override { return backend_->features(); }
  std::span<const u16> queue_sizes() const override { return queue_sizes_; }
  u16 request_queue() const override { return is_disk() ? 0 : 1; }
  u32 config_bytes() const override { return static_cast<u32>(config_.size()); }
  void read_config(u32 offset, std::span<u8> out) override { copy_config(config_, offset, out); }
  void activate(u64 negotiated) override;
  void reset() override;
  void notify(u16) override { event_.wake(); }

 private:
  VhostUser(std::shared_ptr<vhost_user::Backend> backend, vhost_user::Rings rings, WakeEvent event);
  bool is_disk() const { return backend_->options().kind == vhost_user::Kind::Disk; }
  void run();
  void wait() const;
  void serve_rings();
  void collect(u16 index);
  void forward(u16 index);
  void fail_requests(u16 index);
  u32 answer_failed(const Chain& chain);
  void stop();

  const std::shared_ptr<vhost_user::Backend> backend_;
  const WakeEvent event_;
  std::vector<u16> queue_sizes_;
  std::vector<u8> config_;

  // The thread's.
  vhost_user::Rings rings_;
  struct Held {
    Chain chain;
    bool full = false;  ///< it was taken, and waits for room in the ring
  };
  std::vector<Held> held_;  ///< for each ring
  Chain used_;

  std::mutex mutex_;  // guards what follows; not held while the thread works or talks
  std::condition_variable idle_;
  u64 negotiated_ = 0;
  bool running_ = false;  ///< the thread uses queues, or is about to
  bool stopping_ = false;
  std::atomic<bool> active_{false};  ///< changed with mutex_ held
  std::thread thread_;
};

}  // namespace armvisor::devices::virtio
