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
  Fd file;                              ///< whose path() is read
  std::optional<ModuleFolder> modules;  ///< nothing: all that is needed has to be built in
  std::string path() const { return "/proc/self/fd/" + std::to_string(file.get()); }
};

Result<Kernel> find_kernel(const KernelOptions& options, const Folder& system);

}  // namespace armvisor::exec
