#pragma once
// The board's two flash banks. They outlive a reset of the machine, as flash does.
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "devices/cfi_flash.h"

namespace armvisor::machine {

class FlashBanks {
 public:
  /// `firmware`: file that is the content of bank 0 from its start; empty: erased. Bank 1 is erased.
  static Result<std::unique_ptr<FlashBanks>> create(const std::string& firmware);

  devices::CfiFlash& bank(u32 index) { return *banks_[index]; }
  /// Host view of the page at `pa`, or null outside the banks and while the bank does not read as an array.
  const u8* page(GuestPa pa) const;

  /// Back to reading as an array. `view_changed` is told of each bank that changes its view from then on.
  void reset(std::function<void(GuestPa base, u64 size)> view_changed);

 private:
  FlashBanks() = default;
  std::array<std::unique_ptr<devices::CfiFlash>, 2> banks_;
  std::function<void(GuestPa, u64)> view_changed_;  ///< changed only while no vCPU runs
};

}  // namespace armvisor::machine
