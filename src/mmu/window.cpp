#include "mmu/window.h"

#include <algorithm>

#include "base/assert.h"

namespace armvisor::mmu {
namespace {

constexpr u32 k_page_count = 1u << 20;
constexpr int k_reserve = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
/// From this many dropped pages on, one call for all costs less than one for each run of them.
constexpr std::size_t k_clear_all = 64;

}  // namespace

std::unique_ptr<Window> Window::create(int memfd, u32 max_pages) {
  const auto reserve = [](std::size_t size, int protection) -> Mapping {
    void* const p = ::mmap(nullptr, size, protection, k_reserve, -1, 0);
    return p == MAP_FAILED ? Mapping() : Mapping(p, size);
  };
  Mapping space = reserve(k_bytes, PROT_NONE);
  Mapping slots = reserve(k_page_count * sizeof(u16), PROT_READ | PROT_WRITE);
  if (!space || !slots) return nullptr;
  return std::unique_ptr<Window>(new Window(std::move(space), std::move(slots), memfd, max_pages));
}

Window::Window(Mapping space, Mapping slots, int memfd, u32 max_pages)
    : space_(std::move(space)), slots_(std::move(slots)), memfd_(memfd), max_pages_(std::min(max_pages, k_max_pages)) {}

bool Window::has(u32 va, bool write) const {
  const u16 at = slot(va >> k_page_bits);
  return at != 0 && (!write || pages_[at - 1].writable);
}

bool Window::map(u32 va, u64 offset, u32 count, bool writable, bool global) {
  const u32 first = va >> k_page_bits;
  settle();
  if (pages_.size() + count > max_pages_) return false;
  const int protection = PROT_READ | (writable ? PROT_WRITE : 0);
  const std::size_t bytes = std::size_t{count} << k_page_bits;
  if (::mmap(host(first), bytes, protection, MAP_SHARED | MAP_FIXED | MAP_POPULATE, memfd_,
             static_cast<off_t>(offset)) == MAP_FAILED)
    return false;
  for (u32 k = 0; k < count; ++k) {
    const Page page{first + k, static_cast<u32>(offset >> k_page_bits) + k, writable, global};
    u16& place = slot(first + k);
    if (place != 0) {
      pages_[place - 1] = page;
    } else {
      pages_.push_back(page);
      place = static_cast<u16>(pages_.size());
    }
  }
  counts_.mapped += count;
  return true;
}

void Window::remove(u32 at) {
  slot(pages_[at].number) = 0;
  stale_.push_back(pages_[at].number);
  pages_[at] = pages_.back();
  pages_.pop_back();
  if (at < pages_.size()) slot(pages_[at].number) = static_cast<u16>(at + 1);
  ++counts_.dropped;
}

template <class F>
void Window::drop_if(F f) {
  for (u32 at = size(); at-- > 0;)
    if (f(pages_[at])) remove(at);
}

void Window::drop(u32 va, u32 bits, bool only_global) {
  if (bits <= k_page_bits) {
    const u16 place = slot(va >> k_page_bits);
    if (place != 0 && (!only_global || pages_[place - 1].global)) remove(place - 1u);
    return;
  }
  drop_if(
      [&](const Page& p) { return (u64{va ^ p.number << k_page_bits} >> bits) == 0 && (!only_global || p.global); });
}

void Window::drop_all() {
  drop_if([](const Page&) { return true; });
}

void Window::drop_not_global() {
  drop_if([](const Page& p) { return !p.global; });
}

void Window::drop_writes(u64 offset) {
  for (Page& p : pages_) {
    if (p.frame != offset >> k_page_bits || !p.writable) continue;
    p.writable = false;
    ++counts_.protects;
    if (::mprotect(host(p.number), k_page_size, PROT_READ) == 0) continue;
    drop_all();  // it splits a mapping, for which the host may have no room
    return clear_host();
  }
}

bool Window::clear_host(u32 number, u32 count) {
  const std::size_t bytes = std::size_t{count} << k_page_bits;
  return ::mmap(host(number), bytes, PROT_NONE, k_reserve | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/// Takes out everything; the host needs no room for that.
void Window::clear_host() {
  stale_.clear();
  void* const all = ::mmap(space_.data(), space_.size(), PROT_NONE, k_reserve | MAP_FIXED, -1, 0);
  AV_ASSERT(all != MAP_FAILED);
}

u32 Window::settle() {
  const auto dropped = static_cast<u32>(stale_.size());
  if (dropped == 0) return 0;
  if (pages_.empty() && dropped >= k_clear_all) {
    clear_host();
    return dropped;
  }
  std::sort(stale_.begin(), stale_.end());
  for (std::size_t k = 0; k < stale_.size();) {
    u32 count = 1;
    while (k + count < stale_.size() && stale_[k + count] == stale_[k] + count) ++count;
    if (!clear_host(stale_[k], count)) {
      drop_all();
      clear_host();
      return dropped;
    }
    k += count;
  }
  stale_.clear();
  return dropped;
}

}  // namespace armvisor::mmu
