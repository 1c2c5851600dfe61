#pragma once
// Which kernel a system runs with, and where its modules are.
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "exec/folder.h"
#include "exec/modules.h"

namespace armvisor::exec {

struct KernelOptions {
  std::string kernel;   ///< a zImage; empty: the system's own, the newest that it has modules for
  std::string modules;  ///< a folder as /lib/modules/VERSION; empty: found by the kernel's version
};

struct Kernel {
  Fd file{};
  std::optional<u64> text_offset{};       ///< of an unpacked image: where it goes, from the start of RAM
  std::optional<ModuleFolder> modules{};  ///< nothing: all that is needed has to be built in
  bool fetched = false;                   ///< it is the cache's (fetch_kernel.h)
  /// As BootConfig::kernel has it.
  std::string argument(u64 ram) const;
};

/// `system`: null if its files cannot be seen; `path` is for messages.
Result<Kernel> find_kernel(const KernelOptions& options, const Folder* system, const std::string& path);
/// Has the image of a zImage in its place, if it can be unpacked here (kernel_image.h).
Status use_image(Kernel& kernel);

}  // namespace armvisor::exec
