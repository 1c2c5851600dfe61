#include "devices/virtio/rng.h"

#include <sys/random.h>

#include <algorithm>
#include <array>

namespace armvisor::devices::virtio {
namespace {
constexpr std::array<u16, 1> k_queue_sizes = {64};
// 5.4.6.1: a device may return less than asked for; this keeps a vCPU's notification short.
constexpr std::size_t k_max_bytes = 4096;
}  // namespace

std::span<const u16> Rng::queue_sizes() const { return k_queue_sizes; }

void Rng::notify(u16) {
  serve(
      0, chain_, [] { return true; }, [this](const Chain& chain) { return answer(chain); });
}

std::optional<u32> Rng::answer(const Chain& chain) {
  if (chain.writable_bytes == 0) return {};  // 5.4.6: all buffers are writable
  std::array<u8, k_max_bytes> bytes;
  const std::size_t want = std::min<u64>(chain.writable_bytes, bytes.size());
  const ssize_t got = getrandom(bytes.data(), want, 0);
  const std::size_t n = got > 0 ? static_cast<std::size_t>(got) : 0;
  if (n == 0) counters_.errors.add();
  chain.write(ram(), 0, std::span(bytes).first(n));
  counters_.bytes_to_guest.add(n);
  return static_cast<u32>(n);
}

}  // namespace armvisor::devices::virtio
