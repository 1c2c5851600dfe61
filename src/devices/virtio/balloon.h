#pragma once
// A virtio balloon (virtio 1.2 section 5.5), as QEMU's: the guest is asked to keep itself to a size, and gives pages
// for that; and it reports what it has free (5.5.6.6). Both are given back to the host. It answers at once, on the
// notifying thread.
//
// Statistics have a queue, since Linux counts on its place; nobody asks for them.
#include <array>
#include <atomic>
#include <functional>
#include <vector>

#include "devices/virtio/device.h"

namespace armvisor::devices::virtio {

struct BalloonOptions {
  bool free_page_reporting = false;
  bool deflate_on_oom = false;
  bool page_poison = true;  ///< the guest may say what it fills free pages with
  u32 pages = 0;            ///< of 4 KiB, that the guest is asked for from the start
};

class Balloon final : public Device {
 public:
  static constexpr u32 k_most_pages = 65536;  ///< of a request

  /// `changed` is told how many pages of 4 KiB the guest says that it has given, on the thread of a vCPU.
  Balloon(const BalloonOptions& options, std::function<void(u32)> changed);

  std::string_view name() const override { return "virtio-balloon"; }
  u32 id() const override { return 5; }
  u64 features() const override;
  std::span<const u16> queue_sizes() const override;
  u32 config_bytes() const override { return k_config_bytes; }
  void read_config(u32 offset, std::span<u8> out) override;
  void write_config(u32 offset, std::span<const u8> in) override;
  void activate(u64 negotiated) override;
  void reset() override {
    active_ = false;
    poison_ = 0;
  }
  void notify(u16 queue) override;

  /// (any thread) Asks the guest for so many pages.
  void ask_for(u32 pages);
  u32 given() const { return given_.load(); }  ///< (any thread) pages, as the guest says

 private:
  static constexpr u32 k_config_bytes = 16;
  std::optional<u32> inflate(const Chain& chain);
  std::optional<u32> report(const Chain& chain);
  std::optional<u32> deflate(const Chain& chain) const;
  /// Pages that have to hold something else than zeros when they come back are kept.
  bool may_discard() const { return !poisoned_ || poison_ == 0; }

  const BalloonOptions options_;
  const std::function<void(u32)> changed_;
  std::atomic<u32> wanted_, given_{0};
  u32 poison_ = 0;
  bool poisoned_ = false, active_ = false;
  Chain chain_;
  std::vector<u32> pages_;
};

}  // namespace armvisor::devices::virtio
