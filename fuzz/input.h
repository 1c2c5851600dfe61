#pragma once
// What a fuzz target reads its choices from: numbers off the front of the input, zeros once it is used up.
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <type_traits>

#include "base/types.h"

namespace armvisor::fuzz {

class Input {
 public:
  Input(const u8* data, std::size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  template <class T>
  T get() {
    static_assert(std::is_trivially_copyable_v<T>);
    T v{};
    const auto b = bytes(sizeof v);
    if (!b.empty()) std::memcpy(&v, b.data(), b.size());
    return v;
  }
  /// Up to `n` bytes.
  std::span<const u8> bytes(std::size_t n) {
    const auto r = rest_.first(std::min(n, rest_.size()));
    rest_ = rest_.subspan(r.size());
    return r;
  }
  std::span<const u8> rest() { return bytes(rest_.size()); }

 private:
  std::span<const u8> rest_;
};

/// A property of our own that an input broke.
[[noreturn]] inline void fail(const char* what, const char* detail = "") {
  std::fprintf(stderr, "fuzz: %s\n%s\n", what, detail);
  std::abort();
}

}  // namespace armvisor::fuzz

extern "C" int LLVMFuzzerTestOneInput(const armvisor::u8* data, std::size_t size);
