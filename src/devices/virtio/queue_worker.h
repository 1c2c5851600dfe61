#pragma once
// A thread that serves a device's queues, for devices whose requests may have to wait: for a disk, a file, another
// program. The device says what serving is, and passes on what the transport tells it:
//
//   void activate(u64) override { worker_.activate(); }
//   void reset() override { worker_.reset(); }  // and then forgets what it knows of the driver, or has Work::forget
//   void notify(u16 queue) override { worker_.notify(queue); }
//
// One thread at a time serves: the worker, or a vCPU that notifies, if the device can do something without waiting. So
// what only serving touches needs no lock. A worker is the last member of its device: it ends before what it uses.
//
// A reset and the end wait for the request at hand, since it is answered in RAM that is the driver's again afterwards
// (virtio 1.2, 2.4.1: a device that was reset leaves its queues alone). So a request that the host does not finish
// holds up the vCPU that resets its device, and the end of the machine; a second signal ends the process.
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/sandbox/thread_kind.h"
#include "base/types.h"

namespace armvisor::devices::virtio {

class QueueWorker {
 public:
  static constexpr u16 k_max_queues = 64;

  /// Called without a lock. Who serves a queue looks again before it ends (Queue::enable_notifications), and ends soon
  /// when active() turns false.
  struct Work {
    std::function<void(u16 queue)> serve;
    /// Serves on the vCPU that notifies, which must not wait for anybody. False: something is left for `serve`. Not
    /// set: all is.
    std::function<bool(u16 queue)> serve_in_place = nullptr;
    /// After a reset, before anything else is served: forgets what serving knows of the driver, on the thread, for whom
    /// that may wait too (to close a file). Not together with `serve_in_place`.
    std::function<void()> forget = nullptr;
    /// The last that the thread does.
    std::function<void()> end = nullptr;
  };

  /// Of a device with so many queues, 1 to k_max_queues.
  QueueWorker(u16 queues, Work work);
  /// Ends the thread, after the queues that were notified of are served.
  ~QueueWorker();
  QueueWorker(const QueueWorker&) = delete;
  QueueWorker& operator=(const QueueWorker&) = delete;

  /// Starts the thread, named as tools of the host show it. Once, before all else. An error is a limit of the host's.
  Status start(ThreadKind kind, const std::string& name);

  /// Serves from now on, at first all queues: a driver may have filled them before it was ready.
  void activate();
  /// Serves no more. When it returns, nobody is serving.
  void reset();
  /// Something is in `queue`. Called where the transport is, since it may serve in place.
  void notify(u16 queue);
  /// (any thread)
  bool active() const { return active_; }

 private:
  void run();
  void serve(u64 queues);

  u64 all_;  ///< a bit for each queue
  const Work work_;

  std::mutex mutex_;  // guards what follows; not held by who serves, of whom serving_ tells
  std::condition_variable wake_, idle_;
  u64 notified_ = 0;  ///< queues in which there may be something that nobody serves
  bool serving_ = false;
  bool forgets_ = false;  ///< there is something to forget
  bool stopping_ = false;
  std::atomic<bool> active_{false};  ///< changed with mutex_ held
  std::thread thread_;
};

}  // namespace armvisor::devices::virtio
