#pragma once
// Compiles on a thread of its own what vCPUs have found to run often, while they go on interpreting it, on hosts that
// have a CPU to spare.
//
// A job says where a block is. What was compiled takes the place of the interpreted form, if that is still there and
// memory still has the bytes.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "base/adaptive_mutex.h"
#include "engine/block_holder.h"
#include "engine/block_maker.h"
#include "measure/snapshot.h"

namespace armvisor::engine {

struct Shared;

/// What is to be compiled.
struct CompileJob {
  CodeSite site;        ///< of one page
  bool region = false;  ///< the loop to it, not the block alone
};

class BackgroundCompiler final : private Claimer {
 public:
  /// Null when the host has no room for another thread: then the vCPUs do what it would.
  static std::unique_ptr<BackgroundCompiler> create(Shared& shared);
  ~BackgroundCompiler();
  BackgroundCompiler(const BackgroundCompiler&) = delete;
  BackgroundCompiler& operator=(const BackgroundCompiler&) = delete;

  /// (any thread) The job's bytes must be RAM's. False: there is more to do than the thread can keep up with.
  bool offer(const CompileJob& job);
  /// (any thread) Waits until nothing that was offered is left to do, and has that done at once that would wait for
  /// other jobs. stats() has what was made then. It ends if no vCPU runs meanwhile; the thread waits for none of them.
  void await_idle();
  void stats(measure::Snapshot& out) const;  ///< (any thread)

 private:
  explicit BackgroundCompiler(Shared& shared);

  static constexpr std::size_t k_most_jobs = 256;
  /// Waking the thread takes a vCPU as long as compiling a third of a block: single blocks wait for others, and while
  /// there is often something to do, the thread comes by itself.
  static constexpr std::size_t k_worth_waking = 8;
  static constexpr std::chrono::microseconds k_nap{200};
  static constexpr u32 k_most_naps = 10;

  void work();
  void compile(const CompileJob& job);
  void claim(GuestPa pa, u8 writers) override;

  Shared& shared_;
  AdaptiveMutex lock_;  ///< of the next five
  std::condition_variable_any more_, idle_;
  std::deque<CompileJob> jobs_;  ///< the first is in it until it is done
  bool asleep_ = false, stop_ = false;
  BlockHolder holder_;
  BlockMaker maker_;                         ///< of the thread
  std::atomic<u64> blocks_{0}, regions_{0};  ///< made
  std::thread thread_;
};

}  // namespace armvisor::engine
