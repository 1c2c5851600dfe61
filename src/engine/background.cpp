#include "engine/background.h"

#include "base/log_once.h"
#include "base/thread.h"
#include "engine/shared.h"
#include "engine/vcpu.h"

namespace armvisor::engine {

BackgroundCompiler::BackgroundCompiler(Shared& shared)
    : shared_(shared), holder_(shared.holders), maker_(shared, *this) {}

std::unique_ptr<BackgroundCompiler> BackgroundCompiler::create(Shared& shared) {
  std::unique_ptr<BackgroundCompiler> compiler(new BackgroundCompiler(shared));
  auto thread = start_quiet_thread(ThreadKind::Compiler, "compiler", [self = compiler.get()] { self->work(); });
  if (!thread) {
    AV_LOG_ONCE(Info, "the vCPUs compile alone: %s", thread.error().message.c_str());
    return nullptr;
  }
  compiler->thread_ = *std::move(thread);
  return compiler;
}

BackgroundCompiler::~BackgroundCompiler() {
  {
    const std::lock_guard guard(lock_);
    stop_ = true;
  }
  more_.notify_one();
  if (thread_.joinable()) thread_.join();
}

bool BackgroundCompiler::offer(const CompileJob& job) {
  bool wake = false;
  {
    const std::lock_guard guard(lock_);
    if (jobs_.size() >= k_most_jobs) return false;
    jobs_.push_back(job);
    wake = asleep_ && (job.region || jobs_.size() >= k_worth_waking);
    if (wake) asleep_ = false;
  }
  if (wake) more_.notify_one();
  return true;
}

void BackgroundCompiler::await_idle() {
  std::unique_lock guard(lock_);
  asleep_ = false;
  more_.notify_one();
  idle_.wait(guard, [this] { return jobs_.empty(); });
}

void BackgroundCompiler::work() {
  std::unique_lock guard(lock_);
  u32 naps = 0;
  while (!stop_) {
    if (jobs_.empty()) {
      asleep_ = ++naps > k_most_naps;
      if (!asleep_)
        more_.wait_for(guard, k_nap, [this] { return stop_; });
      else
        more_.wait(guard, [this] { return stop_ || !asleep_; });
      continue;
    }
    naps = 0;
    const CompileJob job = jobs_.front();
    guard.unlock();
    holder_.pass(shared_.code.epoch());
    (void)holder_.enter();  // it remembers nothing
    compile(job);
    holder_.leave(nullptr);
    guard.lock();
    jobs_.pop_front();
    if (jobs_.empty()) idle_.notify_all();
  }
}

void BackgroundCompiler::compile(const CompileJob& job) {
  const bool made = job.region ? maker_.make_region(job.site) : maker_.make_hot(job.site);
  (job.region ? regions_ : blocks_).fetch_add(made, std::memory_order_relaxed);
}

void BackgroundCompiler::stats(measure::Snapshot& out) const {
  out[measure::MachineCounter::BlocksAside] = blocks_.load(std::memory_order_relaxed);
  out[measure::MachineCounter::RegionsAside] = regions_.load(std::memory_order_relaxed);
}

void BackgroundCompiler::claim(GuestPa pa, u8 writers) { shared_.ask_writers(pa, writers); }

}  // namespace armvisor::engine
