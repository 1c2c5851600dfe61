#pragma once
// Memory of the host that a device shows its guest: a file, whose content other programs see as it is written, or
// memory of this process. A file that others make shorter while it is in use ends the process (SIGBUS), as it does
// QEMU: whoever may write it owns the machine's fate.
#include <memory>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor::devices {

struct SharedMemoryOptions {
  std::string option;      ///< for messages
  std::string path;        ///< of a file, or of a folder that one without a name is made in; empty: no file
  u64 size = 0;            ///< in bytes; a file that is not there, or empty, is made so large
  bool shared = false;     ///< others see what is written, and the file keeps it
  bool read_only = false;  ///< nothing is written
};

class SharedMemory {
 public:
  static Result<std::shared_ptr<SharedMemory>> open(const SharedMemoryOptions& options);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  std::span<u8> bytes() const { return bytes_; }
  bool read_only() const { return read_only_; }

 private:
  SharedMemory(std::span<u8> bytes, bool read_only) : bytes_(bytes), read_only_(read_only) {}
  const std::span<u8> bytes_;
  const bool read_only_;
};

}  // namespace armvisor::devices
