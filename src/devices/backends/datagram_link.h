#pragma once
// A frame in each datagram: by UDP to one address or to a multicast group, or over a Unix socket.
#include <vector>

#include "devices/backends/frame_link.h"

namespace armvisor::devices {

class DatagramLink final : public FrameLink {
 public:
  static Result<std::shared_ptr<FrameLink>> open(const FrameLinkOptions& options);
  ~DatagramLink() override;

  Wait wait() override;
  bool serve(const Receive& receive) override;
  void send(std::span<const u8> frame) override;

 private:
  explicit DatagramLink(const FrameLinkOptions& options) : options_(options) {}

  const FrameLinkOptions options_;
  Fd socket_;
  HostAddress remote_;  ///< of size 0: the socket is connected
  std::vector<u8> frame_ = std::vector<u8>(k_largest_frame + 1);
};

}  // namespace armvisor::devices
