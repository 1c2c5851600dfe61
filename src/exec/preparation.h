#pragma once
// All that the host finds out before there is a machine: what the system is (unpacked, if it is packed), its kernel,
// and what the guest starts with. The system may be anybody's, so this is done in a process of its own (confined.h).
#include <functional>
#include <string>
#include <vector>

#include "exec/confined.h"
#include "exec/initramfs.h"
#include "exec/kernel.h"
#include "exec/system.h"

namespace armvisor::exec {

struct Preparation {
  System system{};             ///< without its files, which nobody looks at any more, and its file systems
  Kernel kernel{};             ///< without modules
  std::string fetched_from{};  ///< where the kernel is, if it was fetched (fetch_kernel.h)
  std::vector<u8> initramfs{};
};

/// `setup`: what the guest has beside its system. `check` may refuse the system as soon as it is known what it is.
Result<Preparation> prepare(const SystemOptions& system, const KernelOptions& kernel, const GuestSetup& setup,
                            Patience& patience, const std::function<Status(const System&)>& check);

}  // namespace armvisor::exec
