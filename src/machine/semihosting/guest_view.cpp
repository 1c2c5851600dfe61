#include "machine/semihosting/guest_view.h"

#include <algorithm>

namespace armvisor::machine::semihosting {
namespace {

/// How much of `size` bytes at `va` is in the first page.
std::size_t in_page(u32 va, std::size_t size) { return std::min<std::size_t>(size, k_page_size - (va & k_page_mask)); }

}  // namespace

bool GuestView::read(u32 va, std::span<u8> out) {
  while (!out.empty()) {
    const auto part = out.first(in_page(va, out.size()));
    const auto size = static_cast<u32>(part.size());
    const auto copy = [part](std::span<u8> there) { std::ranges::copy(there, part.begin()); };
    if (!memory_.access(va, size, arm::Access::Read, copy)) return false;
    out = out.subspan(size);
    va += size;
  }
  return true;
}

bool GuestView::write(u32 va, std::span<const u8> in) {
  while (!in.empty()) {
    const auto part = in.first(in_page(va, in.size()));
    const auto size = static_cast<u32>(part.size());
    const auto copy = [part](std::span<u8> there) { std::ranges::copy(part, there.begin()); };
    if (!memory_.access(va, size, arm::Access::Write, copy)) return false;
    in = in.subspan(size);
    va += size;
  }
  return true;
}

bool GuestView::may_write(u32 va) {
  return memory_.access(va, 1, arm::Access::Write, [](std::span<u8>) {});
}

bool GuestView::read_words(u32 va, std::span<u32> words) {
  return read(va, {reinterpret_cast<u8*>(words.data()), words.size_bytes()});
}

bool GuestView::write_word(u32 va, u32 word) { return write(va, {reinterpret_cast<const u8*>(&word), sizeof word}); }

std::optional<bool> GuestView::read_string(u32 va, std::string& text) {
  bool ended = false;
  const auto copy = [&](std::span<u8> there) {
    const std::string part(there.begin(), there.end());
    const std::size_t size = part.find('\0');
    ended = size != std::string::npos;
    text.append(part, 0, size);
  };
  if (!memory_.access(va, static_cast<u32>(in_page(va, k_page_size)), arm::Access::Read, copy)) return std::nullopt;
  return ended;
}

}  // namespace armvisor::machine::semihosting
