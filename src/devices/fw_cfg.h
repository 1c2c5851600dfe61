#pragma once
// QEMU's firmware configuration device (QEMU, docs/specs/fw_cfg): items of bytes that the host has for firmware, by
// number, and files, by name. The guest selects an item and reads on in it, by register or by DMA. It writes none.
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "devices/device.h"
#include "devices/device_tree.h"
#include "memory/guest_ram.h"

namespace armvisor::devices {

/// Items that have a number. Sizes and numbers are little-endian; addresses are for other boards than "virt".
enum class FwCfgKey : u16 {
  Signature = 0x00,
  Id = 0x01,
  Uuid = 0x02,
  NoGraphic = 0x04,  ///< 16 bits: 1: no window
  CpuCount = 0x05,   ///< 16 bits
  KernelSize = 0x08,
  InitrdSize = 0x0b,
  BootMenu = 0x0e,  ///< 16 bits: 1: firmware is to show one
  KernelData = 0x11,
  InitrdData = 0x12,
  CommandLineSize = 0x14,
  CommandLineData = 0x15,  ///< with its terminator, which the size counts
  FileDirectory = 0x19,
  FirstFile = 0x20,  ///< files have the numbers from here on, in the order of their names
};

/// What the device has. Signature, version and the directory of files are there by themselves.
class FwCfgItems {
 public:
  using Bytes = std::vector<u8>;
  static constexpr std::size_t k_most_files = 32;
  static constexpr std::size_t k_most_name = 55;  ///< bytes of a file's name

  FwCfgItems() : FwCfgItems({}, {}) {}
  /// `files`: at most k_most_files, with names of 1 to k_most_name bytes. Items are of less than 4 GiB.
  FwCfgItems(std::map<FwCfgKey, Bytes> items, std::map<std::string, Bytes> files);

  /// Of a selector; empty: there is no such item.
  std::span<const u8> find(u16 key) const;

 private:
  std::map<FwCfgKey, Bytes> items_;
};

/// A number as an item.
FwCfgItems::Bytes fw_cfg_number(u64 value, std::size_t bytes);

class FwCfg final : public MmioDevice {
 public:
  static constexpr u64 k_region_size = 0x18;
  FwCfg(std::shared_ptr<const FwCfgItems> items, GuestRam& ram) : items_(std::move(items)), ram_(ram) { select(0); }

  static void describe(TreeWriter& tree, const Site& site);

  std::string_view name() const override { return "fw-cfg"; }
  u64 mmio_read(u64 offset, u32 size) override;
  void mmio_write(u64 offset, u32 size, u64 value) override;

 private:
  void select(u16 key);
  void skip(u64 bytes);
  void transfer();
  bool obey(std::span<const u8> descriptor);
  bool read(GuestPa to, u32 length);

  const std::shared_ptr<const FwCfgItems> items_;
  GuestRam& ram_;
  std::span<const u8> left_;  ///< of the item that is selected
  u64 address_ = 0;           ///< of the next transfer's descriptor, as far as it was written
};

}  // namespace armvisor::devices
