#include "mmu/window.h"

#include <algorithm>

#include "base/assert.h"

namespace armvisor::mmu {
namespace {

constexpr int k_reserve = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
/// A change in the middle of a mapping makes three of it.
constexpr u32 k_pieces_more = 2;
/// From this many dropped pages on, one call for all costs less than one for each run of them.
constexpr std::size_t k_clear_all = 64;

}  // namespace

std::unique_ptr<Window> Window::create(int memfd, u64 size, u32 max_pieces) {
  const auto reserve = [](std::size_t bytes, int protection) -> Mapping {
    void* const p = ::mmap(nullptr, bytes, protection, k_reserve, -1, 0);
    return p == MAP_FAILED ? Mapping() : Mapping(p, bytes);
  };
  Mapping space = reserve(k_bytes, PROT_NONE);
  Mapping pages = reserve(k_page_count * sizeof(u32), PROT_READ | PROT_WRITE);
  Mapping places = reserve((size >> k_page_bits) * sizeof(u32), PROT_READ | PROT_WRITE);
  if (!space || !pages || !places) return nullptr;
  return std::unique_ptr<Window>(new Window(std::move(space), std::move(pages), std::move(places), memfd, max_pieces));
}

Window::Window(Mapping space, Mapping pages, Mapping places, int memfd, u32 max_pieces)
    : space_(std::move(space)),
      pages_(std::move(pages)),
      places_(std::move(places)),
      memfd_(memfd),
      max_pieces_(max_pieces) {}

bool Window::has(u32 va, bool write) const {
  const u32 p = page(va >> k_page_bits);
  return p != 0 && (!write || (p & k_writable));
}

bool Window::map(u32 va, u64 offset, u32 count, bool writable, bool global, bool populate) {
  const u32 first = va >> k_page_bits;
  settle();
  if (pieces_ + k_pieces_more > max_pieces_ && size_ == 0) clear_host();
  if (pieces_ + k_pieces_more > max_pieces_) return false;
  const int protection = PROT_READ | (writable ? PROT_WRITE : 0);
  const std::size_t bytes = std::size_t{count} << k_page_bits;
  const int flags = MAP_SHARED | MAP_FIXED | (populate ? MAP_POPULATE : 0);
  if (::mmap(host(first), bytes, protection, flags, memfd_, static_cast<off_t>(offset)) == MAP_FAILED) return false;
  pieces_ += k_pieces_more;
  const u32 rights = k_mapped | (writable ? k_writable : 0) | (global ? k_global : 0);
  const u64 origin = offset - (u64{first} << k_page_bits);
  for (u32 k = 0; k < count; ++k) {
    const u32 frame = static_cast<u32>(offset >> k_page_bits) + k;
    u32 &p = page(first + k), &at = place(frame);
    if (p == 0) add(first + k, origin);
    Mib& m = mibs_[(first + k) / k_pages_per_mib];
    m.writable |= writable;
    m.even &= m.origin == origin;
    p = frame << k_frame_shift | rights;
    if (at != first + k + 1) at = at == 0 ? first + k + 1 : k_many;
  }
  counts_.mapped += count;
  return true;
}

/// The page, which was not mapped, will be, at its address plus `origin` in the memfd.
void Window::add(u32 number, u64 origin) {
  Mib& m = mibs_[number / k_pages_per_mib];
  if (m.pages == 0) {
    m = {.origin = origin};
    mark_mib(used_, number << k_page_bits, k_page_bits, true);
  }
  ++m.pages;
  ++size_;
}

void Window::remove(u32 number) {
  u32& p = page(number);
  if (u32& at = place(p >> k_frame_shift); at == number + 1) at = 0;
  p = 0;
  --size_;
  if (--mibs_[number / k_pages_per_mib].pages == 0) mark_mib(used_, number << k_page_bits, k_page_bits, false);
  stale_.push_back(number);
  ++counts_.dropped;
}

void Window::drop(u32 va, u32 bits, bool only_global) {
  const u32 count = bits <= k_page_bits ? 1 : 1u << (bits - k_page_bits);
  const u32 first = (va >> k_page_bits) & ~(count - 1);
  for_each(first, first + count, [&](u32 number) {
    if (!only_global || (page(number) & k_global)) remove(number);
  });
}

void Window::drop_all() {
  if (size_ != 0) for_each(0, k_page_count, [this](u32 number) { remove(number); });
}

bool Window::protect(u32 number) {
  page(number) &= ~k_writable;
  ++counts_.protects;
  pieces_ += k_pieces_more;
  if (pieces_ <= max_pieces_ && ::mprotect(host(number), k_page_size, PROT_READ) == 0) return true;
  drop_all();  // it splits a mapping, for which there is no room
  clear_host();
  return false;
}

void Window::drop_writes(u64 offset) {
  const u64 frame = offset >> k_page_bits;
  const auto is_writable = [&](u32 number) {
    return page(number) >> k_frame_shift == frame && (page(number) & k_writable);
  };
  const u32 at = place(frame);
  if (at == 0) return;
  if (at != k_many) {
    if (is_writable(at - 1)) protect(at - 1);
    return;
  }
  std::vector<u32> found;
  for_each(0, k_page_count, [&](u32 number) {
    if (is_writable(number)) found.push_back(number);
  });
  for (const u32 number : found)
    if (!protect(number)) return;
}

bool Window::clear_host(u32 number, u32 count) {
  const std::size_t bytes = std::size_t{count} << k_page_bits;
  pieces_ += k_pieces_more;
  return pieces_ <= max_pieces_ && ::mmap(host(number), bytes, PROT_NONE, k_reserve | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/// Takes out everything; the host needs no room for that.
void Window::clear_host() {
  stale_.clear();
  void* const all = ::mmap(space_.data(), space_.size(), PROT_NONE, k_reserve | MAP_FIXED, -1, 0);
  AV_ASSERT(all != MAP_FAILED);
  pieces_ = 0;
}

Window::Settled Window::settle() {
  Settled done{.pages = static_cast<u32>(stale_.size())};
  if (done.pages == 0) return done;
  if (size_ == 0 && done.pages >= k_clear_all) {
    clear_host();
    done.calls = 1;
    return done;
  }
  std::sort(stale_.begin(), stale_.end());
  for (std::size_t k = 0; k < stale_.size();) {
    u32 count = 1;
    while (k + count < stale_.size() && stale_[k + count] == stale_[k] + count) ++count;
    ++done.calls;
    if (!clear_host(stale_[k], count)) {
      drop_all();
      clear_host();
      return done;
    }
    k += count;
  }
  stale_.clear();
  return done;
}

}  // namespace armvisor::mmu
