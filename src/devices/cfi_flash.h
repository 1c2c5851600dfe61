#pragma once
// A bank of NOR flash: two 16-bit chips side by side on a 32-bit bus, Intel command set (CFI 0x0001), 256 KiB blocks.
// The same geometry as in QEMU's -M virt, so that its firmware images and device tree fit.
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "devices/backends/disk.h"
#include "devices/device.h"
#include "devices/device_tree.h"

namespace armvisor::devices {

struct CfiFlashConfig {
  u64 size = u64{64} << 20;
  std::string image{};     ///< file that is the content from offset 0; empty: an erased bank
  bool read_only = false;  ///< programming and erasing fail
  bool blank = false;      ///< what the image leaves is zeros, as QEMU has it, and not erased
  /// The content, of `size` bytes, in place of an image. Programming and erasing write to it, unless it is read-only;
  /// what it fails to take they report to the guest. null: what the guest writes is lost at the end.
  std::unique_ptr<DiskBackend> disk{};
  bool flush_each = false;  ///< what is written is on stable storage before the guest sees it done
};

class CfiFlash final : public MmioDevice {
 public:
  static constexpr u32 k_block_size = 256 << 10;

  /// `view_changed` is called, on the accessing thread, when the bank enters or leaves read-array mode.
  static Result<std::unique_ptr<CfiFlash>> create(CfiFlashConfig config, std::function<void()> view_changed);

  /// (any thread) Host memory of the byte at `offset` while the bank reads as an array, else null. Contents change only
  /// between a leave and the next enter of read-array mode.
  const u8* array_view(u64 offset) const {
    return read_array_.load(std::memory_order_acquire) && offset < memory_.size() ? memory_.data() + offset : nullptr;
  }
  u64 size() const { return memory_.size(); }

  /// A region for each bank.
  static void describe(TreeWriter& tree, const Site& site);

  std::string_view name() const override { return "cfi-flash"; }
  u64 mmio_read(u64 offset, u32 size) override;
  void mmio_write(u64 offset, u32 size, u64 value) override;
  void reset();

 private:
  enum class ReadMode : u8 { Array, Status, Identifier, Query };
  enum class Expect : u8 { Command, ProgramData, EraseConfirm, BufferCount, BufferData, BufferConfirm, LockCommand };

  CfiFlash(Mapping memory, CfiFlashConfig config, std::function<void()> view_changed);
  void set_mode(ReadMode mode);
  void command(u64 offset, u8 code);
  void finish(u32 errors);
  void abandon(u8 code);
  u32 program(u64 offset, u32 size, u64 value);
  bool save(u64 offset, u64 size);
  void erase(u8 code);
  void lock(u8 code);
  void start_buffer(u32 count);
  void buffer_data(u64 offset, u32 size, u64 value);
  void commit_buffer(u8 code);
  u32 write_errors(u64 offset) const;
  u32 chip_word(u64 offset) const;
  u16 identifier(u64 offset) const;

  struct Write {
    u64 offset;
    u32 size;
    u64 value;
  };

  Mapping memory_;
  const std::unique_ptr<DiskBackend> disk_;
  const bool flush_each_;
  const bool read_only_;
  const std::function<void()> view_changed_;
  std::atomic<bool> read_array_{true};
  ReadMode mode_ = ReadMode::Array;
  Expect expect_ = Expect::Command;
  u8 status_ = 0x80;
  u64 block_ = 0;  ///< of the command whose sequence goes on
  u32 buffer_left_ = 0;
  std::vector<Write> buffer_;
  std::vector<bool> locked_;  ///< by block
};

}  // namespace armvisor::devices
