#pragma once
// A virtio network device (virtio 1.2 section 5.1): one receive and one transmit queue over a NetworkBackend.
//
// The backend's thread does all of the queue work; a notification only wakes it. Frames that find no buffer wait in a
// bounded queue, beyond which they are dropped, as on a wire. What costs the guest most is that every packet goes
// through its network stack, so the device does what can be done for several at once: it takes TCP segments of up to 64
// KiB, which the backend does not cut either, and joins those that it gives to the guest. It computes transmit
// checksums for the guest and vouches for received ones.
#include <memory>
#include <mutex>
#include <vector>

#include "devices/backends/network.h"
#include "devices/io_options.h"
#include "devices/virtio/device.h"
#include "devices/virtio/segments.h"
#include "devices/waiting_frames.h"

namespace armvisor::devices::virtio {

class Net final : public Device, private NetworkClient {
 public:
  /// Starts the backend; fails if that does.
  static Result<std::unique_ptr<Net>> create(std::unique_ptr<NetworkBackend> backend, const MacAddress& mac,
                                             const IoOptions& options = {});
  ~Net() override;

  std::string_view name() const override { return "virtio-net"; }
  u32 id() const override { return 1; }
  u64 features() const override;
  std::span<const u16> queue_sizes() const override;
  u16 request_queue() const override;
  void read_config(u32 offset, std::span<u8> out) override;
  void activate(u64 negotiated) override;
  void reset() override;
  void notify(u16 queue) override;

 private:
  Net(std::unique_ptr<NetworkBackend> backend, const MacAddress& mac, const IoOptions& options)
      : backend_(std::move(backend)), mac_(mac), options_(options) {}
  bool transmit_pending() override;
  void receive(std::span<const u8> frame) override;
  void received_all() override;

  bool transmit(Chain& chain);
  bool may_send(u8 gso_type) const;
  void deliver_waiting();
  void deliver_segments();
  void deliver_or_keep(const Frame& frame);
  bool deliver(const Frame& frame);
  bool hold_buffers(u64 bytes);
  std::size_t header_bytes() const;

  const std::unique_ptr<NetworkBackend> backend_;
  const MacAddress mac_;
  const IoOptions options_;
  std::mutex mutex_;  // guards all of the below; held by the backend's thread while it works on queues
  bool active_ = false;
  u64 negotiated_ = 0;
  WaitingFrames waiting_;  ///< for receive buffers
  Segments segments_;      ///< received in this round, and not yet delivered
  bool sending_ = false;   ///< the backend's thread is inside send(), with the mutex held
  Chain transmit_chain_;
  std::vector<Chain> receive_chains_;  ///< the first held_ were taken and wait for a frame
  std::size_t held_ = 0;
  u64 held_bytes_ = 0;
  std::vector<u8> frame_;
};

}  // namespace armvisor::devices::virtio
