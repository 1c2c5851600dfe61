#include "engine/windows.h"

#include <algorithm>
#include <utility>

#include "arm/debug_events.h"
#include "engine/shared.h"

namespace armvisor::engine {

using measure::Counter;

namespace {

constexpr u32 k_most_walks = 1024;
constexpr u32 k_pages_ahead = 15;
/// All windows of a machine may have so many of the host's mappings, of 65530.
constexpr u32 k_most_pieces = 48 * 1024;

}  // namespace

void Windows::thread_changed() {
  context_.dispatch.gs_base = 0;
  context_.dispatch.window_ready = k_no_window_ready;
}

u64 Windows::base_for(bool privileged, u32 key) {
  const Backend::Windows mode = shared_.backend->windows();
  if (mode == Backend::Windows::Off || frontend::Context::align_strict_of(key)) return 0;
  if (arm::data_may_stop(context_.guest, privileged)) return 0;
  const mmu::Window* const window = tlb_.window(privileged);
  if (window && tlb_.window_use(privileged).on) return window->base();
  return mode == Backend::Windows::AtOnce && !privileged ? k_window_wanted : 0;
}

void Windows::prepare(bool privileged) {
  const Backend::Windows mode = shared_.backend->windows();
  if (mode == Backend::Windows::Off) return;
  mmu::WindowUse& use = tlb_.window_use(privileged);
  if (mode == Backend::Windows::AtOnce && !(tlb_.window(privileged) && use.on)) use.on = attach(privileged);
  if (privileged)
    settle_global();
  else
    charge(tlb_.settle_window(), false);
}

void Windows::chosen() {
  if (tlb_.window_changes() != changes_) {
    changes_ = tlb_.window_changes();
    context_.dispatch.window_ready = k_no_window_ready;
  }
  const bool privileged = context_.guest.privileged();
  const Views& views = *context_.dispatch.views;
  const bool windowed = views.view[privileged].key[0] & k_key_window;
  if (windowed != std::exchange(windowed_[privileged], windowed))
    inbox_.request_attention();  // the block is of the other kind
  const u64 base = views.window[privileged];
  if (!privileged) context_.dispatch.window_ready = base;
  if (base <= k_window_wanted || base == context_.dispatch.gs_base) return;
  context_.dispatch.gs_base = base;
  shared_.backend->use_window(base);
}

bool Windows::attach(bool privileged) {
  constexpr u32 k_windows = mmu::SoftTlb::k_max_windows + 1;
  const u32 pieces = k_most_pieces / static_cast<u32>(shared_.config.vcpus) / k_windows;
  return privileged ? tlb_.attach_global_window(pieces) : tlb_.attach_window(pieces);
}

void Windows::tick() {
  if (shared_.backend->windows() != Backend::Windows::On) return;
  const bool privileged = context_.guest.privileged();
  mmu::WindowUse& use = memory_.tlb().window_use(privileged);
  const WindowPolicy::Counts counts{.switches = context_.counters.get(Counter::SpaceSwitch),
                                    .blocks = context_.counters.get(Counter::CodeInterpreted) +
                                              context_.counters.get(Counter::CodeTranslation) +
                                              context_.counters.get(Counter::CodeMove)};
  if (!policy_.tick(use, privileged, std::chrono::steady_clock::now(), counts)) return;
  use.on = attach(privileged);
  if (!use.on) return;
  tlb_.window_changed();
  inbox_.request_attention();
  count(Counter::WindowEnter);
}

void Windows::charge(s32 cost, bool privileged) {
  if (shared_.backend->windows() != Backend::Windows::On) return;
  mmu::WindowUse& use = tlb_.window_use(privileged);
  if (!WindowPolicy::charge(use, privileged, cost)) return;
  use.on = false;
  tlb_.window_changed();
  count(Counter::WindowLeave);
  inbox_.request_attention();  // the next block is one that uses the TLB
}

void Windows::charge(const mmu::Window::Settled& done, bool privileged) {
  if (done.calls == 0) return;
  charge(static_cast<s32>(done.calls) * WindowPolicy::k_drop_costs +
             static_cast<s32>(done.pages) / WindowPolicy::k_drop_pages_per_us,
         privileged);
}

// There is one kernel, and what it has made so stays.
void Windows::block_made() {
  memory_.tlb();
  if (!context_.guest.privileged()) charge(WindowPolicy::k_block_costs, false);
}

/// What maintenance has named goes from the host's tables. Linux flushes everything with each fork (where an erratum of
/// the Cortex-A9 may be there), and all of its direct map with pages that it frees. What its kernel has is the same
/// afterwards; so the tables are looked at, and pages that they still translate so are kept, as if they had been mapped
/// right after.
void Windows::check_global() {
  u32 walks = 0;
  const auto done = tlb_.settle_global_window([&](u32 va) -> mmu::Window::Extent {
    arm::Translation t;
    const bool mapped = ++walks <= k_most_walks && !memory_.walk(va, arm::Access::Read, true, t) && t.global &&
                        t.type == arm::MemoryType::Normal && tlb_.fits_global_window(va, t);
    if (!mapped) return {.first = va, .last = va | k_page_mask};
    const u32 mask = (1u << std::min(t.page_bits, mmu::k_mib_bits)) - 1;  // what is known of sizes is known by MiB
    const u64 origin = t.pa.value - shared_.ram.base().value - va;
    return {.first = va & ~mask, .last = va | mask, .origin = origin, .mapped = true, .writable = t.pl1_write};
  });
  count(Counter::FlushCheck, walks);
  charge(static_cast<s32>(walks) / WindowPolicy::k_walks_per_us, true);
  charge(done, true);
}

/// Pages behind that of `va` come to the TLB, as a host may do ahead of time (B3.10.1), so that they can be mapped with
/// it where they follow each other in memory: for a program that goes through memory page by page. Those of the same
/// MiB, which one table translates.
void Windows::look_ahead(u32 va) {
  const bool privileged = context_.guest.privileged();
  const mmu::Window& window = *tlb_.window(privileged);
  const mmu::Space& space = tlb_.current();
  if (!window.has(va - k_page_size, false)) return;
  if (space.data_meta[privileged][(va >> k_page_bits) % mmu::k_tlb_entries].page_bits > k_page_bits) return;
  for (u32 k = 1; k <= k_pages_ahead; ++k) {
    const u32 at = (va & ~k_page_mask) + k * k_page_size;
    if ((at ^ va) >> 20 != 0 || window.has(at, false)) return;
    if (space.data[privileged][(at >> k_page_bits) % mmu::k_tlb_entries].read_tag == at) continue;
    GuestMemory::Page page;
    if (memory_.find_page(at, arm::Access::Read, privileged, page)) return;
    if (!page.kept || !page.normal || !page.ram) return;
  }
}

void Windows::missed(u32 va, u32 size, bool write) {
  count(Counter::WindowFault);
  const bool privileged = context_.guest.privileged();
  if (!memory_.tlb().window(privileged) || !tlb_.window_use(privileged).on) {
    return inbox_.request_attention();  // it was lost in the middle of the block
  }
  charge(WindowPolicy::k_fault_costs, privileged);
  using Mapped = mmu::SoftTlb::Mapped;
  const auto map = [=, this](u32 at) {
    const u64 before = tlb_.window_counts().mapped;
    const Mapped mapped = tlb_.map_window(at, write, privileged);
    count(Counter::WindowMap, tlb_.window_counts().mapped - before);
    if (mapped == Mapped::Now) charge(WindowPolicy::k_map_costs, privileged);
    return mapped;
  };
  look_ahead(va);
  Mapped mapped = map(va);
  const u32 last = va + size - 1;
  if ((va ^ last) >> k_page_bits != 0 && mapped != Mapped::No) mapped = map(last);
  if (!memory_.views_hold()) {  // the window may not be that of the other DACR's view any more
    context_.dispatch.views->other->dacr = Views::k_no_dacr;
    inbox_.request_attention();
  }
  if (mapped == Mapped::Already || mapped == Mapped::Now) return;
  if (mapped == Mapped::Full) return charge(WindowPolicy::k_most_credit[privileged], privileged);
  if (!shared_.backend->avoid_window(context_.dispatch.pc())) return;
  // (The offset is below 0 in a region that begins before its entry.)
  const auto offset = static_cast<u64>(s64{context_.dispatch.mark().offset});
  shared_.code.invalidate(context_.dispatch.block->pa + offset, 1);
  inbox_.request_attention();
}

}  // namespace armvisor::engine
