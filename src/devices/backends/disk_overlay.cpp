#include "devices/backends/disk_overlay.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/host_error.h"
#include "base/log_once.h"
#include "base/temporary_file.h"
#include "devices/backends/io_vectors.h"

namespace armvisor::devices {
namespace {

constexpr u64 k_small_block = 4096, k_large_block = 65536;
constexpr u64 k_most_small_bytes = u64{1} << 40;

u64 block_of(u64 disk_bytes) { return disk_bytes <= k_most_small_bytes ? k_small_block : k_large_block; }

int vector_count(std::span<const iovec> v) { return static_cast<int>(std::min<std::size_t>(v.size(), IOV_MAX)); }

/// Where what is written goes.
Result<Fd> writes_file(const std::string& disk) {
  AV_TRY_ASSIGN(Fd file, temporary_file("disk " + disk, "for what is written to it and not kept (snapshot)"));
  struct statfs kind;
  if (::fstatfs(file.get(), &kind) == 0 && kind.f_type == TMPFS_MAGIC)
    AV_LOG_ONCE(
        Warn,
        "disk %s: what is written to it is kept in memory, since its file is on tmpfs; TMPDIR names another folder",
        disk.c_str());
  return file;
}

}  // namespace

DiskOverlay::DiskOverlay(std::unique_ptr<DiskBackend> below, Fd file, u64 block)
    : below_(std::move(below)),
      file_(std::move(file)),
      block_(block),
      bits_((below_->size() / block + 1 + 63) / 64),
      whole_(block) {}

Result<std::unique_ptr<DiskOverlay>> DiskOverlay::create(std::unique_ptr<DiskBackend> below) {
  const u64 size = below->size();
  const std::string name(below->path());
  if (size > k_most_bytes)
    return Error{ErrorKind::BadInput, fmt::format("disk {}: expected at most 16 TiB for one whose writes are not kept, "
                                                  "found {} bytes; leave out the snapshot",
                                                  name, size)};
  AV_TRY_ASSIGN(Fd file, writes_file(name));
  if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0)
    return host_error("disk " + name + ": expected a temporary file of its size", errno,
                      "name a folder of another file system by the variable TMPDIR");
  return std::unique_ptr<DiskOverlay>(new DiskOverlay(std::move(below), std::move(file), block_of(size)));
}

/// How many of the bytes from `offset` on are at the same place as the first.
u64 DiskOverlay::same_run(u64 offset, u64 bytes) const {
  const bool here = has(offset / block_);
  u64 end = (offset / block_ + 1) * block_;
  while (end < offset + bytes && has(end / block_) == here) end += block_;
  return std::min(end - offset, bytes);
}

int DiskOverlay::read(std::span<iovec> to, u64 offset) {
  for (u64 left = total_bytes(to); left > 0;) {
    const u64 n = same_run(offset, left);
    copy_first(to, n, part_);
    if (const int error = has(offset / block_) ? read_file(part_, offset) : below_->read(part_, offset)) return error;
    advance(to, n);
    offset += n;
    left -= n;
  }
  return 0;
}

bool DiskOverlay::all_below(const DiskTransfer& t) const {
  const u64 bytes = total_bytes(t.data);
  return !t.write && bytes > 0 && !has(t.offset / block_) && same_run(t.offset, bytes) == bytes;
}

void DiskOverlay::transfer(std::span<DiskTransfer> all) {
  below_reads_.clear();
  for (const DiskTransfer& t : all)
    if (all_below(t)) below_reads_.push_back(t);
  below_->transfer(below_reads_);
  auto done = below_reads_.begin();
  for (DiskTransfer& t : all) {
    if (done != below_reads_.end() && done->offset == t.offset && done->data.data() == t.data.data())
      t.error = (done++)->error;
    else
      t.error = t.write ? write(t.data, t.offset) : read(t.data, t.offset);
  }
}

