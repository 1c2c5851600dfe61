#include "memory/discard.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/bits.h"

namespace armvisor {

u64 discard(GuestRam& ram, GuestPa pa, u64 size) {
  const u64 base = ram.base().value, top = base + ram.size(), page = k_page_size;
  const u64 limit = size > ~u64{0} - pa.value ? ~u64{0} : pa.value + size;
  const u64 from = pa.value > top ? top : std::max(base, align_up(pa.value, page));
  const u64 to = std::min(top, align_down(limit, page));
  if (to <= from) return 0;
  const auto offset = static_cast<off_t>(from - base), bytes = static_cast<off_t>(to - from);
  int result = 0;
  do {
    result = ::fallocate(ram.memfd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
  } while (result != 0 && errno == EINTR);
  // What an interrupted call took is gone, too, so marks are told of it whatever the end was.
  ram.mark_written(GuestPa(from), to - from);
  return result == 0 ? to - from : 0;
}

}  // namespace armvisor
