#include "engine/code/code_source.h"

#include <cstring>

#include "engine/guest_access.h"

namespace armvisor::engine {

u8 CodeSource::byte_now(u32 k) const {
  const u8* p = k < in_first_ ? first_ + k : second_ + (k - in_first_);
  return guest_load<u8>(reinterpret_cast<u64>(p));
}

void CodeSource::read() {
  u32 k = 0;
  if (!second_)
    for (; k + 2 <= count_; k += 2) {  // what an instruction is made of
      const u16 half = guest_load<u16>(reinterpret_cast<u64>(first_ + k));
      std::memcpy(bytes_ + k, &half, sizeof half);
    }
  for (; k < count_; ++k) bytes_[k] = byte_now(k);
}

bool CodeSource::unchanged(const Block& block) const {
  const u32 first = before_ - block.before;
  for (u32 k = first; k < first + block.bytes; ++k)
    if (bytes_[k] != byte_now(k)) return false;
  return true;
}

}  // namespace armvisor::engine
