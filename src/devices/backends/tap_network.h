#pragma once
// A network device on a tap interface of the host: frames go there and come from there as they are. Who may open the
// interface, and what is behind it, is the host's business.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "devices/backends/network.h"

namespace armvisor::devices {

struct TapOptions {
  std::string interface;    ///< as tap0; empty: one that the host names
  int fd = -1;              ///< not -1: an open descriptor of a tap interface, which stays open, in place of a name
  std::string up_script;    ///< run with the interface's name when it is open; empty: none
  std::string down_script;  ///< likewise before it is closed
};

class TapNetwork final : public NetworkBackend {
 public:
  /// Opens the interface and runs the first script.
  static Result<std::unique_ptr<TapNetwork>> create(const TapOptions& options);
  ~TapNetwork() override;

  Status start(NetworkClient& client) override;
  void stop() override;
  void wake() override;
  void send(std::span<const u8> frame) override;

  const std::string& interface() const { return interface_; }

 private:
  TapNetwork(Fd tap, Fd event, std::string interface, std::string down_script);
  void run();
  bool receive_some();

  const Fd tap_, event_;
  const std::string interface_, down_script_;
  NetworkClient* client_ = nullptr;
  std::atomic<bool> stopping_{false};
  std::vector<u8> frame_;
  std::thread thread_;
};

}  // namespace armvisor::devices
