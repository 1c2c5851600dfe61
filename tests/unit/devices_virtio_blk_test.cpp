// The virtio block device and the disk file behind it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "devices/backends/disk_file.h"
#include "virtio_disk.h"

namespace armvisor::devices::virtio {
namespace {

using namespace testing;

/// A disk in memory whose failures and flushes a test controls.
struct MemoryDisk : DiskBackend {
  std::string bytes;
  std::atomic<int> error{0};
  std::atomic<unsigned> flushes{0}, writes{0}, reads{0};
  bool ro = false;
  std::atomic<bool> at_hand{false};  ///< reads need no waiting
  std::atomic<unsigned> tries{0};
  std::thread::id test = std::this_thread::get_id();
  explicit MemoryDisk(u64 sectors) : bytes(sectors * 512, 'x') {}
  u64 size() const override { return bytes.size(); }
  bool read_only() const override { return ro; }
  std::string_view path() const override { return "memory"; }
  int read(std::span<iovec> to, u64 offset) override {
    ++reads;
    if (error) return error;
    for (const iovec& v : to) {
      std::memcpy(v.iov_base, bytes.data() + offset, v.iov_len);
      offset += v.iov_len;
    }
    return 0;
  }
  bool read_at_once(std::span<const iovec> to, u64 offset) override {
    ++tries;
    if (!at_hand || std::this_thread::get_id() != test) return false;
    for (const iovec& v : to) {
      std::memcpy(v.iov_base, bytes.data() + offset, v.iov_len);
      offset += v.iov_len;
    }
    return true;
  }
  int write(std::span<iovec> from, u64 offset) override {
    ++writes;
    if (error) return error;
    for (const iovec& v : from) {
      std::memcpy(bytes.data() + offset, v.iov_base, v.iov_len);
      offset += v.iov_len;
    }
    return 0;
  }
  int flush() override {
    ++flushes;
    return error;
  }
  int discard(u64, u64) override { return error; }
  int write_zeroes(u64 offset, u64 size, bool) override {
    if (!error) std::memset(bytes.data() + offset, 0, size);
    return error;
  }
};

std::unique_ptr<DiskFile> open_disk(const TempFile& f, bool read_only = false) {
  return *DiskFile::open(f.path(), read_only);
}

TEST(VirtioBlk, WritesReachTheFileAndAreReadBack) {
  TempFile f(std::string(64 * 512, 'a'));
  Disk d(open_disk(f));
  EXPECT_EQ(d.read(Driver::DeviceID), 2u);
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1));
  EXPECT_EQ(d.read(Driver::Config), 64u);
  EXPECT_EQ(d.write_sectors(3, std::string(1024, 'b')), 0);
  EXPECT_EQ(d.request(Flush, 0, {}), 0);
  EXPECT_EQ(d.read_sectors(2, 4), std::string(512, 'a') + std::string(1024, 'b') + std::string(512, 'a'));
  EXPECT_EQ(f.content().substr(3 * 512, 1024), std::string(1024, 'b'));
  EXPECT_EQ(d.transport.counters().requests.get(), 3u);
  EXPECT_EQ(d.transport.counters().bytes_from_guest.get(), 1024u);
  EXPECT_EQ(d.transport.counters().bytes_to_guest.get(), 2048u);
}

TEST(VirtioBlk, LegacyDriver) {
  TempFile f(std::string(8 * 512, 'a'));
  Disk d(open_disk(f), MmioVersion::Legacy);
  ASSERT_TRUE(d.bring_up(k_flush, 1));
  EXPECT_EQ(d.write_sectors(7, std::string(512, 'z')), 0);
  EXPECT_EQ(d.read_sectors(7, 1), std::string(512, 'z'));
}

