#include "devices/scsi/unit.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/log_once.h"
#include "devices/scsi/opcodes.h"

namespace armvisor::devices::scsi {
Unit::Unit(std::shared_ptr<DiskBackend> disk, UnitOptions options)
    : disk_(std::move(disk)), options_(std::move(options)), block_(options_.cd_rom ? k_cd_block : k_disk_block) {}

Reply Unit::answer(const Command& c, std::span<const u8> data, u64 allocation) {
  return {Status::Good, k_no_sense, scatter(c.in, data.first(std::min<u64>(data.size(), allocation)))};
}

/// An errno as the guest sees it; the user is told.
Reply Unit::failed(const char* what, int error) const {
  AV_LOG_ONCE(Warn, "disk %s: %s failed: %s; the guest sees an I/O error", std::string(disk_->path()).c_str(), what,
              std::strerror(error));
  return fail(error == ENOSPC ? k_no_room : k_io_error);
}

Reply Unit::execute(const Command& c) {
  switch (c.cdb[0]) {
    case TEST_UNIT_READY:
    case RESERVE_6:
    case RELEASE_6:
    case START_STOP_UNIT:
    case PREVENT_ALLOW_MEDIUM_REMOVAL:
    case SEEK_10: return {};
    case REQUEST_SENSE: return answer(c, sense_data(k_no_sense), c.cdb[4]);
    case INQUIRY: return inquiry(c);
    case MODE_SENSE_6: return mode_sense(c, false);
    case MODE_SENSE_10: return mode_sense(c, true);
    case MODE_SELECT_6: return mode_select(c, false);
    case MODE_SELECT_10: return mode_select(c, true);
    case READ_CAPACITY_10: return read_capacity_10(c);
    case SERVICE_ACTION_IN_16: return service_action_in(c);
    case UNMAP: return unmap(c);
    default: return options_.cd_rom && c.cdb[0] != READ_6 ? cd_rom(c) : read_write(c);
  }
}

// --- what it is

Reply Unit::execute_absent(const Command& c) {
  if (c.cdb[0] == REQUEST_SENSE) return answer(c, sense_data(k_no_such_unit), c.cdb[4]);
  if (c.cdb[0] != INQUIRY || bit(c.cdb[1], 0)) return fail(k_no_such_unit);
  std::array<u8, 36> data{};
  data[0] = 0x7f;
  data[2] = 5;
  data[3] = 0x12;
  data[4] = 31;
  return answer(c, data, get16(&c.cdb[3]));
}

Reply Unit::inquiry(const Command& c) {
  const u64 allocation = get16(&c.cdb[3]);
  if (!bit(c.cdb[1], 0)) {
    if (c.cdb[2]) return fail(k_invalid_field);
    return answer(c, standard_inquiry(), allocation);
  }
  Bytes data = {static_cast<u8>(options_.cd_rom ? 5 : 0), c.cdb[2], 0, 0};
  if (!vital_page(c.cdb[2], data)) return fail(k_invalid_field);
  put16(&data[2], static_cast<u32>(data.size()) - 4);
  return answer(c, data, allocation);
}

Unit::Bytes Unit::standard_inquiry() const {
  Bytes data(36, ' ');
  const auto text = [&data](std::size_t at, std::string_view value) {
    std::ranges::copy(value, data.begin() + static_cast<std::ptrdiff_t>(at));
  };
  data[0] = options_.cd_rom ? 5 : 0;
  data[1] = options_.cd_rom ? 0x80 : 0;  // the medium is removable
  data[2] = 5;                           // SPC-3
  data[3] = 0x12;                        // HiSup, and the format of this data
  data[4] = 31;                          // bytes that follow
  data[5] = data[6] = 0;
  data[7] = 0x02;  // commands may be queued
  text(8, "QEMU");
  text(16, options_.cd_rom ? "QEMU CD-ROM" : "QEMU HARDDISK");
  text(32, "2.5+");
  return data;
}

/// Vital product data (SPC-4 7.8): appends to the page's header. False: there is no such page.
bool Unit::vital_page(u8 page, Bytes& data) const {
  const auto append = [&data](const Bytes& more) { data.insert(data.end(), more.begin(), more.end()); };
  switch (page) {
    case 0x00:
      for (const u8 p : {0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2}) {
        Bytes there = {0, 0, 0, 0};
        if (p == 0 || vital_page(p, there)) data.push_back(p);
      }
      return true;
    case 0x80: append({options_.serial.begin(), options_.serial.end()}); return !options_.serial.empty();
    case 0x83: append(identification()); return true;
    case 0xb0:
      if (!options_.cd_rom) append(block_limits());
      return !options_.cd_rom;
    case 0xb1:
      if (!options_.cd_rom) append(Bytes(60, 0));  // nothing is known of a medium that turns
      return !options_.cd_rom;
    case 0xb2:
      // Unmapping by UNMAP and WRITE SAME, thin provisioning.
      if (!options_.cd_rom)
        append({0, static_cast<u8>(options_.unmap ? 0xe0 : 0), static_cast<u8>(options_.unmap ? 2 : 0), 0});
      return !options_.cd_rom;
    default: return false;
  }
}

/// One designator, in ASCII and of the vendor's choosing.
Unit::Bytes Unit::identification() const {
  const std::string_view id =
      std::string_view(options_.serial.empty() ? options_.name : options_.serial).substr(0, 251);
  if (id.empty()) return {};
  Bytes data = {2, 0, 0, static_cast<u8>(id.size())};
  data.insert(data.end(), id.begin(), id.end());
  return data;
}

Unit::Bytes Unit::block_limits() const {
  Bytes data(60, 0);
  const auto at = [&data](std::size_t page_offset) { return &data[page_offset - 4]; };
  data[0] = 1;                  // WRITE SAME of no length writes nothing
  put32(at(8), 0x10'0000);      // most blocks of a transfer
  if (options_.unmap) {
    put32(at(20), k_max_unmap_blocks);
    put32(at(24), k_max_unmap_ranges);
    put32(at(28), 4096 / block_);
  }
  put64(at(36), k_max_unmap_blocks);
  return data;
}

// --- modes (SPC-4 7.5)

/// Appends pages. False: there is no such page.
bool Unit::mode_pages(u8 page, Bytes& data) const {
  const auto all = [page](u8 which) { return page == which || page == 0x3f; };
  const auto add = [&data](u8 code, u8 length) {
    data.insert(data.end(), {code, length});
    data.resize(data.size() + length);
    return &data[data.size() - length];
  };
  const std::size_t before = data.size();
  if (all(0x01)) add(0x01, 10)[0] = 0x80;  // reads and writes are retried
  if (all(0x08)) add(0x08, 18)[0] = writeback() ? 0x04 : 0;
  if (all(0x2a) && options_.cd_rom) {
    u8* const p = add(0x2a, 20);
    p[0] = 0x3b;  // reads CD-R, CD-RW, DVD
    p[2] = 0x70;
    p[4] = 0x29;  // a tray
    put16(p + 6, 50 * 176);
    put16(p + 8, 2);
    put16(p + 10, 2048);
    put16(p + 12, 16 * 176);
  }
  return data.size() > before || page == 0x3f;
}

Reply Unit::mode_sense(const Command& c, bool ten) {
  const u8 page = c.cdb[2] & 0x3f, control = c.cdb[2] >> 6;
  const u64 allocation = ten ? get16(&c.cdb[7]) : c.cdb[4];
  if (control == 3 || (c.cdb[3] != 0 && c.cdb[3] != 0xff))
    return fail(k_invalid_field);  // no saved values, no subpages
  Bytes data(ten ? 8 : 4, 0);
  const u8 device = static_cast<u8>((disk_->read_only() ? 0x80 : 0) | (options_.cd_rom ? 0 : 0x10));  // FUA is known
  data[ten ? 3 : 2] = options_.cd_rom ? 0 : device;
  if (!options_.cd_rom && !bit(c.cdb[1], 3)) {  // a block descriptor
    data[ten ? 7 : 3] = 8;
    u8 descriptor[8] = {};
    put32(descriptor, static_cast<u32>(std::min<u64>(blocks(), 0xff'ffff)));
    put32(descriptor + 4, block_);
    data.insert(data.end(), std::begin(descriptor), std::end(descriptor));
  }
  const std::size_t pages = data.size();
  if (!mode_pages(page, data)) return fail(k_invalid_field);
  if (control == 1)  // which bits may be changed: the write cache
    for (std::size_t at = pages; at < data.size(); at += 2u + data[at + 1]) {
      std::fill_n(&data[at + 2], data[at + 1], u8{0});
      if (data[at] == 0x08 && !options_.write_through) data[at + 2] = 0x04;
    }
  if (ten)
    put16(&data[0], static_cast<u32>(data.size()) - 2);
  else
    data[0] = static_cast<u8>(data.size() - 1);
  return answer(c, data, allocation);
}

/// Of what may be set, the write cache is heeded.
Reply Unit::mode_select(const Command& c, bool ten) {
  std::array<u8, 256> data{};
  const std::size_t length = ten ? get16(&c.cdb[7]) : c.cdb[4];
  if (bit(c.cdb[1], 0)) return fail(k_invalid_field);  // nothing is saved
  const std::size_t size = gather(c.out, std::span(data).first(std::min(length, data.size())));
  const std::size_t header = ten ? 8 : 4;
  if (size < header) return size == 0 ? Reply{} : fail(k_invalid_parameters);
  std::size_t at = header + (ten ? get16(&data[6]) : data[3]);
  for (; at + 2 <= size; at += 2u + data[at + 1]) {
    if (at + 2 + data[at + 1] > size) return fail(k_invalid_parameters);
    if ((data[at] & 0x3f) != 0x08 || data[at + 1] < 1) continue;
    const bool cached = writeback();
    write_cache_ = bit(data[at + 2], 2);
    if (cached && !writeback())
      if (const int error = disk_->flush()) return failed("flush", error);
  }
  return {Status::Good, k_no_sense, size};
}

// --- size

Reply Unit::read_capacity_10(const Command& c) {
  u8 data[8];
  put32(data, static_cast<u32>(std::min<u64>(last_block(), 0xffff'ffff)));
  put32(data + 4, block_);
  return answer(c, data, sizeof data);
}

Reply Unit::service_action_in(const Command& c) {
  if ((c.cdb[1] & 0x1f) != k_read_capacity_16) return fail(k_invalid_field);
  u8 data[32] = {};
  put64(data, last_block());
  put32(data + 8, block_);
  if (!options_.cd_rom && options_.unmap) data[14] = 0x80;
  return answer(c, data, get32(&c.cdb[10]));
}

}  // namespace armvisor::devices::scsi
