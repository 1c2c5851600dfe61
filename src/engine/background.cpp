#include "engine/background.h"

#include <array>

#include "base/log_once.h"
#include "base/thread.h"
#include "engine/code_cache.h"
#include "engine/guest_access.h"
#include "engine/region.h"
#include "engine/shared.h"
#include "engine/trace.h"
#include "engine/vcpu.h"
#include "ir/passes/sink_compare.h"

namespace armvisor::engine {

BackgroundCompiler::BackgroundCompiler(Shared& shared) : shared_(shared), holder_(shared.holders) {}

std::unique_ptr<BackgroundCompiler> BackgroundCompiler::create(Shared& shared) {
  std::unique_ptr<BackgroundCompiler> compiler(new BackgroundCompiler(shared));
  auto thread = start_quiet_thread("compiler", [self = compiler.get()] { self->work(); });
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
    jobs_.pop_front();
    guard.unlock();
    holder_.pass(shared_.code.epoch());
    (void)holder_.enter();  // it remembers nothing
    job.region ? compile_region(shared_, job, true, *this) : compile_block(job);
    holder_.leave(nullptr);
    guard.lock();
  }
}

void BackgroundCompiler::compile_block(const CompileJob& job) {
  CodeSource source(job.pc, job.host);
  source.read();
  ir_block_.insts.clear();
  if (!frontend::translate(job.context, job.pc, {source.bytes, source.count}, {.max_insns = k_max_insns}, ir_block_))
    return;
  ir::sink_compares(ir_block_);
  ir::assert_valid(ir_block_);
  auto block = shared_.backend->make(ir_block_, block_key(job.key, ir_block_.fp));
  if (!block || !block->compiled) return;
  block->pa = job.pa;
  shared_.code.publish_hot(std::move(block), source, *this);
}

void BackgroundCompiler::claim(GuestPa pa, u8 writers) { shared_.ask_writers(pa, writers); }

void compile_region(Shared& shared, const CompileJob& job, bool aside, Claimer& claimer) {
  const u32 offset = job.pc & k_page_mask;
  const u8* const page = job.host - offset;
  std::array<u8, k_page_size> bytes;
  for (u32 k = 0; k < k_page_size; ++k) bytes[k] = guest_load<u8>(reinterpret_cast<u64>(page) + k);
  const auto known = [&](u32 at) {
    const GuestPa pa((job.pa.value & ~u64{k_page_mask}) | (at & k_page_mask));
    return shared.code.find(pa, at, job.key, k_no_page) != nullptr;
  };
  const auto region = form_region(job.pc, job.context, bytes, known);
  if (!region) return;
  ir::assert_valid(*region);
  auto block = shared.backend->make(*region, block_key(job.key, region->fp));
  if (!block || !block->compiled) return;
  block->pa = job.pa;
  if (shared.config.trace) trace_block(*block, *region, bytes.data() + offset);
  const u32 first = offset - block->before;
  const std::span made_from = std::span(bytes).subspan(first, block->bytes);
  shared.code.publish_region(std::move(block), page + first, made_from, aside, claimer);
}

}  // namespace armvisor::engine
