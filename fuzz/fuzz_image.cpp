// Any bytes as a kernel file: either refused with a message, or segments that lie in RAM.
#include <sys/mman.h>

#include <string>

#include "base/fd.h"
#include "input.h"
#include "machine/image.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  constexpr GuestPa base{0x40000000};
  constexpr u64 ram_size = 64u << 20;
  const Fd file(memfd_create("kernel", MFD_CLOEXEC));
  if (!file || write(file.get(), data, size) != static_cast<ssize_t>(size)) return 0;
  const auto image = machine::load_image({"/proc/self/fd/" + std::to_string(file.get()), {}}, {base, ram_size});
  if (!image) {
    if (image.error().message.empty()) fuzz::fail("an error without a message");
    return 0;
  }
  for (const auto& s : image->segments) {
    const u64 n = std::max<u64>(s.memory_size, s.bytes.size());
    if (s.pa.value < base.value || n > ram_size || s.pa.value - base.value > ram_size - n)
      fuzz::fail("a segment outside RAM");
  }
  return 0;
}
