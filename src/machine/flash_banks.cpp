#include "machine/flash_banks.h"

#include "base/bits.h"

namespace armvisor::machine {

Result<std::unique_ptr<FlashBanks>> FlashBanks::create(const Board& board, const std::string& firmware, bool blank) {
  std::unique_ptr<FlashBanks> flash(new FlashBanks());
  const Placement* const placement = board.find(DeviceKind::Flash);
  if (!placement) return flash;
  for (const devices::Region& region : placement->first.used()) {
    devices::CfiFlashConfig config;
    config.size = region.size;
    config.blank = blank;
    if (flash->banks_.empty()) config.image = firmware;
    const auto changed = [self = flash.get(), region] {
      if (self->view_changed_) self->view_changed_(region.base, region.size);
    };
    AV_TRY_ASSIGN(auto bank, devices::CfiFlash::create(config, changed));
    flash->banks_.push_back({region, std::move(bank)});
  }
  return flash;
}

const u8* FlashBanks::page(GuestPa pa) const {
  for (const Bank& bank : banks_) {
    const u64 offset = pa.value - bank.region.base.value;
    if (offset < bank.region.size) return bank.flash->array_view(align_down<u64>(offset, k_page_size));
  }
  return nullptr;
}

void FlashBanks::reset(std::function<void(GuestPa, u64)> view_changed) {
  view_changed_ = nullptr;
  for (Bank& bank : banks_) bank.flash->reset();
  view_changed_ = std::move(view_changed);
}

}  // namespace armvisor::machine
