#pragma once
// The user-mode network: libslirp speaks TCP/IP with the guest and sockets with the host. No privileges needed.
//
// libslirp belongs to one thread: create() sets it up, then the thread that start() makes owns it until stop().
#include <poll.h>

#include <atomic>
#include <list>
#include <memory>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "devices/backends/network.h"
#include "devices/backends/network_options.h"

struct Slirp;

namespace armvisor::devices {

class SlirpNetwork final : public NetworkBackend {
 public:
  /// Also binds the forwarded ports of the host.
  static Result<std::unique_ptr<SlirpNetwork>> create(const UserNetworkOptions& options);
  ~SlirpNetwork() override;

  Status start(NetworkClient& client) override;
  void stop() override;
  void wake() override;
  void send(std::span<const u8> frame) override;

 private:
  struct Timer {
    void (*callback)(void*);
    void* opaque;
    s64 deadline_ms;  ///< -1: disarmed
  };
  struct Callbacks;
  friend struct Callbacks;

  explicit SlirpNetwork(Fd event) : event_(std::move(event)) {}
  Status open(const UserNetworkOptions& options);
  Status forward(const HostForward& f);
  void run();
  void wait(bool more_to_send);
  void run_timers();
  s64 next_deadline_ms() const;

  Fd event_;
  Slirp* slirp_ = nullptr;
  NetworkClient* client_ = nullptr;
  std::atomic<bool> stopping_{false};
  std::vector<pollfd> polled_;  ///< event_ first, then libslirp's
  std::list<Timer> timers_;     // a list: libslirp keeps pointers to the elements
  std::thread thread_;
};

}  // namespace armvisor::devices
