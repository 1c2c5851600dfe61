#include "machine/flash_banks.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "base/bits.h"
#include "devices/backends/image_format.h"

namespace armvisor::machine {
namespace {

/// Images of other formats need a server, for which a vCPU that writes would wait. A file that cannot be opened passes:
/// who opens it says why.
Status check_raw(const FlashSpec& spec) {
  if (spec.format == "raw") return {};
  const Fd fd(::open(spec.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<u8, devices::k_format_bytes> head{};
  const ssize_t n = fd ? ::pread(fd.get(), head.data(), head.size(), 0) : 0;
  const auto found =
      devices::format_of_content(std::span(head).first(static_cast<std::size_t>(std::max<ssize_t>(n, 0))));
  if (found == "raw") return {};
  return Error{ErrorKind::BadInput, "flash image " + spec.path + ": expected a raw image, found one of format " +
                                        std::string(found) + "; convert it (qemu-img convert -O raw)"};
}

Result<std::unique_ptr<devices::DiskBackend>> open_file(const FlashSpec& spec) {
  AV_TRY(check_raw(spec));
  devices::DiskSource source = spec;
  if (source.format != "auto") source.format = "raw";
  if (spec.or_read_only && !spec.snapshot && ::access(spec.path.c_str(), W_OK) != 0) source.read_only = true;
  return devices::open_disk(source, nullptr);
}

}  // namespace

Result<std::unique_ptr<FlashBanks>> FlashBanks::create(const Board& board, const std::string& firmware,
                                                       std::span<const FlashSpec> files, std::size_t first_blank) {
  std::unique_ptr<FlashBanks> flash(new FlashBanks());
  const Placement* const placement = board.find(DeviceKind::Flash);
  if (!placement) return flash;
  for (const devices::Region& region : placement->first.used()) {
    devices::CfiFlashConfig config;
    config.size = region.size;
    const std::size_t number = flash->banks_.size();
    config.blank = number >= first_blank;
    if (number == 0) config.image = firmware;
    if (number < files.size() && !files[number].path.empty()) {
      AV_TRY_ASSIGN(config.disk, open_file(files[number]));
      config.flush_each = devices::writes_through(files[number].cache);
    }
    const auto changed = [self = flash.get(), region] {
      if (self->view_changed_) self->view_changed_(region.base, region.size);
    };
    AV_TRY_ASSIGN(auto bank, devices::CfiFlash::create(std::move(config), changed));
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
