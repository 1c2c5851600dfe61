#include "devices/virtio/queue_worker.h"

#include <bit>
#include <utility>

#include "base/assert.h"
#include "base/thread.h"
#include "base/waiting_outside.h"

namespace armvisor::devices::virtio {

QueueWorker::QueueWorker(u16 queues, Work work) : work_(std::move(work)) {
  AV_ASSERT(queues >= 1 && queues <= k_max_queues);
  AV_ASSERT(!work_.forget || !work_.serve_in_place);
  all_ = ~u64{0} >> (k_max_queues - queues);
}

QueueWorker::~QueueWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Status QueueWorker::start(ThreadKind kind, const std::string& name) {
  AV_TRY_ASSIGN(thread_, start_quiet_thread(kind, name, [this] { run(); }));
  return {};
}

void QueueWorker::activate() {
  {
    const std::lock_guard lock(mutex_);
    active_ = true;
    notified_ = all_;
  }
  wake_.notify_one();
}

void QueueWorker::reset() {
  std::unique_lock lock(mutex_);
  active_ = false;
  notified_ = 0;
  forgets_ = work_.forget != nullptr;
  if (serving_) {
    lock.unlock();
    const WaitingOutside waiting;  // first of all: what it may wait for at its end is not under the lock
    lock.lock();
    idle_.wait(lock, [this] { return !serving_; });
    lock.unlock();
  } else {
    lock.unlock();
  }
  wake_.notify_one();
}

void QueueWorker::notify(u16 queue) {
  const u64 bit = u64{1} << queue;
  std::unique_lock lock(mutex_);
  notified_ |= bit;
  if (serving_) return;  // who serves looks again
  if (work_.serve_in_place && active_ && !stopping_) {
    notified_ &= ~bit;
    serving_ = true;
    lock.unlock();
    const bool done = work_.serve_in_place(queue);
    lock.lock();
    serving_ = false;
    idle_.notify_all();
    if (!done) notified_ |= bit;
    if (!notified_) return;
  }
  lock.unlock();
  wake_.notify_one();
}

void QueueWorker::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return !serving_ && (stopping_ || forgets_ || (notified_ && active_)); });
    if (std::exchange(forgets_, false)) {
      lock.unlock();
      work_.forget();
      lock.lock();
      continue;
    }
    if (!notified_ || !active_) break;  // stopping, with nothing outstanding
    const u64 queues = std::exchange(notified_, 0);
    serving_ = true;
    lock.unlock();
    serve(queues);
    lock.lock();
    serving_ = false;
    idle_.notify_all();
  }
  lock.unlock();
  if (work_.end) work_.end();
}

void QueueWorker::serve(u64 queues) {
  for (; queues && active_; queues &= queues - 1) work_.serve(static_cast<u16>(std::countr_zero(queues)));
}

}  // namespace armvisor::devices::virtio
