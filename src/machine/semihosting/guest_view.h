#pragma once
// Guest memory by virtual address, as a vCPU sees it at this moment: what a semihosting call's parameters point to.
//
// Whatever the guest names, an access is made in full or says that it cannot be: where there is no translation, no
// permission, or a device, which is not touched. What is read is a copy: another vCPU may write meanwhile.
#include <optional>
#include <span>
#include <string>

#include "engine/call_memory.h"

namespace armvisor::machine::semihosting {

class GuestView {
 public:
  explicit GuestView(engine::CallMemory& memory) : memory_(memory) {}

  /// False: not all of it could be read; what `out` holds then means nothing. Addresses wrap at 4 GiB.
  bool read(u32 va, std::span<u8> out);
  /// False: not all of it could be written; what lies before the first page that cannot be is.
  bool write(u32 va, std::span<const u8> in);
  bool may_write(u32 va);                         ///< the byte at `va`
  bool read_words(u32 va, std::span<u32> words);  ///< little-endian, as QEMU takes them
  bool write_word(u32 va, u32 word);
  /// Adds what is at `va` to `text`, up to a zero or the end of the page. Nothing: it cannot be read; true: there was
  /// a zero.
  std::optional<bool> read_string(u32 va, std::string& text);

 private:
  engine::CallMemory& memory_;
};

}  // namespace armvisor::machine::semihosting
