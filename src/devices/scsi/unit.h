#pragma once
// A SCSI logical unit over a DiskBackend: a disk (SBC-3) or a CD-ROM with its medium in it (MMC-6). It tells of itself
// what QEMU's say, which is where names of disks in guests come from. Called by one thread at a time; results of the
// backend become sense data.
#include <memory>
#include <string>
#include <vector>

#include "devices/backends/disk.h"
#include "devices/scsi/command.h"

namespace armvisor::devices::scsi {

struct UnitOptions {
  bool cd_rom = false;
  std::string serial{};        ///< empty: it has none
  std::string name{};          ///< its identification if it has no serial; empty: none
  bool write_through = false;  ///< each write is flushed, and there is no cache
  bool unmap = true;           ///< what is unmapped need not stay allocated, and the guest is told so
};

class Unit {
 public:
  static constexpr u32 k_disk_block = 512, k_cd_block = 2048;
  /// Of one command that unmaps or fills: in all 1 GiB, so that it does not hold up the others for long.
  static constexpr u32 k_max_unmap_ranges = 32, k_max_unmap_blocks = 1u << 21;

  Unit(std::shared_ptr<DiskBackend> disk, UnitOptions options);

  Reply execute(const Command& command);
  /// What INQUIRY says where there is no unit (SPC-4 6.6.2: qualifier 3). All else is k_no_such_unit.
  static Reply execute_absent(const Command& command);
  /// At the end of the machine.
  void flush() { (void)disk_->flush(); }

 private:
  /// Where a command's transfer is on the disk.
  struct Extent {
    u64 block = 0;
    u64 blocks = 0;
  };
  using Bytes = std::vector<u8>;

  Reply inquiry(const Command& c);
  Bytes standard_inquiry() const;
  bool vital_page(u8 page, Bytes& data) const;
  Bytes identification() const;
  Bytes block_limits() const;
  Reply mode_sense(const Command& c, bool ten);
  bool mode_pages(u8 page, Bytes& data) const;
  Reply mode_select(const Command& c, bool ten);
  Reply read_capacity_10(const Command& c);
  Reply service_action_in(const Command& c);
  Reply read(const Command& c, const Extent& e);
  Reply write(const Command& c, const Extent& e);
  Reply verify(const Command& c, const Extent& e);
  Reply synchronize(const Extent& e);
  Reply unmap(const Command& c);
  Reply write_same(const Command& c, const Extent& e, bool may_unmap);
  Reply fill(const Command& c, const Extent& e, std::span<const u8> block);
  Reply read_write(const Command& c);
  Reply cd_rom(const Command& c);
  Reply read_toc(const Command& c);
  Reply get_configuration(const Command& c);
  Reply get_event_status(const Command& c);
  Reply read_disc_information(const Command& c);

  static Extent extent_of(const Cdb& cdb);
  bool in_range(const Extent& e) const { return e.blocks <= blocks() && e.block <= blocks() - e.blocks; }
  u64 blocks() const { return disk_->size() / block_; }
  u64 last_block() const { return blocks() ? blocks() - 1 : 0; }
  bool writeback() const { return !options_.write_through && write_cache_; }
  Reply after_write(int error, bool force_unit_access, u64 moved);
  Reply failed(const char* what, int error) const;
  static Reply fail(const Sense& sense) { return {Status::CheckCondition, sense, 0}; }
  /// An answer cut to what the command asks for, "allocation length".
  static Reply answer(const Command& c, std::span<const u8> data, u64 allocation);

  const std::shared_ptr<DiskBackend> disk_;
  const UnitOptions options_;
  const u32 block_;  ///< bytes
  bool write_cache_ = true;
  std::vector<iovec> vectors_;  ///< of the transfer at hand
};

}  // namespace armvisor::devices::scsi
