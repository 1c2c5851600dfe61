// Host-MMU windows of a vCPU's address spaces.
#include <algorithm>

#include "mmu/soft_tlb.h"

namespace armvisor::mmu {
namespace {

constexpr u32 k_most_around = 16;  ///< pages mapped at once

}  // namespace

bool SoftTlb::attach_window(u32 max_pages) {
  Space& space = *current_;
  if (space.window) return true;
  if (free_windows_.empty() && windows_.size() < k_max_windows) {
    auto window = Window::create(frames_.ram().memfd(), max_pages);
    if (!window) return false;
    free_windows_.push_back(window.get());
    windows_.push_back(std::move(window));
  }
  if (free_windows_.empty()) {
    Space* oldest = nullptr;
    for (auto& s : spaces_)
      if (s->window && (!oldest || s->last_use < oldest->last_use)) oldest = s.get();
    detach_window(*oldest);
  }
  space.window = free_windows_.back();
  free_windows_.pop_back();
  window_changed();
  return true;
}

void SoftTlb::detach_window(Space& space) {
  space.window_use = {};
  if (!space.window) return;
  // A block that uses it may be running, and nothing settles a window that belongs to no space.
  space.window->drop_all();
  space.window->settle();
  free_windows_.push_back(space.window);
  space.window = nullptr;
  window_changed();
}

void SoftTlb::drop_in_window(Space& space, u32 va, u32 bits, bool only_global) {
  if (!space.window) return;
  space.window->drop(va, bits, only_global);
  if (!space.window->is_settled()) window_changed();
}

bool SoftTlb::mappable(u32 va, Mappable& out) const {
  const u32 page = va & ~k_page_mask, k = (va >> k_page_bits) % k_tlb_entries;
  const TlbEntry& e = current_->data[0][k];
  const Space::Meta& meta = current_->data_meta[0][k];
  const GuestRam& ram = frames_.ram();
  out.offset = e.host - reinterpret_cast<u64>(ram.host(ram.base()));
  out.writable = e.write_tag == page;
  out.global = meta.global;
  return e.read_tag == page && meta.normal && out.offset < ram.size();
}

SoftTlb::Mapped SoftTlb::map_window(u32 va, bool write) {
  Window& window = *current_->window;
  if (window.has(va, write)) return Mapped::Already;
  Mappable here;
  if (!mappable(va, here) || (write && !here.writable)) return Mapped::No;
  u32 first = va & ~k_page_mask, count = 1;
  const auto continues = [&](u32 at, u64 offset) {
    Mappable there;
    return !window.has(at, here.writable) && mappable(at, there) &&
           there == Mappable{offset, here.writable, here.global};
  };
  while (count < k_most_around && first != 0 && here.offset != 0 &&
         continues(first - k_page_size, here.offset - k_page_size)) {
    first -= k_page_size;
    here.offset -= k_page_size;
    ++count;
  }
  while (count < k_most_around && first + count * k_page_size != 0 &&
         continues(first + count * k_page_size, here.offset + u64{count} * k_page_size))
    ++count;
  return window.map(first, here.offset, count, here.writable, here.global) ? Mapped::Now : Mapped::Full;
}

WindowCounts SoftTlb::window_counts() const {
  WindowCounts sum;
  for (const auto& w : windows_) {
    sum.mapped += w->counts().mapped;
    sum.dropped += w->counts().dropped;
    sum.protects += w->counts().protects;
  }
  return sum;
}

}  // namespace armvisor::mmu
