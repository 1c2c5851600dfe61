#pragma once
// The far side of a network device: something that takes and gives Ethernet frames, on a thread of its own.
#include <array>
#include <span>

#include "base/result.h"
#include "base/types.h"

namespace armvisor::devices {

using MacAddress = std::array<u8, 6>;

/// The network device. Called on the backend's thread only.
class NetworkClient {
 public:
  /// Sends what the guest has queued, by NetworkBackend::send. True when it stopped before the end of it.
  virtual bool transmit_pending() = 0;
  /// A frame for the guest. The client keeps a bounded number and drops the rest.
  virtual void receive(std::span<const u8> frame) = 0;
  /// No more frames for now; called after some, within bounded time.
  virtual void received_all() = 0;

 protected:
  ~NetworkClient() = default;
};

class NetworkBackend {
 public:
  virtual ~NetworkBackend() = default;
  /// Starts the thread. Once; `client` must live until stop() has returned.
  virtual Status start(NetworkClient& client) = 0;
  /// Ends the thread. Not started or ended already: does nothing.
  virtual void stop() = 0;
  /// Makes the thread call transmit_pending soon. (any thread)
  virtual void wake() = 0;
  /// A frame from the guest, or a TCP segment of up to 64 KiB; only from within transmit_pending.
  virtual void send(std::span<const u8> frame) = 0;
};

}  // namespace armvisor::devices
