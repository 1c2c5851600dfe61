#include "devices/cfi_flash.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/bits.h"
#include "base/host_error.h"
#include "base/log_once.h"
#include "base/write_all.h"
#include "devices/cfi_query.h"

namespace armvisor::devices {
namespace {

constexpr u32 k_chips = 2, k_bus_bytes = 4;
constexpr u64 k_sector = 512;  ///< what disks are written by
constexpr u16 k_manufacturer = 0x0089, k_device = 0x0018;
// Status register (one chip).
constexpr u8 k_sr_ready = 0x80, k_sr_erase_error = 0x20, k_sr_program_error = 0x10, k_sr_locked = 0x02;
constexpr u32 k_sequence_error = k_sr_erase_error | k_sr_program_error;

// Codes that have a meaning in later cycles of a command too.
constexpr u8 k_confirm = 0xd0, k_read_array = 0xff;

/// Both chips see the same command, so both say the same.
constexpr u32 both_chips(u16 v) { return v | u32{v} << 16; }

Error failed(const char* what) {
  return host_error(std::string("flash: expected ") + what, errno, "end other programs");
}

/// Zeros, which cost no memory until they are written.
Result<Mapping> map_blank(u64 size) {
  void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return failed("addresses for it");
  return Mapping(base, size);
}

/// Erased flash (all ones) that costs no memory until it is written: one chunk, mapped privately again and again.
Result<Mapping> map_erased(u64 size) {
  constexpr u64 k_chunk = u64{4} << 20;
  Fd fd(memfd_create("erased-flash", MFD_CLOEXEC));
  if (!fd) return failed("a memory file");
  if (!write_all(fd.get(), std::vector<u8>(k_chunk, 0xff))) return failed("to fill its memory");
  void* base = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return failed("addresses for it");
  Mapping mapping(base, size);
  for (u64 at = 0; at < size; at += k_chunk) {
    const u64 n = std::min(k_chunk, size - at);
    if (mmap(mapping.data() + at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd.get(), 0) == MAP_FAILED)
      return failed("to map its memory");
  }
  return mapping;
}

/// Lays the image file over the start of `mapping`.
Status map_image(const CfiFlashConfig& config, Mapping& mapping) {
  const std::string expected = "flash image " + config.image + ": expected ";
  // (A FIFO would be waited for without O_NONBLOCK.)
  Fd fd(::open(config.image.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st {};
  if (!fd || fstat(fd.get(), &st) != 0)
    return file_error(expected + "a readable file", errno, "check the path and its permissions");
  if (!S_ISREG(st.st_mode))
    return Error{ErrorKind::BadInput, expected + "a regular file, found something else; copy it to one"};
  const u64 length = static_cast<u64>(st.st_size);
  if (length == 0 || length > config.size)
    return Error{ErrorKind::BadInput, fmt::format("the flash image '{}' has {} bytes; it must have between 1 and {}",
                                                  config.image, length, config.size)};
  if (mmap(mapping.data(), length, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE, fd.get(), 0) == MAP_FAILED)
    return file_error(expected + "to map it", errno, "copy it to another file system");
  const u64 tail = align_up<u64>(length, k_page_size) - length;
  if (tail) std::memset(mapping.data() + length, config.blank ? 0 : 0xff, tail);
  return {};
}

/// A copy of the disk, which has its size: what somebody else does to the file later is not seen. Zeros take no memory.
Result<Mapping> read_disk(DiskBackend& disk, u64 size) {
  const std::string expected = fmt::format("flash image {}: expected ", disk.path());
  if (disk.size() != size)
    return Error{ErrorKind::BadInput, fmt::format("{}{} bytes, which a bank of flash has, found {}; give it that size "
                                                  "(truncate -s {}M)",
                                                  expected, size, disk.size(), size >> 20)};
  AV_TRY_ASSIGN(Mapping mapping, map_blank(size));
  const std::vector<u8> zeros(CfiFlash::k_block_size);
  std::vector<u8> buffer(zeros.size());
  for (u64 at = 0; at < size; at += buffer.size()) {
    iovec part = {buffer.data(), buffer.size()};
    if (const int error = disk.read(std::span(&part, 1), at))
      return host_error(expected + "to read it", error, "check the file");
    if (buffer != zeros) std::memcpy(mapping.data() + at, buffer.data(), buffer.size());
  }
  return mapping;
}

}  // namespace

void CfiFlash::describe(TreeWriter& tree, const Site& site) {
  tree.begin(node_name("flash", site.regions[0].base));
  tree.text("compatible", "cfi-flash");
  tree.reg(site);
  tree.cells("bank-width", {4});
  tree.end();
}

Result<std::unique_ptr<CfiFlash>> CfiFlash::create(CfiFlashConfig config, std::function<void()> view_changed) {
  if (config.size == 0 || !std::has_single_bit(config.size) || config.size < 2 * k_block_size)
    return Error{ErrorKind::BadArguments, "a flash bank must have a power of two of bytes, at least 512 KiB"};
  AV_TRY_ASSIGN(Mapping memory, config.disk    ? read_disk(*config.disk, config.size)
                                : config.blank ? map_blank(config.size)
                                               : map_erased(config.size));
  if (!config.image.empty()) AV_TRY(map_image(config, memory));
  return std::unique_ptr<CfiFlash>(new CfiFlash(std::move(memory), std::move(config), std::move(view_changed)));
}

CfiFlash::CfiFlash(Mapping memory, CfiFlashConfig config, std::function<void()> view_changed)
    : memory_(std::move(memory)),
      disk_(std::move(config.disk)),
      flush_each_(config.flush_each),
      read_only_(config.read_only || (disk_ && disk_->read_only())),
      view_changed_(std::move(view_changed)),
      locked_(memory_.size() / k_block_size) {}

void CfiFlash::reset() {
  status_ = k_sr_ready;
  expect_ = Expect::Command;
  locked_.assign(locked_.size(), false);
  set_mode(ReadMode::Array);
}

void CfiFlash::set_mode(ReadMode mode) {
  const bool was_array = mode_ == ReadMode::Array, is_array = mode == ReadMode::Array;
  mode_ = mode;
  if (was_array == is_array) return;
  read_array_.store(is_array, std::memory_order_release);
  if (view_changed_) view_changed_();
}

// --- reads

u16 CfiFlash::identifier(u64 offset) const {
  const u64 word = (offset % k_block_size) / k_bus_bytes;
  switch (word) {
    case 0: return k_manufacturer;
    case 1: return k_device;
    case 2: return locked_[offset / k_block_size];
    default: return 0;
  }
}

/// What the bus shows, outside read-array mode, in the aligned 32-bit word at `offset`.
u32 CfiFlash::chip_word(u64 offset) const {
  switch (mode_) {
    case ReadMode::Status: return both_chips(status_);
    case ReadMode::Identifier: return both_chips(identifier(offset));
    case ReadMode::Query: {
      const u32 chip_size_bits = static_cast<u32>(std::countr_zero(memory_.size() / k_chips));
      const u32 blocks = static_cast<u32>(memory_.size() / k_block_size);
      const auto table = make_cfi_query(chip_size_bits, blocks, k_block_size / k_chips);
      const u64 index = (offset % k_block_size) / k_bus_bytes;
      return index < table.size() ? both_chips(table[index]) : 0;
    }
    default: return 0;
  }
}

u64 CfiFlash::mmio_read(u64 offset, u32 size) {
  if (size > 8 || offset > memory_.size() - size) return 0;
  u64 value = 0;
  if (mode_ == ReadMode::Array) {
    std::memcpy(&value, memory_.data() + offset, size);
    return value;
  }
  for (u32 i = 0; i < size; ++i) {
    const u64 at = offset + i;
    const u32 word = chip_word(at & ~u64{k_bus_bytes - 1});
    value |= u64{(word >> (8 * (at % k_bus_bytes))) & 0xff} << (8 * i);
  }
  return value;
}

// --- commands

void CfiFlash::mmio_write(u64 offset, u32 size, u64 value) {
  if (size > 8 || offset > memory_.size() - size) return;
  if (size > k_bus_bytes) {  // the bus is 32 bits wide: one cycle for each word
    mmio_write(offset, k_bus_bytes, value & ~u32{0});
    return mmio_write(offset + k_bus_bytes, size - k_bus_bytes, value >> 32);
  }
  const u8 code = static_cast<u8>(value);
  switch (expect_) {
    case Expect::Command: command(offset, code); break;
    case Expect::ProgramData: {
      const u32 errors = program(offset, size, value);
      finish(errors || save(offset, size) ? errors : k_sr_program_error);
      break;
    }
    case Expect::EraseConfirm: erase(code); break;
    case Expect::BufferCount: start_buffer(static_cast<u32>(value & 0xffff)); break;
    case Expect::BufferData: buffer_data(offset, size, value); break;
    case Expect::BufferConfirm: commit_buffer(code); break;
    case Expect::LockCommand: lock(code); break;
  }
}

/// The first cycle of erasing and locking says which block it is about, the first word of data where a buffer goes.
/// Drivers send the other cycles to any address of the bank: EDK II confirms at the bank's base.
void CfiFlash::command(u64 offset, u8 code) {
  block_ = offset / k_block_size;
  switch (code) {
    case 0x10:
    case 0x40: expect_ = Expect::ProgramData; break;
    case 0x20: expect_ = Expect::EraseConfirm; break;
    case 0x60: expect_ = Expect::LockCommand; break;
    case 0xe8: expect_ = Expect::BufferCount; break;
    case 0x70: break;
    case 0x90: return set_mode(ReadMode::Identifier);
    case 0x98: return set_mode(ReadMode::Query);
    case 0x50: status_ = k_sr_ready; return set_mode(ReadMode::Array);
    default: return set_mode(ReadMode::Array);  // k_read_array, and what the chip does not know
  }
  set_mode(ReadMode::Status);
}

/// Ends a program, erase or lock sequence; the chip then shows its status.
void CfiFlash::finish(u32 errors) {
  status_ |= static_cast<u8>(k_sr_ready | errors);
  expect_ = Expect::Command;
  set_mode(ReadMode::Status);
}

/// Ends a sequence whose next cycle was not `code`. Read Array is obeyed at once, as by QEMU: a driver sends it to a
/// bank in an unknown state.
void CfiFlash::abandon(u8 code) {
  finish(k_sequence_error);
  if (code == k_read_array) set_mode(ReadMode::Array);
}

u32 CfiFlash::write_errors(u64 offset) const { return read_only_ || locked_[offset / k_block_size] ? k_sr_locked : 0; }

/// Programming can only clear bits.
u32 CfiFlash::program(u64 offset, u32 size, u64 value) {
  if (const u32 errors = write_errors(offset)) return errors | k_sr_program_error;
  for (u32 i = 0; i < size; ++i) memory_.data()[offset + i] &= static_cast<u8>(value >> (8 * i));
  return 0;
}

/// Writes what was changed to the disk, by whole sectors. False: it does not take it.
bool CfiFlash::save(u64 offset, u64 size) {
  if (!disk_ || size == 0) return true;
  const u64 first = align_down(offset, k_sector), end = align_up(offset + size, k_sector);
  iovec part = {memory_.data() + first, end - first};
  int error = disk_->write(std::span(&part, 1), first);
  if (error == 0 && flush_each_) error = disk_->flush();
  if (error == 0) return true;
  AV_LOG_ONCE(Error, "flash image %s: what the guest writes is not kept: %s", std::string(disk_->path()).c_str(),
              std::strerror(error));
  return false;
}

void CfiFlash::erase(u8 code) {
  if (code != k_confirm) return abandon(code);
  const u64 base = block_ * k_block_size;
  if (const u32 errors = write_errors(base)) return finish(errors | k_sr_erase_error);
  std::memset(memory_.data() + base, 0xff, k_block_size);
  finish(save(base, k_block_size) ? 0 : k_sr_erase_error);
}

void CfiFlash::lock(u8 code) {
  switch (code) {
    case 0x01:  // lock; a lock-down (0x2f) differs only in needing a pin to undo it
    case 0x2f: locked_[block_] = true; return finish(0);
    case k_confirm: locked_[block_] = false; return finish(0);
    case 0x03: return finish(0);  // configuration register: read timing, which has no meaning here
    default: return abandon(code);
  }
}

/// `count` is the number of bus words less one.
void CfiFlash::start_buffer(u32 count) {
  constexpr u32 k_max_words = (1u << k_cfi_buffer_bits) * k_chips / k_bus_bytes;
  if (count >= k_max_words) return finish(k_sequence_error);
  buffer_.clear();
  buffer_left_ = count + 1;
  expect_ = Expect::BufferData;
}

void CfiFlash::buffer_data(u64 offset, u32 size, u64 value) {
  if (buffer_.empty()) block_ = offset / k_block_size;
  if (offset / k_block_size != block_) return finish(k_sequence_error);
  buffer_.push_back({offset, size, value});
  if (--buffer_left_ == 0) expect_ = Expect::BufferConfirm;
}

void CfiFlash::commit_buffer(u8 code) {
  if (code != k_confirm) return abandon(code);
  u32 errors = 0;
  u64 first = memory_.size(), end = 0;
  for (const Write& w : buffer_) {
    errors |= program(w.offset, w.size, w.value);
    first = std::min(first, w.offset);
    end = std::max(end, w.offset + w.size);
  }
  finish(errors || save(first, end - first) ? errors : k_sr_program_error);
}

}  // namespace armvisor::devices
