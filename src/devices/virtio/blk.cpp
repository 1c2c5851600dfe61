#include "devices/virtio/blk.h"

#include <limits.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/bits.h"
#include "base/log_once.h"

namespace armvisor::devices::virtio {
namespace {

constexpr u16 k_queue_size = 256;
constexpr std::array<u16, 1> k_queue_sizes = {k_queue_size};
constexpr std::size_t k_batch = 64;
/// What a vCPU copies itself at one notification, with an allowance for each request: others may go on adding some.
constexpr u64 k_in_place_bytes = 20 * 1024;
constexpr u64 k_in_place_request = 512;
constexpr u32 k_sector = 512;

// Feature bits, 5.2.3.
constexpr u64 k_seg_max = 1u << 2;
constexpr u64 k_geometry = 1u << 4;
constexpr u64 k_ro = 1u << 5;
constexpr u64 k_blk_size = 1u << 6;
constexpr u64 k_flush = 1u << 9;
constexpr u64 k_topology = 1u << 10;
constexpr u64 k_config_wce = 1u << 11;
constexpr u64 k_discard = 1u << 13;
constexpr u64 k_write_zeroes = 1u << 14;

// Offsets into struct virtio_blk_config, 5.2.4.
enum Config : u32 {
  Capacity = 0,
  SegMax = 12,
  Cylinders = 16,
  Heads = 18,
  Sectors = 19,
  BlkSize = 20,
  PhysicalBlockExp = 24,
  MinIoSize = 26,
  OptIoSize = 28,
  Writeback = 32,
  MaxDiscardSectors = 36,
  MaxDiscardSeg = 40,
  DiscardSectorAlignment = 44,
  MaxWriteZeroesSectors = 48,
  MaxWriteZeroesSeg = 52,
  WriteZeroesMayUnmap = 56,
};

// Request types and status, 5.2.6.
enum Type : u32 { In = 0, Out = 1, Flush = 4, GetId = 8, Discard = 11, WriteZeroes = 13 };
constexpr u8 k_ok = 0;
constexpr u8 k_ioerr = 1;
constexpr u8 k_unsupported = 2;

struct RequestHeader {
  u32 type;
  u32 reserved;
  u64 sector;
};
struct RangeSegment {  // struct virtio_blk_discard_write_zeroes
  u64 sector;
  u32 sectors;
  u32 flags;
};
constexpr u32 k_range_unmap = 1;
constexpr u32 k_max_ranges = 32;
constexpr u32 k_max_range_sectors = 1u << 22;  // 2 GiB: one request does not hold up the others for long
constexpr u32 k_id_bytes = 20;

template <class T>
void put(std::span<u8> config, u32 offset, T value) {
  std::memcpy(config.data() + offset, &value, sizeof value);
}

/// The classic translation of a capacity into cylinders, 16 heads and 63 sectors, as BIOSes did.
void put_geometry(std::span<u8> config, u64 capacity) {
  put(config, Cylinders, static_cast<u16>(std::clamp<u64>(capacity / (16 * 63), 1, 65535)));
  put(config, Heads, u8{16});
  put(config, Sectors, u8{63});
}

}  // namespace

Result<std::unique_ptr<Block>> Block::create(std::shared_ptr<DiskBackend> backend, BlockOptions options) {
  if (options.serial.size() > k_id_bytes)
    return Error{ErrorKind::BadArguments, "the disk serial '" + options.serial + "' has more than 20 characters"};
  std::unique_ptr<Block> block(new Block(std::move(backend), std::move(options)));
  AV_TRY(block->worker_.start(ThreadKind::Disk, "disk"));
  return block;
}

Block::Block(std::shared_ptr<DiskBackend> backend, BlockOptions options)
    : backend_(std::move(backend)), options_(std::move(options)), batch_(k_batch), worker_(1, work()) {
  const u64 capacity = backend_->size() / k_sector;
  put(config_, Capacity, capacity);
  put(config_, SegMax, u32{k_queue_size - 2});
  put_geometry(config_, capacity);
  put(config_, BlkSize, k_sector);
  put(config_, PhysicalBlockExp, u8{3});  // 4 KiB, the host's page cache
  put(config_, MinIoSize, u16{8});
  put(config_, OptIoSize, u32{0});
  put(config_, MaxDiscardSectors, k_max_range_sectors);
  put(config_, MaxDiscardSeg, k_max_ranges);
  put(config_, DiscardSectorAlignment, u32{8});
  put(config_, MaxWriteZeroesSectors, k_max_range_sectors);
  put(config_, MaxWriteZeroesSeg, k_max_ranges);
  put(config_, WriteZeroesMayUnmap, u8{1});
}

/// Serves the queue until it is empty or `some`, which does some of what was taken, is false: then false.
template <class Some>
bool Block::drain(Some some) {
  do {
    queue(0).disable_notifications();
    while (worker_.active()) {
      if (next_ == taken_) take_batch();
      if (next_ == taken_) break;
      if (!some()) return false;
    }
  } while (worker_.active() && queue(0).enable_notifications());
  return true;
}

QueueWorker::Work Block::work() {
  QueueWorker::Work w;
  w.serve = [this](u16) {
    drain([this] {
      execute_batch();
      return true;
    });
  };
  if (options_.in_place)
    w.serve_in_place = [this](u16) {
      u64 left = k_in_place_bytes;
      return drain([&] { return execute_in_place(left); });
    };
  w.end = [this] { finish("flush", backend_->flush()); };
  return w;
}

u64 Block::features() const {
  const u64 cache = options_.write_through ? 0 : k_flush | k_config_wce;
  const u64 common = k_seg_max | k_geometry | k_blk_size | k_topology | cache;
  return common | (backend_->read_only() ? k_ro : k_discard | k_write_zeroes);
}

std::span<const u16> Block::queue_sizes() const { return k_queue_sizes; }

void Block::read_config(u32 offset, std::span<u8> out) {
  auto config = config_;
  config[Writeback] = writeback();
  copy_config(config, offset, out);
}

void Block::write_config(u32 offset, std::span<const u8> in) {
  // 5.2.4.2: only writeback may be written, and only with VIRTIO_BLK_F_CONFIG_WCE.
  if (offset == Writeback && in.size() == 1 && (negotiated_ & k_config_wce)) config_writeback_ = (in[0] & 1) != 0;
}

/// Whether a completed write may still be in a volatile cache (5.2.6.2). A driver that knows no flush gets none.
bool Block::writeback() const {
  if (options_.write_through) return false;
  const u64 f = negotiated_;
  return (f & k_config_wce) ? config_writeback_.load() : !worker_.active() || (f & k_flush);
}

void Block::activate(u64 negotiated) {
  negotiated_ = negotiated;
  worker_.activate();
}

void Block::reset() {
  worker_.reset();
  next_ = taken_ = 0;
  negotiated_ = 0;
  config_writeback_ = true;
}

void Block::take_batch() {
  next_ = taken_ = 0;
  while (taken_ < k_batch && next(0, batch_[taken_].chain)) {
    if (!parse(batch_[taken_])) {
      malformed(0);
      break;
    }
    ++taken_;
  }
}

/// 5.2.6: a header of 16 readable bytes, data, and a last writable byte for the status, however they are cut up.
bool Block::parse(Request& r) {
  RequestHeader h;
  if (r.chain.read(0, {reinterpret_cast<u8*>(&h), sizeof h}) != sizeof h || r.chain.writable_bytes == 0) return false;
  r.type = h.type;
  r.sector = h.sector;
  r.bytes = h.type == In || h.type == GetId ? r.chain.writable_bytes - 1 : r.chain.readable_bytes - sizeof h;
  return true;
}

void Block::execute_batch() {
  while (next_ < taken_) {
    if (backend_->parallel() && gather_group() > 0) {
      execute_group();
      interrupt(0);
      continue;
    }
    const std::size_t end = next_ + run_length(next_, taken_);
    if (end - next_ > 1 && transfer_together(next_, end)) {
      for (; next_ < end; ++next_) complete_request(batch_[next_], k_ok);
    } else {
      for (; next_ < end; ++next_) complete_request(batch_[next_], execute(batch_[next_]));
    }
    interrupt(0);
  }
}

/// Puts transfers into runs_ and transfers_ as far as they may be done in any order: of two that touch the same
/// sectors, one a write, the second has to wait. Returns how many.
std::size_t Block::gather_group() {
  runs_.clear();
  transfers_.clear();
  vectors_.clear();
  for (std::size_t i = next_; i < taken_;) {
    const Request& r = batch_[i];
    const bool write = r.type == Out;
    if ((r.type != In && !write) || !in_range(r.sector, r.bytes) || r.bytes == 0) break;
    if (write && (backend_->read_only() || !writeback())) break;
    const std::size_t end = i + run_length(i, taken_);
    u64 bytes = 0;
    for (std::size_t k = i; k < end; ++k) bytes += batch_[k].bytes;
    const u64 offset = r.sector * k_sector;
    const bool waits = std::ranges::any_of(transfers_, [&](const DiskTransfer& t) {
      const Run& run = runs_[static_cast<std::size_t>(&t - transfers_.data())];
      const Request& last = batch_[run.last - 1];
      return (write || t.write) && offset < last.sector * k_sector + last.bytes && t.offset < offset + bytes;
    });
    if (waits) break;
    runs_.push_back({i, end, vectors_.size()});
    transfers_.push_back({.write = write, .data = {}, .offset = offset});
    for (; i < end; ++i) append_vectors(batch_[i]);
  }
  for (std::size_t k = 0; k < runs_.size(); ++k) {
    const std::size_t end = k + 1 < runs_.size() ? runs_[k + 1].vectors_begin : vectors_.size();
    transfers_[k].data = std::span(vectors_).subspan(runs_[k].vectors_begin, end - runs_[k].vectors_begin);
  }
  return runs_.size();
}

/// All of runs_ at once. Of a run that failed each request is tried, and answered for, alone.
void Block::execute_group() {
  steps_.begin(measure::Step::Host);
  backend_->transfer(transfers_);
  steps_.end(measure::Step::Host);
  for (std::size_t k = 0; k < runs_.size(); ++k) {
    const int error = transfers_[k].error;
    const bool alone = runs_[k].last - runs_[k].first == 1;
    for (next_ = runs_[k].first; next_ < runs_[k].last; ++next_) {
      Request& r = batch_[next_];
      if (error && !alone) {
        complete_request(r, execute(r));
        continue;
      }
      if (r.type == In) r.chain.mark_written(ram(), r.bytes);
      complete_request(r, finish(r.type == In ? "read" : "write", error));
    }
  }
}

/// False at the first request for which the vCPU might have to wait, or that takes long.
bool Block::execute_in_place(u64& left) {
  const std::size_t first = next_;
  for (; next_ < taken_; ++next_) {
    Request& r = batch_[next_];
    const u64 cost = r.bytes + k_in_place_request;
    if (cost > left) break;
    left -= cost;
    if (r.type == In && in_range(r.sector, r.bytes)) {
      if (!read_at_once(r)) break;
      complete_request(r, k_ok);
    } else if (r.type == Out || r.type == Flush || r.type == Discard || r.type == WriteZeroes) {
      break;
    } else {
      complete_request(r, execute(r));
    }
  }
  if (next_ != first) interrupt(0);
  return next_ == taken_;
}

bool Block::read_at_once(Request& r) {
  vectors_.clear();
  append_vectors(r);
  steps_.begin(measure::Step::Host);
  const bool done = backend_->read_at_once(vectors_, r.sector * k_sector);
  steps_.end(measure::Step::Host);
  if (done) r.chain.mark_written(ram(), r.bytes);
  return done;
}

/// How many requests from `first` on are one contiguous transfer.
std::size_t Block::run_length(std::size_t first, std::size_t count) const {
  const Request& f = batch_[first];
  if ((f.type != In && f.type != Out) || !in_range(f.sector, f.bytes)) return 1;
  std::size_t vectors = f.chain.readable.size() + f.chain.writable.size();
  u64 bytes = f.bytes;
  std::size_t n = 1;
  for (; first + n < count; ++n) {
    const Request& r = batch_[first + n];
    vectors += r.chain.readable.size() + r.chain.writable.size();
    if (r.type != f.type || r.sector != f.sector + bytes / k_sector || vectors > IOV_MAX ||
        !in_range(r.sector, r.bytes))
      break;
    bytes += r.bytes;
  }
  return n;
}

/// False when it failed, for whatever part: then each request is tried, and answered for, alone.
bool Block::transfer_together(std::size_t first, std::size_t last) {
  const u32 type = batch_[first].type;
  if (type == Out && (backend_->read_only() || !writeback())) return false;
  vectors_.clear();
  for (std::size_t i = first; i < last; ++i) append_vectors(batch_[i]);
  const u64 offset = batch_[first].sector * k_sector;
  steps_.begin(measure::Step::Host);
  const int error = type == In ? backend_->read(vectors_, offset) : backend_->write(vectors_, offset);
  steps_.end(measure::Step::Host);
  if (error) return false;
  for (std::size_t i = first; i < last; ++i)
    if (type == In) batch_[i].chain.mark_written(ram(), batch_[i].bytes);
  return true;
}

/// The data of a request: its readable bytes after the header, or its writable bytes before the status.
void Block::append_vectors(const Request& r) {
  u64 skip = r.type == In ? 0 : sizeof(RequestHeader);
  u64 left = r.bytes;
  for (const Segment& s : r.type == In ? r.chain.writable : r.chain.readable) {
    const u64 start = std::min<u64>(skip, s.length);
    const u64 n = std::min(s.length - start, left);
    if (n) vectors_.push_back({s.host + start, n});
    skip -= start;
    left -= n;
  }
}

bool Block::in_range(u64 sector, u64 bytes) const {
  return bytes % k_sector == 0 && sector <= backend_->size() / k_sector &&
         bytes <= backend_->size() - sector * k_sector;
}

u8 Block::execute(Request& r) {
  steps_.begin(measure::Step::Host);
  const u8 status = answer(r);
  steps_.end(measure::Step::Host);
  return status;
}

u8 Block::answer(Request& r) {
  switch (r.type) {
    case In:
    case Out: return transfer(r);
    case Flush: return finish("flush", backend_->flush());
    case GetId: return get_id(r);
    case Discard:
    case WriteZeroes: return discard_or_zero(r);
    default: return k_unsupported;
  }
}

u8 Block::transfer(Request& r) {
  if (!in_range(r.sector, r.bytes)) return k_ioerr;
  vectors_.clear();
  append_vectors(r);
  if (r.type == In) {
    const int error = backend_->read(vectors_, r.sector * k_sector);
    r.chain.mark_written(ram(), r.bytes);  // on failure some of it may be there
    return finish("read", error);
  }
  if (backend_->read_only()) return k_ioerr;
  if (const int error = backend_->write(vectors_, r.sector * k_sector)) return finish("write", error);
  return writeback() ? k_ok : finish("flush", backend_->flush());
}

/// 5.2.6.1 and 5.2.6.2: an array of ranges, all of them checked before the first takes effect.
u8 Block::discard_or_zero(Request& r) {
  if (backend_->read_only()) return k_ioerr;
  std::array<RangeSegment, k_max_ranges> ranges;
  if (r.bytes == 0 || r.bytes % sizeof(RangeSegment) || r.bytes > sizeof ranges) return k_ioerr;
  const std::size_t count = r.bytes / sizeof(RangeSegment);
  r.chain.read(sizeof(RequestHeader), {reinterpret_cast<u8*>(ranges.data()), count * sizeof(RangeSegment)});
  const u32 allowed = r.type == WriteZeroes ? k_range_unmap : 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (ranges[i].flags & ~allowed) return k_unsupported;
    if (ranges[i].sectors > k_max_range_sectors || !in_range(ranges[i].sector, u64{ranges[i].sectors} * k_sector))
      return k_ioerr;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const u64 offset = ranges[i].sector * k_sector, size = u64{ranges[i].sectors} * k_sector;
    if (size == 0) continue;
    const bool unmap = options_.unmap && (ranges[i].flags & k_range_unmap);
    const int error = r.type == WriteZeroes ? backend_->write_zeroes(offset, size, unmap)
                      : options_.unmap      ? backend_->discard(offset, size)
                                            : 0;
    if (error) return finish(r.type == Discard ? "discard" : "write zeroes", error);
  }
  return writeback() ? k_ok : finish("flush", backend_->flush());
}

