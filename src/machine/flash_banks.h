#pragma once
// The board's flash banks. They outlive a reset of the machine, as flash does.
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "devices/cfi_flash.h"
#include "machine/board.h"
#include "machine/device_spec.h"

namespace armvisor::machine {

class FlashBanks {
 public:
  static constexpr std::size_t k_all_erased = ~std::size_t{0};
  /// `firmware`: file that is the content of the first bank from its start, and keeps nothing of what is written;
  /// empty: none. `files` are those of the banks, each locked, and kept up to date unless it is read-only or a
  /// snapshot. What neither fills is erased or, in banks from `first_blank` on, zeros.
  static Result<std::unique_ptr<FlashBanks>> create(const Board& board, const std::string& firmware,
                                                    std::span<const FlashSpec> files = {},
                                                    std::size_t first_blank = k_all_erased);

  devices::CfiFlash& bank(std::size_t index) { return *banks_[index].flash; }
  /// Host view of the page at `pa`, or null outside the banks and while the bank does not read as an array.
  const u8* page(GuestPa pa) const;

  /// Back to reading as an array. `view_changed` is told of each bank that changes its view from then on.
  void reset(std::function<void(GuestPa base, u64 size)> view_changed);

 private:
  struct Bank {
    devices::Region region;
    std::unique_ptr<devices::CfiFlash> flash;
  };
  FlashBanks() = default;
  std::vector<Bank> banks_;
  std::function<void(GuestPa, u64)> view_changed_;  ///< changed only while no vCPU runs
};

}  // namespace armvisor::machine
