// Commands that read and write blocks (SBC-3).
#include <algorithm>
#include <array>
#include <cstring>

#include "devices/scsi/opcodes.h"
#include "devices/scsi/unit.h"

namespace armvisor::devices::scsi {
namespace {

constexpr std::size_t k_fill_bytes = 64 * 1024;

/// `length` bytes of buffers, from their start.
void take(std::vector<iovec>& to, std::span<const iovec> from, u64 length) {
  to.clear();
  for (const iovec& v : from) {
    const u64 n = std::min<u64>(v.iov_len, length);
    if (n) to.push_back({v.iov_base, n});
    length -= n;
  }
}

}  // namespace

/// By the length of the command, which its group says (SPC-4 4.3.3).
Unit::Extent Unit::extent_of(const Cdb& cdb) {
  switch (cdb[0] >> 5) {
    case 0: return {get24(&cdb[1]) & 0x1f'ffff, cdb[4] ? u64{cdb[4]} : 256};
    case 4: return {get64(&cdb[2]), get32(&cdb[10])};
    case 5: return {get32(&cdb[2]), get32(&cdb[6])};
    default: return {get32(&cdb[2]), get16(&cdb[7])};
  }
}

Reply Unit::read_write(const Command& c) {
  const Extent e = extent_of(c.cdb);
  switch (c.cdb[0]) {
    case READ_6:
    case READ_10:
    case READ_12:
    case READ_16: return read(c, e);
    case WRITE_6:
    case WRITE_10:
    case WRITE_12:
    case WRITE_16:
    case WRITE_VERIFY_10:
    case WRITE_VERIFY_12:
    case WRITE_VERIFY_16: return write(c, e);
    case VERIFY_10:
    case VERIFY_12:
    case VERIFY_16: return verify(c, e);
    case SYNCHRONIZE_CACHE_10:
    case SYNCHRONIZE_CACHE_16: return synchronize(e);
    case WRITE_SAME_10:
    case WRITE_SAME_16: return write_same(c, e, bit(c.cdb[1], 3));
    default: return fail(k_invalid_opcode);
  }
}

/// As much as the buffers hold: a transport tells of what is missing.
Reply Unit::read(const Command& c, const Extent& e) {
  if (!in_range(e)) return fail(k_out_of_range);
  const u64 room = total(c.in), bytes = std::min(e.blocks * block_, room - room % block_);
  if (bytes == 0) return {};
  take(vectors_, c.in, bytes);
  if (const int error = disk_->read(vectors_, e.block * block_)) return failed("read", error);
  return {Status::Good, k_no_sense, bytes};
}

Reply Unit::write(const Command& c, const Extent& e) {
  if (disk_->read_only()) return fail(k_write_protected);
  if (!in_range(e)) return fail(k_out_of_range);
  const u64 bytes = std::min(e.blocks * block_, total(c.out));
  if (bytes % block_) return fail(k_invalid_field);
  if (bytes == 0) return {};
  take(vectors_, c.out, bytes);
  const bool verified = c.cdb[0] == WRITE_VERIFY_10 || c.cdb[0] == WRITE_VERIFY_12 || c.cdb[0] == WRITE_VERIFY_16;
  const bool through = verified || (c.cdb[0] != WRITE_6 && bit(c.cdb[1], 3));
  return after_write(disk_->write(vectors_, e.block * block_), through, bytes);
}

/// `through`: it has to be on the medium.
Reply Unit::after_write(int error, bool through, u64 moved) {
  if (error) return failed("write", error);
  if (through || !writeback())
    if (const int flushed = disk_->flush()) return failed("flush", flushed);
  return {Status::Good, k_no_sense, moved};
}

/// The host's medium is trusted; nothing is compared.
Reply Unit::verify(const Command& c, const Extent& e) {
  if (c.cdb[1] & 0x06) return fail(k_invalid_field);
  return in_range(e) ? Reply{} : fail(k_out_of_range);
}

Reply Unit::synchronize(const Extent& e) {
  if (!in_range({e.block, 0})) return fail(k_out_of_range);
  const int error = disk_->flush();
  return error ? failed("flush", error) : Reply{};
}

/// SBC-3 5.28: a list of ranges, all of them checked before the first takes effect.
Reply Unit::unmap(const Command& c) {
  if (options_.cd_rom) return fail(k_invalid_opcode);
  if (disk_->read_only()) return fail(k_write_protected);
  if (bit(c.cdb[1], 0)) return fail(k_invalid_field);  // anchored
  std::array<u8, 8 + 16 * k_max_unmap_ranges> data{};
  const u32 length = get16(&c.cdb[7]);
  const std::size_t size = gather(c.out, std::span(data).first(std::min<std::size_t>(length, data.size())));
  if (length == 0) return {};
  if (size < 8) return fail(k_invalid_parameters);
  const u32 listed = get16(&data[2]);
  if (listed % 16 || listed + 8 > size) return fail(k_invalid_parameters);
  u64 all = 0;
  for (u32 at = 8; at < 8 + listed; at += 16) {
    const Extent e{get64(&data[at]), get32(&data[at + 8])};
    all += e.blocks;
    if (!in_range(e)) return fail(k_out_of_range);
  }
  if (all > k_max_unmap_blocks) return fail(k_invalid_parameters);
  for (u32 at = 8; at < 8 + listed; at += 16) {
    const Extent e{get64(&data[at]), get32(&data[at + 8])};
    if (e.blocks == 0 || !options_.unmap) continue;
    if (const int error = disk_->discard(e.block * block_, e.blocks * block_)) return failed("discard", error);
  }
  return after_write(0, false, size);
}

/// SBC-3 5.43: one block for all of a range.
Reply Unit::write_same(const Command& c, const Extent& e, bool may_unmap) {
  if (options_.cd_rom) return fail(k_invalid_opcode);
  if (disk_->read_only()) return fail(k_write_protected);
  const bool no_data = c.cdb[0] == WRITE_SAME_16 && bit(c.cdb[1], 0);
  if (e.blocks == 0 || e.blocks > k_max_unmap_blocks || (c.cdb[1] & 0x06)) return fail(k_invalid_field);
  if (!in_range(e)) return fail(k_out_of_range);
  std::array<u8, k_disk_block> block{};
  if (!no_data && gather(c.out, block) != block.size()) return fail(k_invalid_field);
  const u64 moved = no_data ? 0 : block.size();
  if (std::ranges::any_of(block, [](u8 b) { return b != 0; })) return fill(c, e, block);
  const bool unmaps = may_unmap && options_.unmap;
  return after_write(disk_->write_zeroes(e.block * block_, e.blocks * block_, unmaps), false, moved);
}

Reply Unit::fill(const Command&, const Extent& e, std::span<const u8> block) {
  std::vector<u8> blocks(std::min<u64>(e.blocks * block_, k_fill_bytes));
  for (std::size_t at = 0; at < blocks.size(); at += block.size()) std::ranges::copy(block, &blocks[at]);
  for (u64 done = 0; done < e.blocks * block_; done += blocks.size()) {
    const u64 bytes = std::min<u64>(blocks.size(), e.blocks * block_ - done);
    vectors_.assign(1, {blocks.data(), bytes});
    if (const int error = disk_->write(vectors_, e.block * block_ + done)) return failed("write", error);
  }
  return after_write(0, false, block.size());
}

}  // namespace armvisor::devices::scsi