TEST(VirtioBlk, AnyCutOfTheBuffersWorks) {
  TempFile f(std::string(8 * 512, 'a'));
  Disk d(open_disk(f));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1));
  // The header in two pieces, the second with the first data bytes; the status at the end of the data.
  std::string out(16 + 1024, 'q');
  const u32 header[4] = {Out, 0, 1, 0};
  std::memcpy(out.data(), header, 16);
  const GuestPa pa = d.put(out), status = d.allocate(1);
  d.add(0, {{pa, 5, false}, {pa + 5, 100, false}, {pa + 105, 16 + 1024 - 105, false}, {status, 1, true}}, true);
  d.kick(0);
  ASSERT_TRUE(d.wait_used(0));
  EXPECT_EQ(f.content().substr(512, 1024), std::string(1024, 'q'));
  const u32 read_header[4] = {In, 0, 1, 0};
  const GuestPa h = d.put({reinterpret_cast<const char*>(read_header), 16}), data = d.allocate(1025);
  d.add(0, {{h, 16, false}, {data, 500, true}, {data + 500, 525, true}});
  d.kick(0);
  const auto used = d.wait_used(0);
  ASSERT_TRUE(used);
  EXPECT_EQ(used->length, 1025u);
  EXPECT_EQ(d.view(data, 1025), std::string(1024, 'q') + '\0');
}

TEST(VirtioBlk, NeighboursInABatchBecomeOneTransfer) {
  auto memory = std::make_unique<MemoryDisk>(64);
  MemoryDisk& m = *memory;
  Disk d(std::move(memory));
  ASSERT_TRUE(d.negotiate(k_rings | k_flush));
  d.setup_queue(0, 64);
  std::vector<Disk::Pending> all;
  for (u32 i = 0; i < 10; ++i)
    all.push_back(d.submit(Out, i, {{d.put(std::string(512, static_cast<char>('0' + i))), 512, false}}));
  d.driver_ok();
  for (u32 i = 0; i < 10; ++i) ASSERT_TRUE(d.wait_used(0));
  for (const auto& p : all) EXPECT_EQ(*d.ram.host(p.status), 0);
  EXPECT_EQ(m.writes, 1u);
  for (u32 i = 0; i < 10; ++i) EXPECT_EQ(m.bytes[i * 512 + 511], static_cast<char>('0' + i));
}

TEST(VirtioBlk, AFailedJointTransferIsAnsweredOneByOne) {
  auto memory = std::make_unique<MemoryDisk>(64);
  MemoryDisk& m = *memory;
  m.error = EIO;
  Disk d(std::move(memory));
  ASSERT_TRUE(d.negotiate(k_rings | k_flush));
  d.setup_queue(0, 64);
  std::vector<Disk::Pending> all;
  for (u32 i = 0; i < 4; ++i) all.push_back(d.submit(In, i, {{d.allocate(512), 512, true}}));
  d.driver_ok();
  for (u32 i = 0; i < 4; ++i) ASSERT_TRUE(d.wait_used(0));
  for (const auto& p : all) EXPECT_EQ(*d.ram.host(p.status), 1);
  EXPECT_EQ(m.reads, 5u);
  EXPECT_EQ(d.transport.counters().errors.get(), 4u);
}

TEST(VirtioBlk, AShortReadOfWhatIsAtHandIsDoneByTheNotification) {
  auto memory = std::make_unique<MemoryDisk>(64);
  MemoryDisk& m = *memory;
  Disk d(std::move(memory));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1, 64));
  ASSERT_EQ(d.write_sectors(3, std::string(512, 'w')), 0);
  m.at_hand = true;
  const GuestPa pa = d.allocate(512);
  const auto p = d.submit(In, 3, {{pa, 512, true}});
  d.kick(0);
  EXPECT_TRUE(d.irq.level());
  const auto used = d.poll_used(0);  // without waiting
  ASSERT_TRUE(used);
  EXPECT_EQ(used->length, 513u);
  EXPECT_EQ(*d.ram.host(p.status), 0);
  EXPECT_EQ(d.view(pa, 512), std::string(512, 'w'));
  EXPECT_EQ(m.reads, 0u);
}

