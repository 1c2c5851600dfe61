#pragma once
// A virtio socket device (virtio 1.2 section 5.10): connections between programs of the guest and of the host, which
// vsock/switchboard.h makes and keeps. A thread of its own does all of the work: it waits for the host's sockets, and
// notifications wake it. It never waits for a peer, nor for the guest: packets that the guest gives no buffers for stay
// with their connections, and answers beyond Switchboard::k_most_replies keep what the guest sends in its queue.
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/wake_event.h"
#include "devices/virtio/device.h"
#include "devices/vsock/switchboard.h"

namespace armvisor::devices::virtio {

class Vsock final : public Device {
 public:
  static Result<std::unique_ptr<Vsock>> create(std::shared_ptr<vsock::HostSocket> host);
  ~Vsock() override;

  std::string_view name() const override { return "virtio-vsock"; }
  u32 id() const override { return 19; }
  u64 features() const override { return 0; }  // 5.10.3: streams, without any
  std::span<const u16> queue_sizes() const override;
  u16 request_queue() const override;
  void read_config(u32 offset, std::span<u8> out) override;
  void activate(u64 negotiated) override;
  void reset() override;
  void notify(u16) override { event_.wake(); }

 private:
  Vsock(std::unique_ptr<vsock::Switchboard> switchboard, WakeEvent event)
      : event_(std::move(event)), switchboard_(std::move(switchboard)) {}
  void run();
  bool serve_both();
  std::optional<u32> receive(const Chain& chain);
  bool send();
  bool send_one();

  const WakeEvent event_;
  std::atomic<bool> active_{false}, stopping_{false};
  std::mutex mutex_;  // guards what follows; held by the thread while it works
  const std::unique_ptr<vsock::Switchboard> switchboard_;
  Chain from_guest_, to_guest_;
  bool held_ = false;  ///< to_guest_ was taken and waits for a packet
  u32 budget_ = 0;     ///< packets that are still dealt with in this turn
  std::vector<iovec> data_;
  std::thread thread_;
};

}  // namespace armvisor::devices::virtio
