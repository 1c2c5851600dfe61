#pragma once
// Datagrams as a character device: what is written at once is one of them, and what comes in one is input. Nobody knows
// whether anybody is at the other end; what the host's network takes no more of is lost, as on the way.
#include <atomic>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/wake_event.h"
#include "devices/backends/socket_address.h"
#include "devices/chardev/chardev.h"

namespace armvisor::devices {

class UdpChardev final : public Chardev {
 public:
  /// Takes datagrams of `remote` alone, at `local`, which may be any. `option` is for messages.
  static Result<std::unique_ptr<UdpChardev>> create(const std::string& option, const SocketAddress& remote,
                                                    const SocketAddress& local);
  ~UdpChardev() override { stop(); }

  Status start() override;
  void stop() override;
  void room() override { wake_.wake(); }
  std::string filename() const override { return "udp"; }

 private:
  UdpChardev(Fd socket, WakeEvent wake) : socket_(std::move(socket)), wake_(std::move(wake)) {}
  bool do_offer(std::span<const u8> bytes) override;
  void do_write(std::span<const u8> bytes) override { do_offer(bytes); }
  void run();

  const Fd socket_;
  WakeEvent wake_;  ///< there is room, or the thread is to end
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace armvisor::devices
