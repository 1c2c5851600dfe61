// From a program counter to a block.
#include <algorithm>
#include <optional>
#include <span>

#include "base/assert.h"
#include "engine/guest_access.h"
#include "engine/lower.h"
#include "engine/trace.h"
#include "engine/vcpu.h"
#include "frontend/decoder.h"
#include "ir/ir.h"
#include "ir/passes/sink_compare.h"

namespace armvisor::engine {
namespace {

using measure::Counter;

constexpr u32 k_most_vain_lookups = 8;

}  // namespace

/// Translates the page of `va` for execution. False: the Prefetch Abort has been taken.
bool TranslatingVcpu::fetch_page(u32 va, GuestPa& pa, const u8*& host) {
  arm::CpuState& s = context_.guest;
  const u64 id = context_.dispatch.now.exec[(va >> k_page_bits) % mmu::k_exec_entries];
  if (static_cast<u32>(id) == va >> k_page_bits) {
    pa = mmu::exec_frame(id);
  } else {
    GuestMemory::Page found;
    if (const arm::Fault fault = memory_.find_page(va, arm::Access::Execute, s.privileged(), found)) {
      count(Counter::TrueExec);
      count(Counter::PrefetchAbort);
      arm::take_prefetch_abort(s, fault, s.r[15]);
      return false;
    }
    pa = found.frame;
    if (!memory_.views_hold()) views_.sync();
  }
  host = shared_.page_at(pa);
  if (host) return true;
  arm::Fault external;
  external.type = arm::FaultType::SyncExternal;
  external.va = va;
  count(Counter::PrefetchAbort);
  arm::take_prefetch_abort(s, external, s.r[15]);
  return false;
}

/// The block at r15, or null when r15 is to be looked at again: a Prefetch Abort was taken, or there is attention to
/// pay.
Block* TranslatingVcpu::find_block() {
  arm::CpuState& s = context_.guest;
  const u32 pc = s.r[15];
  frontend::Context context;
  const u32 target = pc | u32{s.thumb()};
  u32 key = context_.dispatch.now.key[s.thumb()] | context_.dispatch.now.fp;
  if (s.it) {
    context = frontend::Context::of(s);
    key = context.key() | (key & k_key_window);
  }
  JumpEntry& entry = context_.jump[jump_index(target, static_cast<u32>(context_.dispatch.now.salt))];
  Block* const cached = entry.tag == (context_.dispatch.now.tag | target) && !s.it ? entry.block : nullptr;
  const bool serves = cached && cached->exec_id.load() != k_dead_block && !cached->is_hot() && cached->serves(key);
  // (A link to another page asks the execute-side table for that page each time, so it must get there.)
  const bool is_far = context_.dispatch.link && !context_.dispatch.link->same_page;
  if (serves && !is_far && !cached->straddles()) return cached;
  // While this vCPU looks, no other waits for it. If it was asked for something by then, what was found may be of older
  // tables: it comes again. But others that ask and ask must wait at some time.
  const u64 served = inbox_.mailbox().served();
  Block* block = nullptr;
  {
    std::optional<OutsideGuest> outside;
    if (vain_lookups_ < k_most_vain_lookups) outside.emplace(inbox_, OutsideGuest::Holds::Any);
    if (inbox_.mailbox().served() == served) block = look_up(pc, key, context, serves ? cached : nullptr);
  }
  if (inbox_.mailbox().served() != served) {
    ++vain_lookups_;
    return nullptr;
  }
  vain_lookups_ = 0;
  if (block) s.it = 0;
  return block;
}

/// The block at `pc`, by way of the tables; `cached` if that is it.
Block* TranslatingVcpu::look_up(u32 pc, u32 key, frontend::Context context, Block* cached) {
  const arm::CpuState& s = context_.guest;
  const u32 target = pc | u32{s.thumb()};
  GuestPa page, second_page = k_no_page;
  const u8 *first = nullptr, *second = nullptr;
  if (!fetch_page(pc, page, first)) return nullptr;
  const GuestPa pa(page.value | (pc & k_page_mask));
  first += pc & k_page_mask;
  if (s.thumb() && (pc & k_page_mask) == k_page_size - 2 &&
      frontend::is_t32(guest_load<u16>(reinterpret_cast<u64>(first)))) {
    if (!fetch_page(pc + 2, second_page, second)) return nullptr;
  }
  if (cached && cached->exec_id.load() == mmu::exec_id(pc, page) && cached->second_page == second_page) return cached;
  KnownBlock& known = known_[known_index(target)];
  const bool is_known = known.block && known.target == target && known.block->serves(key) &&
                        known.block->second_page == second_page &&
                        known.block->exec_id.load(std::memory_order_relaxed) == mmu::exec_id(pc, pa);
  Block* block = is_known ? known.block : shared_.code.find(pa, pc, key, second_page);
  count(Counter::CodeLookup);
  if (!block || block->is_hot()) {
    if (!s.it) context = frontend::Context::of(s);
    if (!block || second || s.it || !compile_later(*block, {context, pc, key, pa, first})) {
      const u32 cold_runs = block || second || s.it ? 0 : shared_.backend->cold_runs();
      block = translate_block(pc, key, context, pa, second_page, first, second, cold_runs);
    }
  }
  known = {target, block};
  if (!s.it && !journal_) know(target, block);
  return block;
}

/// Enters `block`, which is what `target` (with CPSR.T in bit 0) means now, in the jump cache. (Who finds a block there
/// that straddles two pages looks at the second itself.)
void TranslatingVcpu::know(u32 target, Block* block) {
  // (An entry whose page has left the execute-side table is not noted; a straddling block's second page may do that.)
  const u64 id = context_.dispatch.now.exec[(target >> k_page_bits) % mmu::k_exec_entries];
  if (static_cast<u32>(id) != target >> k_page_bits) return;
  if (!block->serves(context_.dispatch.now.key[target & 1] | context_.dispatch.now.fp))
    return;  // the view has changed meanwhile
  context_.jump[jump_index(target, static_cast<u32>(context_.dispatch.now.salt))] = {context_.dispatch.now.tag | target,
                                                                                     block};
}

Block* TranslatingVcpu::translate_block(u32 pc, u32 key, const frontend::Context& context, GuestPa pa,
                                        GuestPa second_page, const u8* first, const u8* second, u32 cold_runs) {
  if (shared_.code.make_room()) inbox_.request_attention();  // where what died is freed
  CodeSource source(pc, first, second);
  frontend::Limits limits{.max_insns = second ? 1 : k_max_insns};
  while (true) {
    const Block* const known = second || shared_.config.translator ? nullptr : shared_.code.find_anywhere(pa, key);
    // So code that each process has elsewhere becomes compiled, too, and is moved from then on.
    if (cold_runs && known && !known->compiled) cold_runs = known->cold_runs.load(std::memory_order_relaxed) / 2;
    auto block = known && known->can_move() && known->pc != pc ? shared_.backend->move(*known, pc) : nullptr;
    const bool moved = block != nullptr;
    if (!moved || shared_.config.trace || shared_.verifier) source.read();
    ir::Block& ir_block = ir_block_;
    ir_block.insts.clear();
    if (shared_.config.translator) {
      ir_block = {};
      shared_.config.translator(pc, ir_block);
      ir_block.fp = true;
    } else if (!moved || shared_.verifier || shared_.config.trace) {
      if (moved) limits.max_insns = block->insn_count;
      const std::span bytes(source.bytes, source.count);
      const bool translated = frontend::translate(context, pc, bytes, limits, ir_block);
      AV_ASSERT(translated);
    }
    const u32 own_key = moved ? known->key : block_key(key, ir_block.fp);
    ir::sink_compares(ir_block);
    if (!ir_block.insts.empty()) ir::assert_valid(ir_block);
    if (!moved)
      block = cold_runs ? shared_.backend->make_cold(ir_block, own_key, cold_runs)
                        : shared_.backend->make(ir_block, own_key);
    if (!block) {  // more temps than the context has room for
      limits.max_insns = std::max(1u, limits.max_insns / 2);
      continue;
    }
    block->pa = pa;
    block->second_page = second_page;
    if (second) block->second_id = mmu::exec_id(pc + 2, second_page);
    if (shared_.verifier && block->compiled) block->twin = lower(ir_block, own_key);
    if (shared_.verifier && block->can_move() && !moved && !shared_.config.translator)
      shared_.verifier->check_move(*shared_.backend, *block, context, {source.bytes, source.count});
    Block* const published = moved ? shared_.code.publish_moved(std::move(block), *known)
                                   : shared_.code.publish(std::move(block), source, *this);
    if (!published) continue;  // the bytes changed under us
    count(moved ? Counter::CodeMove : cold_runs ? Counter::CodeInterpreted : Counter::CodeTranslation);
    if (published->is_hot()) published->cold_runs = shared_.backend->cold_runs();  // no room to compile it: later
    if ((key & k_key_window) && published->compiled) windows_.block_made();
    if (shared_.config.trace) trace_block(*published, ir_block, source.bytes);
    return published;
  }
}

/// Puts a region in the place of the block at r15, which a loop has come back to many times.
void TranslatingVcpu::make_region() {
  arm::CpuState& s = context_.guest;
  const u32 pc = s.r[15];
  GuestPa page;
  const u8* host = nullptr;
  context_.dispatch.link = nullptr;
  u32& heat = context_.heat[heat_index(pc)];
  heat = shared_.backend->hot();
  if (s.privileged()) windows_.tick();  // it may be that no interrupt ever comes
  if (!fetch_page(pc, page, host)) return views_.sync();
  const u32 key = context_.dispatch.now.key[s.thumb()] | context_.dispatch.now.fp;
  const auto block_at = [&](u32 at) { return shared_.code.find(page + (at & k_page_mask), at, key, k_no_page); };
  Block* const there = block_at(pc);
  if (!there || !there->compiled || there->region || there->no_region.exchange(true)) {
    heat *= 16;
    return;
  }
  const CompileJob job{frontend::Context::of(s), pc, key, page + (pc & k_page_mask), host + (pc & k_page_mask), true};
  if (offer(job)) return;
  const OutsideGuest outside(inbox_, OutsideGuest::Holds::Any);
  compile_region(shared_, job, false, *this);
}

/// False: this thread has to do it.
bool TranslatingVcpu::offer(const CompileJob& job) {
  return shared_.background && shared_.ram.contains(job.pa) && shared_.has_spare_cpu() &&
         shared_.background->offer(job);
}

/// `block`, interpreted as often as it may, is compiled by another thread; meanwhile it is interpreted some more times.
/// False: that took too long, or this thread can do it as fast.
bool TranslatingVcpu::compile_later(Block& block, const CompileJob& job) {
  if (block.offered.exchange(true, std::memory_order_relaxed)) return false;
  const Block* const known = shared_.code.find_anywhere(job.pa, job.key);
  if ((known && known->can_move()) || !offer(job)) return false;
  if (job.key & k_key_window) windows_.block_made();
  block.cold_runs = 2 * shared_.backend->cold_runs();
  return true;
}

void TranslatingVcpu::claim(GuestPa pa, u8 writers) {
  shared_.ask_writers(pa, writers & ~(1u << index_));
  if (writers >> index_ & 1) memory_.drop_writes(pa);
}

}  // namespace armvisor::engine
