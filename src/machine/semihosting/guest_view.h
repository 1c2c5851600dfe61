#pragma once
// Guest memory by virtual address, as a vCPU sees it at this moment: what a semihosting call's parameters point to.
//
// Each page is walked anew with the vCPU's registers and its privilege. Whatever the guest names, an access is made in
// full or says that it cannot be: where there is no translation, no permission, or a device, which is not touched.
#include <optional>
#include <span>
#include <string>

#include "arm/cpu_state.h"
#include "arm/page_walk.h"
#include "machine/flash_banks.h"
#include "memory/guest_ram.h"

namespace armvisor::machine::semihosting {

class GuestView final : private arm::WalkMemory {
 public:
  /// Code and constants may be in flash.
  GuestView(const arm::CpuState& state, GuestRam& ram, const FlashBanks* flash)
      : state_(state), ram_(ram), flash_(flash) {}

  /// False: not all of it could be read; what `out` holds then means nothing. Addresses wrap at 4 GiB.
  bool read(u32 va, std::span<u8> out);
  /// False: not all of it could be written; what lies before the first page that cannot be is.
  bool write(u32 va, std::span<const u8> in);
  bool may_write(u32 va);                         ///< the byte at `va`
  bool read_words(u32 va, std::span<u32> words);  ///< little-endian, as QEMU takes them
  bool write_word(u32 va, u32 word);
  /// What is at `va` up to the end of its page, or to `most`; empty: it cannot be read.
  std::span<const u8> rest_of_page(u32 va, u64 most);

 private:
  std::optional<GuestPa> find(u32 va, arm::Access access);
  bool read32(GuestPa pa, u32& value) override;
  bool read64(GuestPa pa, u64& value) override;

  const arm::CpuState& state_;
  GuestRam& ram_;
  const FlashBanks* const flash_;
};

}  // namespace armvisor::machine::semihosting
