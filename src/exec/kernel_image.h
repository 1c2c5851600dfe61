#pragma once
// A zImage unpacked on the host, where that takes a part of the time that it takes the guest; and once for many
// starts, in the user's cache.
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/types.h"
#include "exec/cache_folder.h"

namespace armvisor::exec {

/// What a zImage says of what is packed in it (Linux arch/arm/boot/compressed/head.S and vmlinux.lds.S, since 4.18).
struct PackedKernel {
  u64 size;         ///< unpacked, bytes
  u64 text_offset;  ///< where it goes, from the start of RAM (of a multiple of 128 MiB)
};
/// nothing: it is none, or says nothing.
std::optional<PackedKernel> packed_kernel(std::span<const u8> zimage);
/// nothing: it is packed in a way that is not known here, or broken.
std::optional<std::vector<u8>> unpack_kernel(std::span<const u8> zimage, const PackedKernel& packed);

/// Images in the user's cache (cache_folder.h, "kernels"), by the digests of the zImages that they were packed in: what
/// a file system says of its files is its author's word, and tells none of them from another.
class KernelCache {
 public:
  static constexpr std::size_t k_most = 8;  ///< images that are kept

  explicit KernelCache(std::span<const u8> zimage);
  /// nothing: there is none of this size.
  std::optional<Fd> find(u64 size) const;
  void keep(std::span<const u8> image) const;

 private:
  CacheFolder folder_;
  std::string name_;
};

}  // namespace armvisor::exec
