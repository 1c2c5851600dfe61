// Any bytes as files of a system that is somebody else's: a kernel, a packed module, the list of modules.
#include <algorithm>
#include <string>
#include <vector>

#include "exec/kernel_image.h"
#include "exec/modules.h"
#include "exec/unpack.h"
#include "input.h"

using namespace armvisor;

namespace {

constexpr u64 k_most = 1 << 20;

void kernel(std::span<const u8> bytes) {
  auto packed = exec::packed_kernel(bytes);
  if (!packed) return;
  packed->size = std::min(packed->size, k_most);
  const auto image = exec::unpack_kernel(bytes, *packed);
  if (image && image->size() != packed->size) fuzz::fail("a kernel of another size than it says");
}

void module(std::span<const u8> bytes) {
  const auto unpacked = exec::unpack("module", {bytes.begin(), bytes.end()}, k_most);
  if (unpacked && unpacked->size() > std::max<u64>(bytes.size(), k_most)) fuzz::fail("more than was allowed");
}

void list(std::span<const u8> bytes) {
  const std::string text(bytes.begin(), bytes.end());
  const exec::ModuleList list(text, "kernel/built/in.ko\n");
  std::vector<std::string> order;
  for (const char* name : {"9p", "overlay", "in", ""}) (void)list.add(name, order);
  if (order.size() > exec::ModuleList::k_most + 1) fuzz::fail("more modules than there may be");
  std::ranges::sort(order);
  if (std::ranges::adjacent_find(order) != order.end()) fuzz::fail("a module that is loaded twice");
}

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input input(data, size);
  switch (input.get<u8>() % 3) {
    case 0: kernel(input.rest()); break;
    case 1: module(input.rest()); break;
    default: list(input.rest()); break;
  }
  return 0;
}
