#include "engine/block_finder.h"

#include <optional>

#include "engine/guest_access.h"
#include "engine/shared.h"
#include "frontend/decoder.h"

namespace armvisor::engine {

using measure::Counter;

void BlockFinder::forget() {
  context_.forget_jumps();
  known_.fill({});
}

BlockFinder::Wanted BlockFinder::wanted() const {
  const arm::CpuState& s = context_.guest;
  const View& now = context_.dispatch.now;
  const u32 key = now.key[s.thumb()] | now.fp;
  return {.pc = s.r[15],
          .target = s.r[15] | u32{s.thumb()},
          .key = s.it ? frontend::Context::of(s).key() | (key & k_key_window) : key,
          .in_it = s.it != 0};
}

Block* BlockFinder::find() {
  const Wanted w = wanted();
  Block* const cached = in_jump_cache(w);
  // (A link to another page asks the execute-side table for that page each time, so it must get there.)
  const bool is_far = context_.dispatch.link && !context_.dispatch.link->same_page;
  if (cached && !is_far && !cached->straddles()) return cached;
  // While this vCPU looks, no other waits for it. If it was asked for something by then, what was found may be of older
  // tables: it comes again. But others that ask and ask must wait at some time.
  const Mailbox& mailbox = inbox_.mailbox();
  const u64 served = mailbox.served();
  Block* block = nullptr;
  {
    std::optional<OutsideGuest> outside;
    if (vain_lookups_ < k_most_vain_lookups) outside.emplace(inbox_, OutsideGuest::Holds::Any);
    if (mailbox.served() == served) block = look_up(w, cached);
  }
  if (mailbox.served() != served) {
    ++vain_lookups_;
    return nullptr;
  }
  vain_lookups_ = 0;
  if (block) context_.guest.it = 0;
  return block;
}

Block* BlockFinder::in_jump_cache(const Wanted& w) {
  if (w.in_it) return nullptr;
  const JumpEntry& entry = jump_entry(w.target);
  if (entry.tag != (context_.dispatch.now.tag | w.target)) return nullptr;
  Block* const block = entry.block;
  return block && block->exec_id.load() != k_dead_block && !block->is_hot() && block->serves(w.key) ? block : nullptr;
}

/// By way of the tables; `cached` if that is it.
Block* BlockFinder::look_up(const Wanted& w, Block* cached) {
  CodeSite site;
  if (!fetch(w, site)) return nullptr;
  const u64 id = mmu::exec_id(w.pc, site.pa);
  if (cached && cached->exec_id.load() == id && cached->second_page == site.second_page) return cached;
  KnownBlock& known = known_[known_index(w.target)];
  const bool is_known = known.block && known.target == w.target && known.block->serves(w.key) &&
                        known.block->second_page == site.second_page &&
                        known.block->exec_id.load(std::memory_order_relaxed) == id;
  Block* block = is_known ? known.block : shared_.code.find(site.pa, w.pc, w.key, site.second_page);
  context_.counters.add(Counter::CodeLookup);
  if (!block || block->is_hot()) {
    site.context = frontend::Context::of(context_.guest);
    const bool alone = site.second || w.in_it;  // compiled at once, by this thread
    if (!block || alone || !compile_later(*block, site))
      block = make(site, block || alone ? 0 : shared_.backend->cold_runs());
    if (!block) return nullptr;
  }
  known = {w.target, block};
  if (!w.in_it && !shared_.verifier) enter_in_jump_cache(w.target, block);
  return block;
}

/// Where what is wanted is, but for the context. False: a Prefetch Abort was taken.
bool BlockFinder::fetch(const Wanted& w, CodeSite& site) {
  CodePage page, next;
  if (!owner_.fetch_page(w.pc, page)) return false;
  const u32 offset = w.pc & k_page_mask;
  site.pc = w.pc;
  site.key = w.key;
  site.pa = page.frame + offset;
  site.host = page.host + offset;
  if (!(w.target & 1) || offset != k_page_size - 2) return true;
  if (!frontend::is_t32(guest_load<u16>(reinterpret_cast<u64>(site.host)))) return true;
  if (!owner_.fetch_page(w.pc + 2, next)) return false;
  site.second_page = next.frame;
  site.second = next.host;
  return true;
}

Block* BlockFinder::make(const CodeSite& site, u32 cold_runs) {
  if (shared_.code.make_room()) inbox_.request_attention();  // where what died is freed
  const BlockMaker::Made made = maker_.make(site, cold_runs);
  if (!made.block) return nullptr;
  switch (made.how) {
    case BlockMaker::How::Moved: context_.counters.add(Counter::CodeMove); break;
    case BlockMaker::How::Interpreted: context_.counters.add(Counter::CodeInterpreted); break;
    case BlockMaker::How::Compiled: context_.counters.add(Counter::CodeTranslation); break;
  }
  if ((site.key & k_key_window) && made.block->compiled) owner_.window_block_made();
  return made.block;
}

/// Notes `block`, which is what `target` means now. (Who finds a block there that straddles two pages looks at the
/// second itself.)
void BlockFinder::enter_in_jump_cache(u32 target, Block* block) {
  const View& now = context_.dispatch.now;
  // (An entry whose page has left the execute-side table is not noted; a straddling block's second page may do that.)
  const u64 id = now.exec[(target >> k_page_bits) % mmu::k_exec_entries];
  if (static_cast<u32>(id) != target >> k_page_bits) return;
  if (!block->serves(now.key[target & 1] | now.fp)) return;  // the view has changed meanwhile
  jump_entry(target) = {now.tag | target, block};
}

bool BlockFinder::make_region() {
  const arm::CpuState& s = context_.guest;
  const View& now = context_.dispatch.now;
  context_.dispatch.link = nullptr;
  u32& heat = context_.heat[heat_index(s.r[15])];
  heat = shared_.backend->hot();
  CodePage page;
  if (!owner_.fetch_page(s.r[15], page)) return false;
  const u32 offset = s.r[15] & k_page_mask;
  const CodeSite site{.context = frontend::Context::of(s),
                      .pc = s.r[15],
                      .key = now.key[s.thumb()] | now.fp,
                      .pa = page.frame + offset,
                      .host = page.host + offset};
  Block* const there = shared_.code.find(site.pa, site.pc, site.key, k_no_page);
  if (!there || !there->compiled || there->region || there->no_region.exchange(true)) {
    heat *= 16;
    return true;
  }
  if (offer(site, true)) return true;
  const OutsideGuest outside(inbox_, OutsideGuest::Holds::Any);
  maker_.make_region(site);
  return true;
}

/// False: this thread has to do it.
bool BlockFinder::offer(const CodeSite& site, bool region) {
  return shared_.background && shared_.ram.contains(site.pa) && shared_.has_spare_cpu() &&
         shared_.background->offer({site, region});
}

/// `hot`, interpreted as often as it may, is compiled by another thread; meanwhile it is interpreted some more times.
/// False: that took too long, or this thread can do it as fast.
bool BlockFinder::compile_later(Block& hot, const CodeSite& site) {
  if (hot.offered.exchange(true, std::memory_order_relaxed)) return false;
  const Block* const known = shared_.code.find_anywhere(site.pa, site.key);
  if ((known && known->can_move()) || !offer(site, false)) return false;
  if (site.key & k_key_window) owner_.window_block_made();
  hot.cold_runs = 2 * shared_.backend->cold_runs();
  return true;
}

}  // namespace armvisor::engine
