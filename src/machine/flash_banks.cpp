#include "machine/flash_banks.h"

#include "base/bits.h"
#include "machine/memory_map.h"

namespace armvisor::machine {
namespace {
constexpr GuestPa k_bases[] = {k_flash0_base, k_flash1_base};
}

Result<std::unique_ptr<FlashBanks>> FlashBanks::create(const std::string& firmware) {
  std::unique_ptr<FlashBanks> flash(new FlashBanks());
  for (u32 i = 0; i < flash->banks_.size(); ++i) {
    devices::CfiFlashConfig config;
    config.size = k_flash_size;
    if (i == 0) config.image = firmware;
    FlashBanks* self = flash.get();
    AV_TRY_ASSIGN(flash->banks_[i], devices::CfiFlash::create(config, [self, i] {
                    if (self->view_changed_) self->view_changed_(k_bases[i], k_flash_size);
                  }));
  }
  return flash;
}

const u8* FlashBanks::page(GuestPa pa) const {
  for (u32 i = 0; i < banks_.size(); ++i)
    if (pa.value - k_bases[i].value < k_flash_size)
      return banks_[i]->array_view(align_down<u64>(pa.value - k_bases[i].value, k_page_size));
  return nullptr;
}

void FlashBanks::reset(std::function<void(GuestPa, u64)> view_changed) {
  view_changed_ = nullptr;
  for (auto& bank : banks_) bank->reset();
  view_changed_ = std::move(view_changed);
}

}  // namespace armvisor::machine
