#pragma once
// A zImage unpacked on the host, where that takes a part of the time that it takes the guest; and once for many
// starts, in the user's cache.
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/types.h"

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

/// Images in $XDG_CACHE_HOME/armvisor/kernels, or ~/.cache: one for each kernel file, by what tells its contents from
/// others (device, inode, size, times). Both folders have to be the user's own, and no links. Where nothing can be
/// kept nothing is, and that is no error.
class KernelCache {
 public:
  /// Images that are kept; the one that was made first goes.
  static constexpr std::size_t k_most = 8;

  /// For the kernel in this file. Without one: nothing is kept.
  static KernelCache for_file(int kernel);
  /// nothing: there is none of this size.
  std::optional<Fd> find(u64 size) const;
  void keep(std::span<const u8> image) const;

 private:
  Fd folder_;
  std::string name_;
};

}  // namespace armvisor::exec
