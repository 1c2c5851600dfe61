#pragma once
// What backends with a thread of their own have in common: the thread, and how others wake and end it.
#include <atomic>
#include <thread>

#include "base/sandbox/thread_kind.h"
#include "base/wake_event.h"
#include "devices/backends/network.h"

namespace armvisor::devices {

/// Whoever derives from it calls stop() in its destructor, since the thread uses its members.
class ThreadNetwork : public NetworkBackend {
 public:
  Status start(NetworkClient& client) final;
  void stop() final;
  void wake() final { event_.wake(); }

 protected:
  static Result<WakeEvent> make_event() { return WakeEvent::create("network"); }
  explicit ThreadNetwork(WakeEvent event) : event_(std::move(event)) {}

  /// On the thread, until stopping().
  virtual void run() = 0;
  /// What the thread does on top of passing frames on.
  virtual ThreadKind duties() const = 0;
  bool stopping() const { return stopping_; }
  /// A descriptor that is readable after wake(), until take_event().
  int event() const { return event_.fd(); }
  void take_event() { event_.take(); }
  /// Null before start() and after stop().
  NetworkClient* client() const { return client_; }

 private:
  const WakeEvent event_;
  NetworkClient* client_ = nullptr;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace armvisor::devices
