// Any bytes as a kernel file: each loader either refuses it or gives segments that make sense.
#include "input.h"
#include "machine/image.h"

using namespace armvisor;

namespace {

constexpr GuestPa k_base{0x40000000};
constexpr u64 k_size = 64u << 20;

void check(const Result<machine::Image>& image, bool inside_ram) {
  if (!image) {
    if (image.error().message.empty()) fuzz::fail("an error without a message");
    return;
  }
  for (const auto& s : image->segments) {
    const u64 size = std::max<u64>(s.memory_size, s.bytes.size());
    if (!inside_ram) continue;
    if (s.pa.value < k_base.value || size > k_size || s.pa.value - k_base.value > k_size - size)
      fuzz::fail("a segment outside RAM");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  const std::vector<u8> file(data, data + size);
  if (machine::is_zimage(file)) check(machine::load_zimage("input", file, k_base), false);
  if (machine::is_elf(file)) check(machine::load_elf("input", file, k_base, k_size), true);
  if (machine::is_uimage(file)) check(machine::load_uimage("input", file, k_base), false);
  return 0;
}
