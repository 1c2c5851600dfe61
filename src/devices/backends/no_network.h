#pragma once
// The far side of a network device whose cable leads nowhere: what is sent is lost, and nothing comes.
#include "devices/backends/network.h"

namespace armvisor::devices {

/// It has no thread: the client's frames are taken by who wakes it.
class NoNetwork final : public NetworkBackend {
 public:
  Status start(NetworkClient& client) override {
    client_ = &client;
    return {};
  }
  void stop() override { client_ = nullptr; }
  void wake() override;
  void send(std::span<const u8>) override {}

 private:
  NetworkClient* client_ = nullptr;
};

}  // namespace armvisor::devices
