// Host-MMU windows of a vCPU's address spaces.
#include <algorithm>

#include "mmu/soft_tlb.h"

namespace armvisor::mmu {
namespace {

constexpr u32 k_most_around = 16;  ///< pages mapped at once that the TLB has one by one
constexpr u32 k_section_bits = 20;

}  // namespace

bool SoftTlb::attach_window(u32 max_pieces) {
  Space& space = *current_;
  if (space.window) return true;
  if (free_windows_.empty() && windows_.size() < k_max_windows) {
    auto window = Window::create(frames_.ram().memfd(), frames_.ram().size(), max_pieces);
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

bool SoftTlb::attach_global_window(u32 max_pieces) {
  GlobalWindow& g = global_;
  if (!g.window) g.window = Window::create(frames_.ram().memfd(), frames_.ram().size(), max_pieces);
  if (!g.window) return false;
  const SpaceKey key = current_->key.of_global_pages();
  if (!(key == g.key)) {
    drop_global_window();
    g.window->settle();
    g.key = key;
  }
  if (g.window->size() == 0) g.domains = 0;
  if ((current_->key.dacr ^ g.dacr) & g.domains) return false;
  window_changed();
  return true;
}

Window* SoftTlb::global_window() {
  SpaceKey key = global_.key;
  key.asid = current_->key.asid;
  key.dacr = current_->key.dacr;
  const bool is_its = global_.window && key == current_->key && !((key.dacr ^ global_.dacr) & global_.domains);
  return is_its ? global_.window.get() : nullptr;
}

/// The page of `va`, whose translation, with `meta`, holds while DACR says the same of its domain, comes to the window.
/// (Long descriptors have no domains, and depend on no DACR.)
void SoftTlb::note_global(u32 va, const Space::Meta& meta) {
  GlobalWindow& g = global_;
  if (meta.page_bits > k_page_bits) {
    g.large.mark(va, meta.page_bits, true);
    g.largest = std::max<u32>(g.largest, meta.page_bits);
  }
  const u32 mask = 3u << (2 * meta.domain);
  if (g.domains & mask) return;
  g.domains |= mask;
  g.dacr = (g.dacr & ~mask) | (current_->key.dacr & mask);
  window_changed();  // with another DACR it may not be the space's any more
}

/// Before the page's bit in filled_ goes: may_have_any() looks at one after the other.
void SoftTlb::drop_in_global_window(u32 va) {
  GlobalWindow& g = global_;
  if (!g.window || g.window->size() == 0) return;
  if (!g.large.has(va)) {
    g.window->drop(va, k_page_bits, false);
  } else if (!in_mib(g.suspect, va)) {
    mark_mib(g.suspect, va, g.largest, true);
    g.any_suspect = true;
  }
  if (!global_window_is_settled()) unsettled_.store(true);
}

void SoftTlb::drop_global_window() {
  GlobalWindow& g = global_;
  if (g.use.on) window_changed();
  g.use.on = false;
  g.use.ticks = 0;
  if (!g.window) return;
  g.window->drop_all();
  g.large.clear();
  g.largest = 0;
  g.suspect.fill(0);
  g.any_suspect = false;
}

bool SoftTlb::mappable(u32 va, bool privileged, Mappable& out) const {
  const u32 page = va & ~k_page_mask, k = (va >> k_page_bits) % k_tlb_entries;
  const TlbEntry& e = current_->data[privileged][k];
  const Space::Meta& meta = current_->data_meta[privileged][k];
  const GuestRam& ram = frames_.ram();
  out.offset = e.host - reinterpret_cast<u64>(ram.host(ram.base()));
  out.writable = e.write_tag == page;
  out.global = meta.global;
  out.page_bits = meta.page_bits;
  out.domain = meta.domain;
  return e.read_tag == page && meta.normal && out.offset < ram.size() && (!privileged || meta.global);
}

/// [first, first + count pages), of one section with `meta`, becomes what may be mapped of it together: as far as
/// frames may be written like those that it begins with.
void SoftTlb::widen_in_section(const Window& window, const Space::Meta& meta, u32& first, u32& count, Mappable& here) {
  const GuestRam& ram = frames_.ram();
  const u32 mask = (1u << k_section_bits) - 1;
  const auto may_come = [&](u32 at) {
    const u64 offset = here.offset + static_cast<u64>(s64{at} - first);
    if (offset >= ram.size() || window.has(at, here.writable)) return false;
    const GuestPa frame = ram.base() + offset;
    return here.writable ? may_write(frame, at) : !meta.writable || frames_.writes_are_seen(frame);
  };
  while ((first & mask) != 0 && may_come(first - k_page_size)) {
    first -= k_page_size;
    here.offset -= k_page_size;
    ++count;
  }
  while (((first + count * k_page_size) & mask) != 0 && may_come(first + count * k_page_size)) ++count;
}

SoftTlb::Mapped SoftTlb::map_window(u32 va, bool write, bool privileged) {
  Window& w = *window(privileged);
  if (w.has(va, write)) return Mapped::Already;
  Mappable here;
  if (!mappable(va, privileged, here) || (write && !here.writable)) return Mapped::No;
  u32 first = va & ~k_page_mask, count = 1;
  const auto continues = [&](u32 at, u64 offset) {
    Mappable there;
    return !w.has(at, here.writable) && mappable(at, privileged, there) &&
           there == Mappable{offset, here.writable, here.global, here.page_bits, here.domain};
  };
  const Space::Meta& meta = current_->data_meta[privileged][(va >> k_page_bits) % k_tlb_entries];
  const bool section = meta.page_bits >= k_section_bits;
  if (privileged) note_global(va, meta);
  if (section) {
    widen_in_section(w, meta, first, count, here);
  } else {
    while (count < k_most_around && first != 0 && here.offset != 0 &&
           continues(first - k_page_size, here.offset - k_page_size)) {
      first -= k_page_size;
      here.offset -= k_page_size;
      ++count;
    }
    while (count < k_most_around && first + count * k_page_size != 0 &&
           continues(first + count * k_page_size, here.offset + u64{count} * k_page_size))
      ++count;
  }
  if (w.map(first, here.offset, count, here.writable, here.global, !section)) return Mapped::Now;
  w.drop_all();
  window_changed();
  return Mapped::Full;
}

WindowCounts SoftTlb::window_counts() const {
  WindowCounts sum;
  const auto add = [&sum](const Window& w) {
    sum.mapped += w.counts().mapped;
    sum.dropped += w.counts().dropped;
    sum.protects += w.counts().protects;
  };
  for (const auto& w : windows_) add(*w);
  if (global_.window) add(*global_.window);
  return sum;
}

}  // namespace armvisor::mmu
