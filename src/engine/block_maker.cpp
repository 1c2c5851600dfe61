#include "engine/block_maker.h"

#include <algorithm>
#include <utility>

#include "engine/lower.h"
#include "engine/region.h"
#include "engine/shared.h"
#include "engine/trace.h"
#include "ir/passes/sink_compare.h"
#include "mmu/soft_tlb.h"

namespace armvisor::engine {
namespace {

void place(Block& block, const CodeSite& site) {
  block.pa = site.pa;
  block.second_page = site.second_page;
  if (site.second) block.second_id = mmu::exec_id(site.pc + 2, site.second_page);
}

}  // namespace

/// With what is the machine's and not the vCPU's.
frontend::Context BlockMaker::whole_context(const CodeSite& site) const {
  frontend::Context context = site.context;
  context.semihosting = shared_.config.semihosting;
  return context;
}

BlockMaker::Made BlockMaker::make(const CodeSite& site, u32 cold_runs) {
  const auto held = shared_.stops.hold();
  while (true) {
    const bool may_be_known = !site.second && !shared_.config.translator;
    const Block* const known = may_be_known ? shared_.code.find_anywhere(site.pa, site.key) : nullptr;
    if (known && known->can_move() && known->pc != site.pc && may_move_to(site, *known))
      if (Block* const moved = move(*known, site)) return {moved, How::Moved};
    // So code that each process has elsewhere becomes compiled, too, and is moved from then on.
    if (cold_runs && known && !known->compiled) cold_runs = known->cold_runs.load(std::memory_order_relaxed) / 2;
    CodeSource source(site.pc, site.host, site.second);
    auto block = lower(site, cold_runs, source);
    if (!block) return {};
    if (shared_.verifier) keep_for_verifier(*block, site, source);
    Block* const made = shared_.code.publish(std::move(block), source, CodeCache::Place::Open, claimer_);
    if (!made) continue;                                                 // the bytes changed under us
    if (made->is_hot()) made->cold_runs = shared_.backend->cold_runs();  // no room to compile it: later
    if (shared_.config.trace) trace_block(*made, ir_, source.at_pc());
    return {made, cold_runs ? How::Interpreted : How::Compiled};
  }
}

bool BlockMaker::make_hot(const CodeSite& site) {
  const auto held = shared_.stops.hold();
  CodeSource source(site.pc, site.host, site.second);
  auto block = lower(site, 0, source);
  if (!block || !block->compiled) return false;
  return shared_.code.publish(std::move(block), source, CodeCache::Place::Interpreted, claimer_);
}

bool BlockMaker::make_region(const CodeSite& site) {
  const auto held = shared_.stops.hold();
  CodeSource source = CodeSource::page_of(site.pc, site.host);
  source.read();
  const auto known = [&](u32 at) {
    const GuestPa pa((site.pa.value & ~u64{k_page_mask}) | (at & k_page_mask));
    return shared_.code.find(pa, at, site.key, k_no_page) != nullptr;
  };
  const auto region =
      form_region(site.pc, whole_context(site), source.bytes(), known, shared_.stops.now().in_page(site.pc));
  if (!region) return false;
  ir::assert_valid(*region);
  auto block = shared_.backend->make(*region, block_key(site.key, region->fp));
  if (!block || !block->compiled) return false;
  place(*block, site);
  if (shared_.config.trace) trace_block(*block, *region, source.at_pc());
  return shared_.code.publish(std::move(block), source, CodeCache::Place::Head, claimer_);
}

/// What `known` is at another address is right for `site`, too: none of its instructions is a debugger's breakpoint.
bool BlockMaker::may_move_to(const CodeSite& site, const Block& known) const {
  const auto is_in = [&](u32 va) { return va - site.pc < known.bytes; };
  return std::ranges::none_of(shared_.stops.now().in_page(site.pc), is_in);
}

/// A copy of `known`, which has the same bytes and can be moved. Null: there is no room for code, or `known` is dead.
Block* BlockMaker::move(const Block& known, const CodeSite& site) {
  auto block = shared_.backend->move(known, site.pc);
  if (!block) return nullptr;
  place(*block, site);
  CodeSource source(site.pc, site.host);
  const bool looked_at = shared_.verifier || shared_.config.trace;
  if (looked_at && !translate(site, block->insn_count, source)) {
    shared_.backend->release(*block);
    return nullptr;
  }
  if (shared_.verifier) block->twin = engine::lower(ir_, known.key);
  Block* const moved = shared_.code.publish_moved(std::move(block), known);
  if (moved && shared_.config.trace) trace_block(*moved, ir_, source.at_pc());
  return moved;
}

/// Reads what is at `site` and translates it to ir_. False: it needs the next page, which `site` does not have, or does
/// not need the one that it has.
bool BlockMaker::translate(const CodeSite& site, u32 max_insns, CodeSource& source) {
  source.read();
  if (shared_.config.translator) {
    ir_ = {};
    shared_.config.translator(site.pc, ir_);
    ir_.fp = true;
  } else {
    ir_.insts.clear();
    const frontend::Limits limits{.max_insns = max_insns, .stops = shared_.stops.now().in_page(site.pc)};
    if (!frontend::translate(whole_context(site), site.pc, source.bytes(), limits, ir_)) return false;
    if (site.second && ir_.guest_bytes <= k_page_size - (site.pc & k_page_mask)) return false;
  }
  ir::sink_compares(ir_);
  ir::assert_valid(ir_);
  return true;
}

/// A block of what is at `site`, to be published. Null: as translate().
std::unique_ptr<Block> BlockMaker::lower(const CodeSite& site, u32 cold_runs, CodeSource& source) {
  for (u32 max_insns = site.second ? 1 : k_max_insns;; max_insns = std::max(1u, max_insns / 2)) {
    if (!translate(site, max_insns, source)) return nullptr;
    const u32 key = block_key(site.key, ir_.fp);
    auto block = cold_runs ? shared_.backend->make_cold(ir_, key, cold_runs) : shared_.backend->make(ir_, key);
    if (!block) continue;  // more temps than the context has room for
    place(*block, site);
    return block;
  }
}

void BlockMaker::keep_for_verifier(Block& block, const CodeSite& site, const CodeSource& source) {
  if (block.compiled) block.twin = engine::lower(ir_, block.key);
  if (block.can_move() && !shared_.config.translator)
    shared_.verifier->check_move(*shared_.backend, block, whole_context(site), source.bytes());
}

}  // namespace armvisor::engine
