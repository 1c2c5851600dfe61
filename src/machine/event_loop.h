#pragma once
// One thread that serves timers and file descriptors for devices and the lifecycle. Callbacks run on that thread, one
// at a time, without any lock of the loop held; they may call any method, and should not block.
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "base/fd.h"
#include "base/result.h"
#include "devices/clock.h"

namespace armvisor::machine {

class EventLoop final : public devices::TimerQueue {
 public:
  using WatchId = u64;
  /// Receives the epoll events that are ready.
  using FdCallback = std::function<void(u32)>;

  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop() override;

  Status start();  ///< also again, after stop()
  /// Ends the thread; callbacks do not run afterwards. Not from a callback.
  void stop();

  // devices::TimerQueue (any thread)
  Id add(std::function<void()> callback) override;
  void arm(Id id, u64 deadline_ns) override;
  void disarm(Id id) override;
  void remove(Id id) override;

  /// (any thread) Calls back whenever `fd` has one of `events` (EPOLLIN, ...), level-triggered.
  WatchId watch(int fd, u32 events, FdCallback callback);
  void modify(WatchId id, u32 events);
  /// The callback does not run after this returns (unless called from within it). Before closing the descriptor.
  void unwatch(WatchId id);

 private:
  struct Timer {
    std::shared_ptr<std::function<void()>> callback;
    u64 deadline = 0;  ///< 0: disarmed
  };
  struct Watch {
    int fd;
    std::shared_ptr<FdCallback> callback;
  };

  EventLoop(Fd epoll, Fd timer, Fd wake) : epoll_(std::move(epoll)), timer_(std::move(timer)), wake_(std::move(wake)) {}
  void main();
  void run_timers();
  void run_watch(WatchId id, u32 events);
  void set_deadline(Id id, Timer& timer, u64 deadline);
  void program_timer();
  void wait_until_not_running(std::unique_lock<std::mutex>& lock, u64 id);
  void wake();

  Fd epoll_, timer_, wake_;
  std::mutex mutex_;
  std::condition_variable idle_;  ///< running_ changed
  u64 next_id_ = 16;              ///< identities of timers and watches; small ones are the loop's own
  u64 running_ = 0;               ///< whose callback runs now; 0: none
  bool stopping_ = false;
  std::map<Id, Timer> timers_;
  std::multimap<u64, Id> deadlines_;
  u64 programmed_ = 0;
  std::map<WatchId, Watch> watches_;
  std::thread thread_;
};

}  // namespace armvisor::machine
