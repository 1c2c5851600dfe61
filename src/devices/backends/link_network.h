#pragma once
// A network device at one end of a FrameLink: a thread that carries frames between the two.
#include <memory>

#include "devices/backends/frame_link.h"
#include "devices/backends/thread_network.h"

namespace armvisor::devices {

class LinkNetwork final : public ThreadNetwork {
 public:
  /// No other LinkNetwork has the link while this one is there.
  static Result<std::unique_ptr<LinkNetwork>> create(std::shared_ptr<FrameLink> link);
  ~LinkNetwork() override { stop(); }

  void send(std::span<const u8> frame) override { link_->send(frame); }

 private:
  LinkNetwork(std::shared_ptr<FrameLink> link, WakeEvent event)
      : ThreadNetwork(std::move(event)), link_(std::move(link)) {}
  void run() override;
  ThreadKind duties() const override { return link_->duties(); }

  const std::shared_ptr<FrameLink> link_;
};

}  // namespace armvisor::devices
