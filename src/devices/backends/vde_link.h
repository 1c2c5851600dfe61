#pragma once
// Frames to and from a switch of Virtual Distributed Ethernet, or whatever else libvdeplug has a name for.
//
// A switch answers when it is connected to, and one that is stopped does not: so another thread waits for it, which is
// left behind if the machine is to end meanwhile. After that nobody waits: the descriptor of frames does not block.
#include <memory>
#include <vector>

#include "base/stop_event.h"
#include "devices/backends/frame_link.h"

struct vdeconn;

namespace armvisor::devices {

class VdeLink final : public FrameLink {
 public:
  /// Connects, until `stop`, if any, says to end that with an error.
  static Result<std::shared_ptr<FrameLink>> open(const FrameLinkOptions& options, const StopEvent* stop);
  ~VdeLink() override;

  Wait wait() override;
  bool serve(const Receive& receive) override;
  void send(std::span<const u8> frame) override;

 private:
  bool has_hung_up() const;
  void say_gone(const char* why);
  VdeLink(std::string option, vdeconn* connection) : option_(std::move(option)), connection_(connection) {}

  const std::string option_;
  vdeconn* const connection_;
  bool gone_ = false;  ///< nothing more comes
  std::vector<u8> frame_ = std::vector<u8>(k_largest_frame);
};

}  // namespace armvisor::devices
