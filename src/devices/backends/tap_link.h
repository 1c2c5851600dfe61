#pragma once
// Frames on a tap interface of the host: they go there and come from there as they are. Who may open the interface, and
// what is behind it, is the host's business.
#include <poll.h>

#include <vector>

#include "base/stop_event.h"
#include "devices/backends/frame_link.h"

namespace armvisor::devices {

struct TapOptions {
  static constexpr const char* k_usual_bridge = "br0";
  static constexpr const char* k_usual_helper = "/usr/lib/qemu/qemu-bridge-helper";
  std::string interface;    ///< as tap0; empty: one that the host names
  int fd = -1;              ///< not -1: an open descriptor of a tap interface, which stays open, in place of a name
  std::string helper{};     ///< not empty: a program that opens one on `bridge`, in place of a name
  std::string bridge{};     ///< of the helper
  std::string up_script;    ///< run with the interface's name when it is open; empty: none
  std::string down_script;  ///< likewise before it is closed
};

class TapLink final : public FrameLink {
 public:
  /// Opens the interface and runs the first script, or the helper, which `stop`, if any, ends with an error.
  /// What a machine's second process does for it (base/sandbox/errands.h): run_down_script().
  static std::string down_errand(const std::string& script);
  static Status run_down_script(const std::string& script, const std::string& interface);
  static Result<std::shared_ptr<TapLink>> open(const TapOptions& options, const StopEvent* stop);
  /// Runs the second script, which is killed if it takes too long.
  ~TapLink() override;

  Wait wait() override { return {gone_ ? -1 : tap_.get(), POLLIN}; }
  bool serve(const Receive& receive) override;
  void send(std::span<const u8> frame) override;

  const std::string& interface() const { return interface_; }

 private:
  TapLink(Fd tap, std::string interface, std::size_t header_bytes)
      : tap_(std::move(tap)), interface_(std::move(interface)), header_bytes_(header_bytes) {}

  const Fd tap_;
  const std::string interface_;
  const std::size_t header_bytes_;  ///< of what virtio devices have before a frame; 0: the interface has no such thing
  std::string down_script_;
  bool gone_ = false;  ///< the host has removed the interface
  std::vector<u8> frame_ = std::vector<u8>(k_largest_frame);
};

}  // namespace armvisor::devices