TEST(VirtioBlk, WhatIsNotAtHandIsTheWorkers) {
  auto memory = std::make_unique<MemoryDisk>(256);
  MemoryDisk& m = *memory;
  Disk d(std::move(memory));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1, 64));
  EXPECT_EQ(d.read_sectors(1, 1), std::string(512, 'x'));
  EXPECT_EQ(m.tries, 1u);
  EXPECT_EQ(m.reads, 1u);
  m.at_hand = true;
  EXPECT_EQ(d.read_sectors(0, 128), std::string(128 * 512, 'x'));
  EXPECT_EQ(m.tries, 1u) << "a long one is not tried";
}

TEST(VirtioBlk, AQueueIsPassedOnInTheMiddle) {
  auto memory = std::make_unique<MemoryDisk>(64);
  MemoryDisk& m = *memory;
  Disk d(std::move(memory));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1, 64));
  m.at_hand = true;
  const GuestPa before = d.allocate(512), after = d.allocate(512);
  for (int round = 0; round < 200; ++round) {
    const std::string bytes(512, static_cast<char>('a' + round % 26));
    const auto first = d.submit(In, 5, {{before, 512, true}});
    const auto second = d.submit(Out, 5, {{d.put(bytes), 512, false}});
    const auto third = d.submit(In, 5, {{after, 512, true}});
    d.kick(0);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(d.wait_used(0));
    for (const auto& p : {first, second, third}) ASSERT_EQ(*d.ram.host(p.status), 0);
    ASSERT_EQ(d.view(after, 512), bytes);
    ASSERT_NE(d.view(before, 512), bytes) << "the first was served after the second";
  }
}

/// One that adds requests for as long as they are served must not keep the vCPU for good.
TEST(VirtioBlk, ANotificationServesABoundedAmount) {
  auto memory = std::make_unique<MemoryDisk>(64);
  MemoryDisk& m = *memory;
  Disk d(std::move(memory));
  ASSERT_TRUE(d.negotiate(k_rings | k_flush));
  d.setup_queue(0, 256);
  d.driver_ok();
  m.at_hand = true;
  for (u32 i = 0; i < 60; ++i) d.submit(In, 0, {{GuestPa(Driver::k_base), 512, true}});
  d.kick(0);
  for (u32 i = 0; i < 60; ++i) ASSERT_TRUE(d.wait_used(0));
  EXPECT_LE(m.tries, 32u);
  EXPECT_GE(m.reads, 1u);
}

TEST(VirtioBlk, StepsAreTimed) {
  auto memory = std::make_unique<MemoryDisk>(64);
  MemoryDisk& m = *memory;
  Disk d(std::move(memory));
  ASSERT_TRUE(d.bring_up((k_rings & ~k_feature_event_idx) | k_flush, 1, 64));
  m.at_hand = true;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(d.read_sectors(0, 1), std::string(512, 'x'));
    d.write(Driver::InterruptACK, d.read(Driver::InterruptStatus));
    m.at_hand = i % 2;
  }
  const measure::StepSnapshots steps = d.transport.device().steps().snapshot(1.0);
  for (u32 k = 0; k < measure::k_steps; ++k) {
    EXPECT_GE(steps[k].count, 10u) << measure::k_step_names[k];
    EXPECT_GT(steps[k].ns, 0u) << measure::k_step_names[k];
  }
}

TEST(VirtioBlk, BadRequestsGetAStatus) {
  TempFile f(std::string(8 * 512, 'a'));
  Disk d(open_disk(f));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush | k_discard | k_write_zeroes, 1));
  EXPECT_EQ(d.write_sectors(8, std::string(512, 'b')), 1);
  EXPECT_EQ(d.write_sectors(7, std::string(1024, 'b')), 1);
  EXPECT_EQ(d.write_sectors(~u64{0}, std::string(512, 'b')), 1);
  EXPECT_EQ(d.write_sectors(u64{1} << 55, std::string(512, 'b')), 1);
  EXPECT_EQ(d.write_sectors(0, std::string(100, 'b')), 1);
  EXPECT_EQ(d.request(99, 0, {}), 2);
  EXPECT_EQ(d.range(Discard, 8, 1, 0), 1);
  EXPECT_EQ(d.range(Discard, ~u64{0}, 2, 0), 1);
  EXPECT_EQ(d.range(Discard, 0, 1, 1), 2) << "unmap is reserved for write zeroes";
  EXPECT_EQ(d.range(WriteZeroes, 0, 1, 2), 2);
  EXPECT_EQ(d.request(Discard, 0, {{d.allocate(24), 24, false}}), 1);
  EXPECT_EQ(f.content(), std::string(8 * 512, 'a'));
}

