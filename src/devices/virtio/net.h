#pragma once
// A virtio network device (virtio 1.2 section 5.1): one receive and one transmit queue over a NetworkBackend.
//
// The backend's thread does all of the queue work; a notification only wakes it. Frames that find no buffer wait in a
// bounded queue, beyond which they are dropped, as on a wire. The device computes transmit checksums for the guest and
// vouches for received ones: both are far cheaper on the host than in translated code.
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "devices/backends/network.h"
#include "devices/virtio/device.h"

namespace armvisor::devices::virtio {

class Net final : public Device, private NetworkClient {
 public:
  Net(std::unique_ptr<NetworkBackend> backend, const MacAddress& mac);
  ~Net() override;

  std::string_view name() const override { return "virtio-net"; }
  u32 id() const override { return 1; }
  u64 features() const override;
  std::span<const u16> queue_sizes() const override;
  void read_config(u32 offset, std::span<u8> out) override;
  void activate(u64 negotiated) override;
  void reset() override;
  void notify(u16 queue) override;

 private:
  bool transmit_pending() override;
  void receive(std::span<const u8> frame) override;

  bool transmit(Chain& chain);
  void deliver_waiting();
  bool deliver(std::span<const u8> frame);
  bool hold_buffers(u64 bytes);
  std::size_t header_bytes() const;

  const std::unique_ptr<NetworkBackend> backend_;
  const MacAddress mac_;
  std::mutex mutex_;  // guards all of the below; held by the backend's thread while it works on queues
  bool active_ = false;
  u64 negotiated_ = 0;
  std::deque<std::vector<u8>> waiting_;  ///< for receive buffers
  std::size_t waiting_bytes_ = 0;
  bool sending_ = false;  ///< the backend's thread is inside send(), with the mutex held
  Chain transmit_chain_;
  std::vector<Chain> receive_chains_;  ///< the first held_ were taken and wait for a frame
  std::size_t held_ = 0;
  u64 held_bytes_ = 0;
  std::vector<u8> frame_;
};

}  // namespace armvisor::devices::virtio