bool DiskOverlay::read_at_once(std::span<const iovec> to, u64 offset) {
  const u64 bytes = total_bytes(to);
  if (bytes == 0 || to.size() > IOV_MAX || same_run(offset, bytes) != bytes) return false;
  if (!has(offset / block_)) return below_->read_at_once(to, offset);
  return ::preadv2(file_.get(), to.data(), static_cast<int>(to.size()), static_cast<off_t>(offset), RWF_NOWAIT) ==
         static_cast<ssize_t>(bytes);
}

int DiskOverlay::read_file(std::span<iovec> to, u64 offset) {
  while (!to.empty()) {
    const ssize_t n = ::preadv(file_.get(), to.data(), vector_count(to), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO;
    offset += static_cast<u64>(n);
    advance(to, static_cast<std::size_t>(n));
  }
  return 0;
}

int DiskOverlay::write_file(std::span<iovec> from, u64 offset) {
  while (!from.empty()) {
    const ssize_t n = ::pwritev(file_.get(), from.data(), vector_count(from), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO;
    offset += static_cast<u64>(n);
    advance(from, static_cast<std::size_t>(n));
  }
  return 0;
}

int DiskOverlay::write(std::span<iovec> from, u64 offset) {
  for (u64 left = total_bytes(from); left > 0;) {
    const u64 into = offset % block_;
    // Whole blocks at once; what begins or ends within one, block by block.
    const u64 n = into || left < block_ ? std::min(block_ - into, left) : left / block_ * block_;
    if (into || n < block_) {
      if (const int error = write_part(from, offset, n)) return error;
    } else {
      copy_first(from, n, part_);
      if (const int error = write_file(part_, offset)) return error;
      for (u64 block = offset / block_; block < (offset + n) / block_; ++block) set(block);
    }
    advance(from, n);
    offset += n;
    left -= n;
  }
  return 0;
}

/// Part of one block. When the rest of it is below, all of it is written.
int DiskOverlay::write_part(std::span<const iovec> from, u64 offset, u64 bytes) {
  const u64 block = offset / block_, start = block * block_;
  if (has(block)) {
    copy_first(from, bytes, part_);
    return write_file(part_, offset);
  }
  iovec all = {whole_.data(), std::min(block_, size() - start)};
  iovec v = all;
  if (const int error = below_->read(std::span(&v, 1), start)) return error;
  gather(from, bytes, whole_.data() + (offset - start));
  if (const int error = write_file(std::span(&all, 1), start)) return error;
  set(block);
  return 0;
}

int DiskOverlay::discard(u64 offset, u64 size) {
  const u64 first = (offset + block_ - 1) / block_ * block_, end = (offset + size) / block_ * block_;
  return first < end && can_punch_ ? zero_blocks(first, end - first) : 0;
}

int DiskOverlay::write_zeroes(u64 offset, u64 size, bool) {
  const u64 first = std::min((offset + block_ - 1) / block_ * block_, offset + size);
  const u64 end = std::max((offset + size) / block_ * block_, first);
  if (const int error = zero_part(offset, first - offset)) return error;
  if (first < end)
    if (const int error = zero_blocks(first, end - first)) return error;
  return zero_part(end, offset + size - end);
}

/// Whole blocks become holes of the file, which read as zeros and take no space.
int DiskOverlay::zero_blocks(u64 offset, u64 size) {
  if (can_punch_ && ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                                static_cast<off_t>(size)) != 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS) return errno;
    can_punch_ = false;
  }
  if (!can_punch_) return zero_part(offset, size);
  for (u64 block = offset / block_; block < (offset + size) / block_; ++block) set(block);
  return 0;
}

int DiskOverlay::zero_part(u64 offset, u64 size) {
  static u8 zeros[k_large_block];
  while (size > 0) {
    iovec v = {zeros, std::min<u64>(size, sizeof zeros)};
    const u64 n = v.iov_len;
    if (const int error = write(std::span(&v, 1), offset)) return error;
    offset += n;
    size -= n;
  }
  return 0;
}

}  // namespace armvisor::devices