TEST(VirtioBlk, ARequestWithoutHeaderOrStatusStopsTheQueue) {
  for (const bool header : {false, true}) {
    TempFile f(std::string(8 * 512, 'a'));
    Disk d(open_disk(f));
    ASSERT_TRUE(d.bring_up(k_rings, 1));
    if (header)
      d.add(0, {{d.allocate(16), 16, false}});
    else
      d.add(0, {{d.allocate(15), 15, false}, {d.allocate(1), 1, true}});
    d.kick(0);
    EXPECT_TRUE(d.wait_status(Driver::k_needs_reset));
    EXPECT_EQ(d.transport.queue_fault(0), QueueFault::MalformedRequest);
  }
}

TEST(VirtioBlk, ReadOnlyDiskRefusesWrites) {
  TempFile f(std::string(8 * 512, 'a'));
  Disk d(open_disk(f, true));
  EXPECT_TRUE(d.offered() & (1u << 5));
  EXPECT_FALSE(d.offered() & k_discard);
  ASSERT_TRUE(d.bring_up(k_rings | (1u << 5), 1));
  EXPECT_EQ(d.write_sectors(0, std::string(512, 'b')), 1);
  EXPECT_EQ(d.range(WriteZeroes, 0, 1, 0), 1);
  EXPECT_EQ(d.read_sectors(0, 1), std::string(512, 'a'));
  EXPECT_EQ(f.content(), std::string(8 * 512, 'a'));
}

TEST(VirtioBlk, SerialNumber) {
  TempFile f(std::string(8 * 512, 'a'));
  Disk d(open_disk(f));
  ASSERT_TRUE(d.bring_up(k_rings, 1));
  const GuestPa pa = d.allocate(20);
  EXPECT_EQ(d.request(GetId, 0, {{pa, 20, true}}), 0);
  EXPECT_EQ(d.view(pa, 20), std::string("SERIAL42") + std::string(12, '\0'));
  EXPECT_FALSE(Block::create(std::make_unique<MemoryDisk>(1), {std::string(21, 's')}));
}

TEST(VirtioBlk, WriteCacheModes) {
  auto memory = std::make_unique<MemoryDisk>(8);
  MemoryDisk& m = *memory;
  Disk d(std::move(memory));
  ASSERT_TRUE(d.bring_up(k_rings, 1));
  EXPECT_EQ(d.write_sectors(0, std::string(512, 'b')), 0);
  EXPECT_EQ(m.flushes, 1u) << "a driver without FLUSH gets write-through";
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1));
  EXPECT_EQ(d.write_sectors(0, std::string(512, 'b')), 0);
  EXPECT_EQ(m.flushes, 1u);
  EXPECT_EQ(d.request(Flush, 0, {}), 0);
  EXPECT_EQ(m.flushes, 2u);
  ASSERT_TRUE(d.bring_up(k_rings | k_flush | k_config_wce, 1));
  EXPECT_EQ(d.read(Driver::Config + 32, 1), 1u);
  d.write(Driver::Config + 32, 0, 1);
  EXPECT_EQ(d.read(Driver::Config + 32, 1), 0u);
  EXPECT_EQ(d.write_sectors(0, std::string(512, 'b')), 0);
  EXPECT_EQ(m.flushes, 3u);
}

TEST(VirtioBlk, DiscardAndWriteZeroesPunchHoles) {
  TempFile f(std::string(1024 * 512, 'a'));
  Disk d(open_disk(f));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush | k_discard | k_write_zeroes, 1));
  const auto blocks = f.status().st_blocks;
  EXPECT_EQ(d.range(Discard, 256, 512, 0), 0);
  EXPECT_LT(f.status().st_blocks, blocks);
  EXPECT_EQ(d.range(WriteZeroes, 8, 8, 1), 0);
  EXPECT_EQ(d.range(WriteZeroes, 17, 1, 0), 0);
  EXPECT_EQ(d.read_sectors(7, 12), std::string(512, 'a') + std::string(8 * 512, '\0') + std::string(512, 'a') +
                                       std::string(512, '\0') + std::string(512, 'a'));
  EXPECT_EQ(f.status().st_size, 1024 * 512);
}

