#pragma once
// Guest memory by virtual address, for who serves a call that a vCPU makes of the machine, on the vCPU's thread.
//
// The server is outside guest code, so that nobody waits for the vCPU while a call takes long. It may touch guest
// memory only inside access(), which is as one access of the vCPU: maintenance of translations waits for it
// (docs/engine/concurrency.md, P3).
#include <functional>
#include <span>

#include "arm/page_walk.h"
#include "base/types.h"

namespace armvisor::engine {

class CallMemory {
 public:
  using Touch = std::function<void(std::span<u8>)>;

  /// Calls `touch` with the `size` bytes at `va`, all in one page, found with the vCPU's registers and privilege.
  /// `access` is Read or Write; what is read may be ROM and must not be written. `touch` waits for nothing. False, and
  /// nothing is called: there is no translation, no permission, or a device.
  virtual bool access(u32 va, u32 size, arm::Access access, const Touch& touch) = 0;

 protected:
  ~CallMemory() = default;
};

}  // namespace armvisor::engine
