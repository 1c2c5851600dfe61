#include "machine/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "base/thread.h"

namespace armvisor::machine {
namespace {

constexpr u64 k_timer_event = 1, k_wake_event = 2;

u64 now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
}

bool watch_own(int epoll, int fd, u64 id) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void drain(int fd) {
  u64 count = 0;
  while (::read(fd, &count, sizeof count) == static_cast<ssize_t>(sizeof count)) {
  }
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  Fd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !timer || !wake || !watch_own(epoll.get(), timer.get(), k_timer_event) ||
      !watch_own(epoll.get(), wake.get(), k_wake_event))
    return host_error("expected descriptors for an event loop", errno, "end other programs");
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(timer), std::move(wake)));
}

EventLoop::~EventLoop() { stop(); }

Status EventLoop::start() {
  stopping_ = false;
  AV_TRY_ASSIGN(thread_, start_thread(ThreadKind::EventLoop, "event-loop", [this] { main(); }));
  return {};
}

void EventLoop::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  wake();
  thread_.join();
}

void EventLoop::wake() {
  const u64 one = 1;
  // Fails only when the counter is full, and then the thread wakes anyway.
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

void EventLoop::main() {
  std::array<epoll_event, 16> events;
  while (true) {
    const int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    if (n < 0 && errno != EINTR) {
      AV_LOG(Error, "event loop: epoll_wait: %s", std::strerror(errno));
      return;
    }
    {
      const std::lock_guard guard(mutex_);
      if (stopping_) return;
    }
    for (int i = 0; i < n; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      if (event.data.u64 == k_timer_event)
        drain(timer_.get());
      else if (event.data.u64 == k_wake_event)
        drain(wake_.get());
      else
        run_watch(event.data.u64, event.events);
    }
    run_timers();
  }
}

void EventLoop::run_timers() {
  std::unique_lock lock(mutex_);
  const u64 now = now_ns();
  while (!stopping_ && !deadlines_.empty() && deadlines_.begin()->first <= now) {
    const Id id = deadlines_.begin()->second;
    Timer& timer = timers_.at(id);
    set_deadline(id, timer, 0);
    const auto callback = timer.callback;
    running_ = id;
    lock.unlock();
    (*callback)();
    lock.lock();
    running_ = 0;
    idle_.notify_all();
  }
  program_timer();
}

void EventLoop::run_watch(WatchId id, u32 events) {
  std::unique_lock lock(mutex_);
  const auto it = watches_.find(id);
  if (it == watches_.end()) return;
  const auto callback = it->second.callback;
  running_ = id;
  lock.unlock();
  (*callback)(events);
  lock.lock();
  running_ = 0;
  idle_.notify_all();
}

void EventLoop::wait_until_not_running(std::unique_lock<std::mutex>& lock, u64 id) {
  if (std::this_thread::get_id() == thread_.get_id()) return;
  idle_.wait(lock, [&] { return running_ != id; });
}

// --- timers

EventLoop::Id EventLoop::add(std::function<void()> callback) {
  const std::lock_guard guard(mutex_);
  const Id id = next_id_++;
  timers_[id].callback = std::make_shared<std::function<void()>>(std::move(callback));
  return id;
}

void EventLoop::set_deadline(Id id, Timer& timer, u64 deadline) {
  if (timer.deadline) {
    auto [first, last] = deadlines_.equal_range(timer.deadline);
    while (first != last && first->second != id) ++first;
    if (first != last) deadlines_.erase(first);
  }
  timer.deadline = deadline;
  if (deadline) deadlines_.emplace(deadline, id);
}

void EventLoop::program_timer() {
  const u64 deadline = deadlines_.empty() ? 0 : deadlines_.begin()->first;
  if (deadline == programmed_ && deadline > now_ns()) return;
  programmed_ = deadline;
  itimerspec spec{};
  spec.it_value.tv_sec = static_cast<time_t>(deadline / 1'000'000'000);
  spec.it_value.tv_nsec = static_cast<long>(deadline % 1'000'000'000);
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void EventLoop::arm(Id id, u64 deadline_ns) {
  const std::lock_guard guard(mutex_);
  const auto it = timers_.find(id);
  if (it == timers_.end()) return;
  set_deadline(id, it->second, deadline_ns ? deadline_ns : 1);
  // A later deadline than the one programmed can wait until that one fires.
  if (programmed_ == 0 || deadlines_.begin()->first < programmed_) program_timer();
}

void EventLoop::disarm(Id id) {
  const std::lock_guard guard(mutex_);
  const auto it = timers_.find(id);
  if (it != timers_.end()) set_deadline(id, it->second, 0);
}

void EventLoop::remove(Id id) {
  std::unique_lock lock(mutex_);
  const auto it = timers_.find(id);
  if (it == timers_.end()) return;
  set_deadline(id, it->second, 0);
  timers_.erase(it);
  wait_until_not_running(lock, id);
}

// --- file descriptors

EventLoop::WatchId EventLoop::watch(int fd, u32 events, FdCallback callback) {
  const std::lock_guard guard(mutex_);
  const WatchId id = next_id_++;
  watches_.emplace(id, Watch{fd, std::make_shared<FdCallback>(std::move(callback))});
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  // A regular file cannot be polled (EPERM): it is then never reported.
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    AV_LOG(Debug, "event loop: descriptor %d: %s", fd, std::strerror(errno));
  return id;
}

void EventLoop::modify(WatchId id, u32 events) {
  const std::lock_guard guard(mutex_);
  const auto it = watches_.find(id);
  if (it == watches_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, it->second.fd, &event);
}

void EventLoop::unwatch(WatchId id) {
  std::unique_lock lock(mutex_);
  const auto it = watches_.find(id);
  if (it == watches_.end()) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, it->second.fd, nullptr);
  watches_.erase(it);
  wait_until_not_running(lock, id);
}

}  // namespace armvisor::machine