u8 Block::get_id(Request& r) {
  std::array<u8, k_id_bytes> id{};
  std::copy(options_.serial.begin(), options_.serial.end(), id.begin());
  r.bytes = std::min<u64>(r.bytes, id.size());
  r.chain.write(ram(), 0, std::span(id).first(r.bytes));
  return k_ok;
}

/// The status for an errno, which the user is told of.
u8 Block::finish(const char* what, int error) {
  if (error == 0) return k_ok;
  AV_LOG_ONCE(Warn, "disk %s: %s failed: %s; the guest sees an I/O error", std::string(backend_->path()).c_str(), what,
              std::strerror(error));
  return k_ioerr;
}

void Block::complete_request(Request& r, u8 status) {
  const Segment& last = r.chain.writable.back();
  last.host[last.length - 1] = status;
  ram().mark_written(last.pa + (last.length - 1), 1);
  // 2.7.8.2: the length counts from the start of the writable buffers, and what comes before must have been written.
  const bool reads = (r.type == In || r.type == GetId) && status == k_ok;
  const bool contiguous = reads && r.bytes == r.chain.writable_bytes - 1;
  complete(0, r.chain, contiguous ? static_cast<u32>(r.chain.writable_bytes) : r.chain.writable_bytes == 1 ? 1 : 0);
  if (status != k_ok) counters_.errors.add();
  if (status == k_ok && reads) counters_.bytes_to_guest.add(r.bytes);
  if (status == k_ok && r.type == Out) counters_.bytes_from_guest.add(r.bytes);
}

}  // namespace armvisor::devices::virtio
