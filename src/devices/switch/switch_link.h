#pragma once
// A machine's end of a switch. When the switch's process is killed, the machines on it start another: at once, but ever
// more seldom one that fails as soon as it is there.
#include <chrono>
#include <optional>

#include "devices/backends/frame_link.h"
#include "devices/backends/frame_stream.h"
#include "devices/switch/switch_place.h"

namespace armvisor::devices {

class SwitchLink final : public FrameLink {
 public:
  /// What a machine's second process does for it (base/sandbox/errands.h): SwitchPlace::join().
  static std::string errand_name(const std::string& name);
  static Result<std::shared_ptr<FrameLink>> open(const FrameLinkOptions& options);

  Wait wait() override;
  bool serve(const Receive& receive) override;
  void send(std::span<const u8> frame) override;
  void sent_all() override;

 private:
  using Clock = std::chrono::steady_clock;

  SwitchLink(const FrameLinkOptions& options, SwitchPlace place) : options_(options), place_(std::move(place)) {}
  Status join();
  void leave();

  const FrameLinkOptions options_;
  SwitchPlace place_;
  std::optional<FrameStream> hub_;
  Clock::time_point joined_;           ///< when hub_ was last there
  Clock::time_point next_try_;         ///< without hub_
  std::chrono::milliseconds pause_{};  ///< before the last try, if the switch before it failed as soon as it was there
};

}  // namespace armvisor::devices
