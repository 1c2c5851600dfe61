#pragma once
// A network device at one end of a FrameLink: a thread that carries frames between the two.
#include <atomic>
#include <memory>
#include <thread>

#include "base/fd.h"
#include "devices/backends/frame_link.h"
#include "devices/backends/network.h"

namespace armvisor::devices {

class LinkNetwork final : public NetworkBackend {
 public:
  /// No other LinkNetwork has the link while this one is there.
  static Result<std::unique_ptr<LinkNetwork>> create(std::shared_ptr<FrameLink> link);
  ~LinkNetwork() override { stop(); }

  Status start(NetworkClient& client) override;
  void stop() override;
  void wake() override;
  void send(std::span<const u8> frame) override { link_->send(frame); }

 private:
  LinkNetwork(std::shared_ptr<FrameLink> link, Fd event) : link_(std::move(link)), event_(std::move(event)) {}
  void run();

  const std::shared_ptr<FrameLink> link_;
  const Fd event_;
  NetworkClient* client_ = nullptr;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace armvisor::devices
