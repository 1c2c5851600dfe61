#pragma once
// The user-mode network as a member of a switch: all machines on the switch reach the host's network by it.
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "devices/backends/slirp_network.h"

namespace armvisor::devices {

/// A queue each way between the switch's thread and the network's; a frame for which there is no room is lost.
class SwitchNat final : private NetworkClient {
 public:
  static constexpr std::size_t k_most_waiting = 1 << 20;  ///< bytes, each way

  static Result<std::unique_ptr<SwitchNat>> create();
  ~SwitchNat();

  /// Readable when take() has something to give.
  int fd() const { return event_.fd(); }
  /// A frame for the network; it looks at it after wake().
  void give(std::span<const u8> frame);
  void wake() { network_->wake(); }
  /// Gives the frames that came from the network to `frame`.
  void take(const std::function<void(std::span<const u8>)>& frame);

 private:
  class Queue {
   public:
    bool push(std::span<const u8> frame);
    std::deque<std::vector<u8>> take_all();

   private:
    std::mutex mutex_;
    std::deque<std::vector<u8>> frames_;
    std::size_t bytes_ = 0;
  };

  explicit SwitchNat(WakeEvent event) : event_(std::move(event)) {}
  bool transmit_pending() override;
  void receive(std::span<const u8> frame) override { came_ |= to_switch_.push(frame); }
  void received_all() override;

  const WakeEvent event_;
  Queue to_network_, to_switch_;
  bool came_ = false;  ///< since received_all(); the network's thread's
  std::unique_ptr<SlirpNetwork> network_;
};

}  // namespace armvisor::devices
