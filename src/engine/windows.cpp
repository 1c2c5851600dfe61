// Which address spaces of a vCPU have a host-MMU window (mmu/window.h), and what happens at an access that the window
// did not serve.
//
// A page costs some 10 us to map and a fault 3 us, what they save is nanoseconds; so windows are for spaces that stay.
// A space gets one when several interrupts in a row found it running with no flush of its ASID between. Each such
// interrupt earns it time to spend on its window, if the vCPU has hardly changed spaces since the last; while it has
// none left, it uses its TLB, and the window is kept.
//
// Unprivileged blocks with k_key_window run only when the window is settled and the GS base is its own. Generated code
// enters unprivileged code when Context::window_ready says so; it is taken back whenever a window loses something.
#include <algorithm>

#include "engine/vcpu.h"

namespace armvisor::engine {

using measure::Counter;

namespace {

constexpr u32 k_ticks_before = 3;
/// So many changes of the space since the interrupt before, and one earns nothing: each costs some time, too.
constexpr u64 k_many_switches = 16;
/// In microseconds: what a tick, some 4 ms, earns, when a window is used again, and what can be saved up.
constexpr s32 k_tick_earns = 400, k_enough = 1200, k_most_credit = 40'000;
constexpr s32 k_fault_costs = 4, k_map_costs = 10, k_drop_costs = 6, k_block_costs = 12;
constexpr u32 k_pages_ahead = 15;
/// All windows of a machine may have this many pages: two host mappings each, of 65530.
constexpr u32 k_most_pages = 24 * 1024;

}  // namespace

/// Views::window of a space whose unprivileged blocks have `key`. Blocks that check alignment use none.
u64 InterpreterVcpu::window_of(const mmu::Space& space, u32 key) const {
  const Backend::Windows mode = shared_.backend->windows();
  if (mode == Backend::Windows::Off || frontend::Context::align_strict_of(key)) return 0;
  if (space.window && space.window_use.on) return space.window->base();
  return mode == Backend::Windows::AtOnce ? k_window_wanted : 0;
}

/// The state is unprivileged: what its space's window lost goes from the host's tables.
void InterpreterVcpu::prepare_window() {
  const Backend::Windows mode = shared_.backend->windows();
  if (mode == Backend::Windows::Off) return;
  mmu::Space& space = tlb_.current();
  if (mode == Backend::Windows::AtOnce && !space.window) space.window_use.on = attach_window();
  if (space.window) charge_window(static_cast<s32>(tlb_.settle_window()) * k_drop_costs);
}

/// Context::views has been chosen.
void InterpreterVcpu::window_ready() {
  if (tlb_.window_changes() != window_changes_) {
    window_changes_ = tlb_.window_changes();
    context_.window_ready = k_no_window_ready;
  }
  if (context_.s.privileged()) return;
  const u64 base = context_.views->window;
  context_.window_ready = base;
  if (base <= k_window_wanted || base == window_base_) return;
  window_base_ = base;
  shared_.backend->use_window(base);
}

bool InterpreterVcpu::attach_window() {
  const auto pages = k_most_pages / static_cast<u32>(shared_.vcpus.size()) / mmu::SoftTlb::k_max_windows;
  return tlb_.attach_window(pages);
}

/// An interrupt came in unprivileged code.
void InterpreterVcpu::tick_window() {
  if (shared_.backend->windows() != Backend::Windows::On) return;
  mmu::Space& space = tlb().current();
  mmu::Space::WindowUse& use = space.window_use;
  const u64 switches = counters().get(Counter::SpaceSwitch), since = switches - switches_at_tick_;
  switches_at_tick_ = switches;
  if (since > k_many_switches) return;
  use.credit = std::min(use.credit + k_tick_earns, k_most_credit);
  if (++use.ticks < k_ticks_before || use.on || use.credit < k_enough) return;
  use.on = attach_window();
  if (!use.on) return;
  tlb_.window_changed();
  count(Counter::WindowEnter);
}

void InterpreterVcpu::charge_window(s32 cost) {
  if (shared_.backend->windows() != Backend::Windows::On) return;
  mmu::Space::WindowUse& use = tlb_.current().window_use;
  use.credit -= cost;
  if (use.credit >= 0 || !use.on) return;
  use.on = false;
  tlb_.window_changed();
  count(Counter::WindowLeave);
  request_attention();  // the next block is one that uses the TLB
}

/// A block that goes by way of the window was made, which there is beside the one that does not.
void InterpreterVcpu::window_block_made() { charge_window(k_block_costs); }

/// Pages behind that of `va` come to the TLB, as a host may do ahead of time (B3.10.1), so that they can be mapped with
/// it where they follow each other in memory: for a program that goes through memory page by page. Those of the same
/// MiB, which one table translates.
void InterpreterVcpu::look_ahead(u32 va) {
  const mmu::Space& space = tlb_.current();
  if (!space.window->has(va - k_page_size, false)) return;
  for (u32 k = 1; k <= k_pages_ahead; ++k) {
    const u32 at = (va & ~k_page_mask) + k * k_page_size;
    if ((at ^ va) >> 20 != 0 || space.window->has(at, false)) return;
    if (space.data[0][(at >> k_page_bits) % mmu::k_tlb_entries].read_tag == at) continue;
    arm::Translation t;
    bool keep = false;
    if (walk_to_keep(at, arm::Access::Read, false, t, keep) || !keep || t.type != arm::MemoryType::Normal) return;
    const GuestPa frame(t.pa.value & ~u64{k_page_mask});
    if (!shared_.ram.contains(frame, k_page_size)) return;
    tlb_.fill_data(at, t, false, shared_.ram.host(frame), true, false);
    count(Counter::HiddenData);
  }
}

/// An access by way of the window has faulted and was done by way of the TLB. The next one to that page is to hit. An
/// instruction that goes again and again where no window can help is translated anew, without.
void InterpreterVcpu::window_missed(u32 va, u32 size, bool write) {
  count(Counter::WindowFault);
  const mmu::Space& space = tlb().current();
  if (!space.window || !space.window_use.on) return request_attention();  // it was lost in the middle of the block
  charge_window(k_fault_costs);
  using Mapped = mmu::SoftTlb::Mapped;
  const auto map = [this, write](u32 at) {
    const u64 before = tlb_.window_counts().mapped;
    const Mapped mapped = tlb_.map_window(at, write);
    count(Counter::WindowMap, tlb_.window_counts().mapped - before);
    if (mapped == Mapped::Now) charge_window(k_map_costs);
    return mapped;
  };
  look_ahead(va);
  Mapped mapped = map(va);
  const u32 last = va + size - 1;
  if ((va ^ last) >> k_page_bits != 0 && mapped != Mapped::No) mapped = map(last);
  if (mapped == Mapped::Already || mapped == Mapped::Now) return;
  if (mapped == Mapped::Full) return charge_window(k_most_credit);
  if (!shared_.backend->avoid_window(mark_pc())) return;
  const auto offset = static_cast<u64>(s64{mark().offset});  // below 0 in a region that begins before its entry
  shared_.code.invalidate(context_.block->pa + offset, 1);
  request_attention();
}

}  // namespace armvisor::engine