TEST(VirtioBlk, AFullHostDiskIsAnErrorForTheGuest) {
  TempFile f(std::string(4 * 512, 'a'));
  ASSERT_EQ(truncate(f.path().c_str(), 64 * 512), 0);
  Disk d(open_disk(f));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1));
  rlimit old;
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small = {16 * 512, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);  // SIGXFSZ does not kill: the worker has it blocked
  const int refused = d.write_sectors(20, std::string(512, 'b'));
  const int partly = d.write_sectors(15, std::string(1024, 'b'));
  const int allowed = d.write_sectors(2, std::string(512, 'c'));
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(partly, 1);
  EXPECT_EQ(allowed, 0);
  EXPECT_EQ(d.read_sectors(2, 1), std::string(512, 'c'));
}

TEST(VirtioBlk, BackendErrorsBecomeStatus) {
  for (const int error : {ENOSPC, EIO}) {
    auto memory = std::make_unique<MemoryDisk>(8);
    MemoryDisk& m = *memory;
    Disk d(std::move(memory));
    ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1));
    m.error = error;
    EXPECT_EQ(d.write_sectors(0, std::string(512, 'b')), 1);
    EXPECT_EQ(d.write_sectors(1, std::string(512, 'b')), 1);
    EXPECT_EQ(d.request(Flush, 0, {}), 1);
    EXPECT_EQ(d.read_sectors(0, 1), "failed");
    m.error = 0;
    EXPECT_EQ(d.write_sectors(0, std::string(512, 'b')), 0);
  }
}

TEST(VirtioBlk, StopCompletesWhatWasAskedAndFlushes) {
  TempFile f(std::string(256 * 512, 'a'));
  {
    Disk d(open_disk(f));
    ASSERT_TRUE(d.negotiate(k_rings | k_flush));
    d.setup_queue(0, 256);
    d.driver_ok();
    for (u32 i = 0; i < 64; ++i) d.submit(Out, i * 2, {{d.put(std::string(512, 'b')), 512, false}});
    d.kick(0);
  }
  const std::string c = f.content();
  for (u32 i = 0; i < 64; ++i) ASSERT_EQ(c[i * 1024], 'b') << i;
}

TEST(VirtioBlk, ResetWhileRequestsAreInFlight) {
  TempFile f(std::string(256 * 512, 'a'));
  Disk d(open_disk(f));
  for (int round = 0; round < 50; ++round) {
    ASSERT_TRUE(d.negotiate(k_rings | k_flush));
    d.place_queue(0, 256);
    d.announce_queue(0);
    d.driver_ok();
    for (u32 i = 0; i < 60; ++i) d.submit(Out, i, {{GuestPa(Driver::k_base), 512, false}});
    d.kick(0);
    d.write(Driver::Status, 0);
    const u16 used = d.load16(d.rings[0].used + 2);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_EQ(d.load16(d.rings[0].used + 2), used) << "the device wrote to the ring after its reset";
    ASSERT_FALSE(d.irq.level());
  }
}

TEST(VirtioBlk, ManyRequestsFromADriverThatSleeps) {
  TempFile f(std::string(256 * 512, 'a'));
  Disk d(open_disk(f));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1, 256));
  for (int i = 0; i < 2000; ++i)
    ASSERT_EQ(d.request(i % 2 ? In : Out, 0, {{GuestPa(Driver::k_base), 512, i % 2 == 1}}), 0);
}

TEST(DiskFile, UnusableFilesAreExplained) {
  const auto missing = DiskFile::open("/nonexistent/disk", false);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("/nonexistent/disk"), std::string::npos);
  EXPECT_EQ(missing.error().kind, ErrorKind::BadInput);
  EXPECT_FALSE(DiskFile::open("/tmp", true));
  EXPECT_FALSE(DiskFile::open("/dev/null", false));
  TempFile empty("");
  const auto r = DiskFile::open(empty.path(), false);
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message.find("empty"), std::string::npos);
}

