#include "machine/semihosting/guest_view.h"

#include <algorithm>
#include <cstring>

namespace armvisor::machine::semihosting {

std::optional<GuestPa> GuestView::find(u32 va, arm::Access access) {
  arm::Translation found;
  if (arm::translate(state_, *this, va, access, state_.privileged(), found)) return std::nullopt;
  return found.pa;
}

std::span<const u8> GuestView::rest_of_page(u32 va, u64 most) {
  const auto pa = find(va, arm::Access::Read);
  if (!pa) return {};
  const u32 offset = va & k_page_mask;
  const auto size = static_cast<std::size_t>(std::min<u64>(most, k_page_size - offset));
  if (ram_.contains(*pa, size)) return {ram_.host(*pa), size};
  const u8* const page = flash_ ? flash_->page(GuestPa(pa->value & ~u64{k_page_mask})) : nullptr;
  return page ? std::span<const u8>(page + offset, size) : std::span<const u8>();
}

bool GuestView::read(u32 va, std::span<u8> out) {
  while (!out.empty()) {
    const std::span<const u8> there = rest_of_page(va, out.size());
    if (there.empty()) return false;
    std::ranges::copy(there, out.begin());
    out = out.subspan(there.size());
    va += static_cast<u32>(there.size());
  }
  return true;
}

bool GuestView::write(u32 va, std::span<const u8> in) {
  while (!in.empty()) {
    const auto pa = find(va, arm::Access::Write);
    const std::size_t size = std::min<std::size_t>(in.size(), k_page_size - (va & k_page_mask));
    if (!pa || !ram_.write(*pa, in.first(size))) return false;
    in = in.subspan(size);
    va += static_cast<u32>(size);
  }
  return true;
}

bool GuestView::may_write(u32 va) {
  const auto pa = find(va, arm::Access::Write);
  return pa && ram_.contains(*pa);
}

bool GuestView::read_words(u32 va, std::span<u32> words) {
  return read(va, {reinterpret_cast<u8*>(words.data()), words.size_bytes()});
}

bool GuestView::write_word(u32 va, u32 word) { return write(va, {reinterpret_cast<const u8*>(&word), sizeof word}); }

bool GuestView::read32(GuestPa pa, u32& value) { return ram_.read(pa, {reinterpret_cast<u8*>(&value), sizeof value}); }

bool GuestView::read64(GuestPa pa, u64& value) { return ram_.read(pa, {reinterpret_cast<u8*>(&value), sizeof value}); }

}  // namespace armvisor::machine::semihosting
