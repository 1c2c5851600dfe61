#pragma once
// What backends with a thread of their own have in common: the thread, and how others wake and end it.
#include <atomic>
#include <thread>

#include "base/fd.h"
#include "devices/backends/network.h"

namespace armvisor::devices {

/// Whoever derives from it calls stop() in its destructor, since the thread uses its members.
class ThreadNetwork : public NetworkBackend {
 public:
  Status start(NetworkClient& client) final;
  void stop() final;
  void wake() final;

 protected:
  static Result<Fd> make_event();
  explicit ThreadNetwork(Fd event) : event_(std::move(event)) {}

  /// On the thread, until stopping().
  virtual void run() = 0;
  bool stopping() const { return stopping_; }
  /// A descriptor that is readable after wake(), until take_event().
  int event() const { return event_.get(); }
  void take_event();
  /// Null before start() and after stop().
  NetworkClient* client() const { return client_; }

 private:
  const Fd event_;
  NetworkClient* client_ = nullptr;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace armvisor::devices