TEST(DiskFile, WritersExcludeEachOther) {
  TempFile f(std::string(512, 'a'));
  {
    const auto first = open_disk(f);
    const auto second = DiskFile::open(f.path(), false);
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().message.find("in use by another machine"), std::string::npos);
    EXPECT_FALSE(DiskFile::open(f.path(), true));
  }
  const auto reader = open_disk(f, true);
  EXPECT_TRUE(DiskFile::open(f.path(), true));
  EXPECT_FALSE(DiskFile::open(f.path(), false));
}

/// Another program's lock on one byte, held while it lives.
class ByteLock {
 public:
  ByteLock(const std::string& path, off_t byte, short type = F_RDLCK) : fd_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    struct flock request = {};
    request.l_type = type;
    request.l_whence = SEEK_SET;
    request.l_start = byte;
    request.l_len = 1;
    held_ = fcntl(fd_.get(), F_OFD_SETLK, &request) == 0;
  }
  bool held() const { return held_; }

 private:
  Fd fd_;
  bool held_ = false;
};

// QEMU's bytes: 100 + k "does", 200 + k "minds"; 0 reads, 1 writes, 3 resizes.
TEST(DiskFile, LocksAreQemus) {
  TempFile f(std::string(512, 'a'));
  {
    const ByteLock reads(f.path(), 100), minds_writers(f.path(), 201);
    EXPECT_TRUE(DiskFile::open(f.path(), true)) << "two readers";
    EXPECT_FALSE(DiskFile::open(f.path(), false)) << "a writer beside a reader that minds";
  }
  {
    const ByteLock writes(f.path(), 101);
    EXPECT_FALSE(DiskFile::open(f.path(), true));
    EXPECT_FALSE(DiskFile::open(f.path(), false));
  }
  {
    const ByteLock resizes(f.path(), 103);
    EXPECT_FALSE(DiskFile::open(f.path(), true));
  }
  {
    const ByteLock minds_readers(f.path(), 200);
    EXPECT_FALSE(DiskFile::open(f.path(), true));
  }
  {
    const ByteLock exclusive(f.path(), 201, F_WRLCK);
    EXPECT_FALSE(DiskFile::open(f.path(), true)) << "somebody who has the bytes for himself";
  }
  const auto locked = [&](off_t byte) { return !ByteLock(f.path(), byte, F_WRLCK).held(); };
  {
    const auto reader = open_disk(f, true);
    for (const off_t byte : {100, 201, 203}) EXPECT_TRUE(locked(byte)) << byte;
    for (const off_t byte : {0, 101, 103, 200, 202}) EXPECT_FALSE(locked(byte)) << byte;
  }
  const auto writer = open_disk(f);
  for (const off_t byte : {100, 101, 201, 203}) EXPECT_TRUE(locked(byte)) << byte;
}

TEST(DiskFile, AnOddSizeIsFilledUpWithZeros) {
  TempFile f(std::string(700, 'a'));
  Disk d(open_disk(f));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1));
  EXPECT_EQ(d.read(Driver::Config), 2u);
  EXPECT_EQ(d.read_sectors(0, 2), std::string(700, 'a') + std::string(324, '\0'));
  EXPECT_EQ(d.write_sectors(1, std::string(512, 'b')), 0);
  EXPECT_EQ(f.content(), std::string(512, 'a') + std::string(512, 'b'));
}

TEST(DiskFile, AFileCutByOthersIsAnError) {
  TempFile f(std::string(8 * 512, 'a'));
  Disk d(open_disk(f));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1));
  ASSERT_EQ(truncate(f.path().c_str(), 1024), 0);
  EXPECT_EQ(d.read_sectors(4, 1), "failed");
  EXPECT_EQ(d.read_sectors(1, 1), std::string(512, 'a'));
}

}  // namespace
}  // namespace armvisor::devices::virtio
