#pragma once
// A network device on a tap interface of the host: frames go there and come from there as they are. Who may open the
// interface, and what is behind it, is the host's business.
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "devices/backends/thread_network.h"

namespace armvisor::devices {

struct TapOptions {
  std::string interface;    ///< as tap0; empty: one that the host names
  int fd = -1;              ///< not -1: an open descriptor of a tap interface, which stays open, in place of a name
  std::string up_script;    ///< run with the interface's name when it is open; empty: none
  std::string down_script;  ///< likewise before it is closed
};

class TapNetwork final : public ThreadNetwork {
 public:
  /// Opens the interface and runs the first script.
  static Result<std::unique_ptr<TapNetwork>> create(const TapOptions& options);
  ~TapNetwork() override;

  void send(std::span<const u8> frame) override;

  const std::string& interface() const { return interface_; }

 private:
  TapNetwork(Fd tap, Fd event, std::string interface, std::string down_script);
  void run() override;
  bool receive_some();

  const Fd tap_;
  const std::string interface_, down_script_;
  std::vector<u8> frame_;
};

}  // namespace armvisor::devices
