// Who has a host-MMU window (mmu/window.h), and what happens at an access that the window did not serve. There are
// windows of address spaces, for unprivileged accesses, and one of a vCPU's privileged accesses, with global pages.
//
// Who should have one is said by window_policy.h.
//
// Blocks with k_key_window run only when the window is settled and the GS base is its own. Generated code enters
// unprivileged code when Dispatch::window_ready says so; it is taken back whenever a window loses something. The window
// of privileged code, which goes on after TLB maintenance, is settled at the next barrier, or before another vCPU is
// told that its request has been served: until then what was flushed may still be used (B3.10.5).
#include <algorithm>

#include "arm/debug_events.h"
#include "engine/vcpu.h"

namespace armvisor::engine {

using measure::Counter;

namespace {

constexpr u32 k_most_walks = 1024;
constexpr u32 k_pages_ahead = 15;
/// All windows of a machine may have so many of the host's mappings, of 65530.
constexpr u32 k_most_pieces = 48 * 1024;

}  // namespace

/// Views::window for blocks that have `key`. Blocks that check alignment use none, nor do accesses that watchpoints
/// may be for.
u64 TranslatingVcpu::window_of(bool privileged, u32 key) {
  const Backend::Windows mode = shared_.backend->windows();
  if (mode == Backend::Windows::Off || frontend::Context::align_strict_of(key)) return 0;
  if (arm::data_is_armed(context_.guest, privileged)) return 0;
  const mmu::Window* const window = tlb_.window(privileged);
  if (window && tlb_.window_use(privileged).on) return window->base();
  return mode == Backend::Windows::AtOnce && !privileged ? k_window_wanted : 0;
}

/// The state is of this privilege: what its window lost goes from the host's tables.
void TranslatingVcpu::prepare_window(bool privileged) {
  const Backend::Windows mode = shared_.backend->windows();
  if (mode == Backend::Windows::Off) return;
  mmu::WindowUse& use = tlb_.window_use(privileged);
  if (mode == Backend::Windows::AtOnce && !(tlb_.window(privileged) && use.on)) use.on = attach_window(privileged);
  if (privileged)
    settle_global_window();
  else
    charge_window(tlb_.settle_window(), false);
}

/// Dispatch::views has been chosen.
void TranslatingVcpu::window_ready() {
  if (tlb_.window_changes() != window_changes_) {
    window_changes_ = tlb_.window_changes();
    context_.dispatch.window_ready = k_no_window_ready;
  }
  const bool privileged = context_.guest.privileged();
  const u64 base = context_.dispatch.views->window[privileged];
  if (!privileged) context_.dispatch.window_ready = base;
  if (base <= k_window_wanted || base == context_.dispatch.gs_base) return;
  context_.dispatch.gs_base = base;
  shared_.backend->use_window(base);
}

bool TranslatingVcpu::attach_window(bool privileged) {
  constexpr u32 k_windows = mmu::SoftTlb::k_max_windows + 1;
  const u32 pieces = k_most_pieces / static_cast<u32>(shared_.config.vcpus) / k_windows;
  return privileged ? tlb_.attach_global_window(pieces) : tlb_.attach_window(pieces);
}

/// An interrupt came, or a loop is hot.
void TranslatingVcpu::tick_window() {
  if (shared_.backend->windows() != Backend::Windows::On) return;
  const bool privileged = context_.guest.privileged();
  mmu::WindowUse& use = tlb().window_use(privileged);
  const WindowPolicy::Counts counts{.switches = counters().get(Counter::SpaceSwitch),
                                    .blocks = counters().get(Counter::CodeInterpreted) +
                                              counters().get(Counter::CodeTranslation) +
                                              counters().get(Counter::CodeMove)};
  if (!window_policy_.tick(use, privileged, std::chrono::steady_clock::now(), counts)) return;
  use.on = attach_window(privileged);
  if (!use.on) return;
  tlb_.window_changed();
  inbox_.request_attention();
  count(Counter::WindowEnter);
}

void TranslatingVcpu::charge_window(s32 cost, bool privileged) {
  if (shared_.backend->windows() != Backend::Windows::On) return;
  mmu::WindowUse& use = tlb_.window_use(privileged);
  if (!WindowPolicy::charge(use, privileged, cost)) return;
  use.on = false;
  tlb_.window_changed();
  count(Counter::WindowLeave);
  inbox_.request_attention();  // the next block is one that uses the TLB
}

void TranslatingVcpu::charge_window(const mmu::Window::Settled& done, bool privileged) {
  if (done.calls == 0) return;
  charge_window(static_cast<s32>(done.calls) * WindowPolicy::k_drop_costs +
                    static_cast<s32>(done.pages) / WindowPolicy::k_drop_pages_per_us,
                privileged);
}

/// A block that goes by way of the window was made, which there is beside the one that does not. (There is one kernel,
/// and what it has made so stays.)
void TranslatingVcpu::window_block_made() {
  tlb();
  if (!context_.guest.privileged()) charge_window(WindowPolicy::k_block_costs, false);
}

/// What maintenance has named goes from the host's tables. Linux flushes everything with each fork (where an erratum of
/// the Cortex-A9 may be there), and all of its direct map with pages that it frees. What its kernel has is the same
/// afterwards; so the tables are looked at, and pages that they still translate so are kept, as if they had been mapped
/// right after.
void TranslatingVcpu::check_global_window() {
  u32 walks = 0;
  const auto done = tlb_.settle_global_window([&](u32 va) -> mmu::Window::Extent {
    arm::Translation t;
    const bool mapped = ++walks <= k_most_walks && !walk(va, arm::Access::Read, true, t) && t.global &&
                        t.type == arm::MemoryType::Normal && tlb_.fits_global_window(va, t);
    if (!mapped) return {.first = va, .last = va | k_page_mask};
    const u32 mask = (1u << std::min(t.page_bits, mmu::k_mib_bits)) - 1;  // what is known of sizes is known by MiB
    const u64 origin = t.pa.value - shared_.ram.base().value - va;
    return {.first = va & ~mask, .last = va | mask, .origin = origin, .mapped = true, .writable = t.pl1_write};
  });
  count(Counter::FlushCheck, walks);
  charge_window(static_cast<s32>(walks) / WindowPolicy::k_walks_per_us, true);
  charge_window(done, true);
}

/// Pages behind that of `va` come to the TLB, as a host may do ahead of time (B3.10.1), so that they can be mapped with
/// it where they follow each other in memory: for a program that goes through memory page by page. Those of the same
/// MiB, which one table translates.
void TranslatingVcpu::look_ahead(u32 va) {
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

/// An access by way of the window has faulted and was done by way of the TLB. The next one to that page is to hit. An
/// instruction that goes again and again where no window can help is translated anew, without.
void TranslatingVcpu::window_missed(u32 va, u32 size, bool write) {
  count(Counter::WindowFault);
  const bool privileged = context_.guest.privileged();
  if (!tlb().window(privileged) || !tlb_.window_use(privileged).on) {
    return inbox_.request_attention();  // it was lost in the middle of the block
  }
  charge_window(WindowPolicy::k_fault_costs, privileged);
  using Mapped = mmu::SoftTlb::Mapped;
  const auto map = [=, this](u32 at) {
    const u64 before = tlb_.window_counts().mapped;
    const Mapped mapped = tlb_.map_window(at, write, privileged);
    count(Counter::WindowMap, tlb_.window_counts().mapped - before);
    if (mapped == Mapped::Now) charge_window(WindowPolicy::k_map_costs, privileged);
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
  if (mapped == Mapped::Full) return charge_window(WindowPolicy::k_most_credit[privileged], privileged);
  if (!shared_.backend->avoid_window(context_.dispatch.pc())) return;
  // (The offset is below 0 in a region that begins before its entry.)
  const auto offset = static_cast<u64>(s64{context_.dispatch.mark().offset});
  shared_.code.invalidate(context_.dispatch.block->pa + offset, 1);
  inbox_.request_attention();
}

}  // namespace armvisor::engine
