// Disks whose writes are not kept.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <random>

#include "devices/backends/disk_overlay.h"
#include "devices/backends/disk_source.h"
#include "virtio_disk.h"

namespace armvisor::devices::virtio {
namespace {

using namespace testing;

std::shared_ptr<DiskBackend> open_snapshot(const TempFile& f) {
  return *open_disk({.path = f.path(), .format = "raw", .snapshot = true}, nullptr);
}

TEST(DiskOverlay, TheFileStaysAsItWas) {
  const std::string before(256 * 512, 'a');
  TempFile f(before);
  Disk d(open_snapshot(f));
  EXPECT_FALSE(d.offered() & (1u << 5)) << "the guest may write";
  ASSERT_TRUE(d.bring_up(k_rings | k_flush | k_discard | k_write_zeroes, 1));
  EXPECT_EQ(d.write_sectors(3, std::string(1024, 'b')), 0);
  EXPECT_EQ(d.request(Flush, 0, {}), 0);
  EXPECT_EQ(d.range(WriteZeroes, 20, 30, 0), 0);
  EXPECT_EQ(d.range(Discard, 64, 64, 0), 0);
  EXPECT_EQ(d.read_sectors(2, 4), std::string(512, 'a') + std::string(1024, 'b') + std::string(512, 'a'));
  EXPECT_EQ(d.read_sectors(19, 32), std::string(512, 'a') + std::string(30 * 512, '\0') + std::string(512, 'a'));
  EXPECT_EQ(f.content(), before);
}

TEST(DiskOverlay, OthersMayReadTheFileMeanwhile) {
  TempFile f(std::string(16 * 512, 'a'));
  const auto one = open_snapshot(f), other = open_snapshot(f);
  EXPECT_TRUE(open_disk({.path = f.path(), .read_only = true}, nullptr));
  EXPECT_FALSE(open_disk({.path = f.path()}, nullptr)) << "but not write it";
}

/// Whatever is done to it, it is as a disk in memory to which the same was done.
TEST(DiskOverlay, BehavesAsADiskInMemory) {
  constexpr u32 k_sectors = 2100;  // the last block is not whole
  std::mt19937 random(19);
  std::string model(k_sectors * 512, '\0');
  for (char& c : model) c = static_cast<char>(random());
  const std::string before = model;
  TempFile f(before);
  const auto disk = open_snapshot(f);
  for (int round = 0; round < 3000; ++round) {
    const u64 offset = random() % k_sectors * 512;
    const u64 bytes = std::min<u64>((1 + random() % (random() % 8 ? 12 : 200)) * 512, model.size() - offset);
    std::string data(bytes, static_cast<char>(random()));
    const u64 cut = random() % bytes;
    std::vector<iovec> v = {{data.data(), cut}, {data.data() + cut, bytes - cut}};
    switch (random() % 4) {
      case 0:
        ASSERT_EQ(disk->write(v, offset), 0);
        model.replace(offset, bytes, data);
        break;
      case 1:
        ASSERT_EQ(disk->write_zeroes(offset, bytes, round % 2), 0);
        model.replace(offset, bytes, bytes, '\0');
        break;
      case 2:
        if (!disk->read_at_once(v, offset)) continue;
        ASSERT_TRUE(data == model.substr(offset, bytes)) << round;
        break;
      default: {
        DiskTransfer t{.write = false, .data = v, .offset = offset};
        disk->transfer(std::span(&t, 1));
        ASSERT_EQ(t.error, 0);
        ASSERT_TRUE(data == model.substr(offset, bytes)) << round;
      }
    }
  }
  EXPECT_TRUE(f.content() == before);
}

// A host without room is an I/O error, and what was there before is there still.
TEST(DiskOverlay, AFullHostDiskIsAnErrorForTheGuest) {
  TempFile f(std::string(1024 * 512, 'a'));
  const auto disk = open_snapshot(f);
  Disk d(disk);
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1));
  rlimit old;
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small = {64 * 512, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const int refused = d.write_sectors(200, std::string(512, 'b'));
  const int partly = d.write_sectors(56, std::string(8192, 'b'));
  const int allowed = d.write_sectors(8, std::string(4096, 'c'));
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(partly, 1);
  EXPECT_EQ(allowed, 0);
  EXPECT_EQ(d.read_sectors(200, 8), std::string(4096, 'a'));
  EXPECT_EQ(d.read_sectors(8, 8), std::string(4096, 'c'));
}

TEST(DiskOverlay, TheTemporaryFileIsWhereTheUserSays) {
  TempFile f(std::string(512, 'a'));
  ::setenv("TMPDIR", "/nonexistent", 1);
  const auto disk = open_disk({.path = f.path(), .snapshot = true}, nullptr);
  ::unsetenv("TMPDIR");
  ASSERT_FALSE(disk);
  EXPECT_EQ(disk.error().kind, ErrorKind::HostResource);
  EXPECT_NE(disk.error().message.find("/nonexistent"), std::string::npos);
}

TEST(DiskOverlay, ADiskBeyondItsBoundIsRefused) {
  struct Huge : DiskBackend {
    u64 size() const override { return DiskOverlay::k_most_bytes + 512; }
    bool read_only() const override { return true; }
    std::string_view path() const override { return "huge"; }
    int read(std::span<iovec>, u64) override { return 0; }
    int write(std::span<iovec>, u64) override { return EPERM; }
    int flush() override { return 0; }
    int discard(u64, u64) override { return 0; }
    int write_zeroes(u64, u64, bool) override { return 0; }
  };
  const auto overlay = DiskOverlay::create(std::make_unique<Huge>());
  ASSERT_FALSE(overlay);
  EXPECT_NE(overlay.error().message.find("16 TiB"), std::string::npos);
}

TEST(DiskCache, WritethroughFlushesEachWriteAndUnsafeNone) {
  struct Counting : DiskBackend {
    int flushes = 0, discards = 0;
    u64 size() const override { return 8 * 512; }
    bool read_only() const override { return false; }
    std::string_view path() const override { return "counting"; }
    int read(std::span<iovec>, u64) override { return 0; }
    int write(std::span<iovec>, u64) override { return 0; }
    int flush() override { return ++flushes, 0; }
    int discard(u64, u64) override { return ++discards, 0; }
    int write_zeroes(u64, u64, bool unmap) override { return unmap ? EIO : 0; }
  };
  const auto disk = std::make_shared<Counting>();
  Disk d(disk, MmioVersion::Modern, {.serial = "", .in_place = true, .write_through = true, .unmap = false});
  EXPECT_FALSE(d.offered() & (k_flush | k_config_wce));
  ASSERT_TRUE(d.bring_up(k_rings | k_discard | k_write_zeroes, 1));
  EXPECT_EQ(d.write_sectors(0, std::string(512, 'b')), 0);
  EXPECT_EQ(d.write_sectors(1, std::string(512, 'b')), 0);
  EXPECT_EQ(disk->flushes, 2);
  EXPECT_EQ(d.range(Discard, 0, 8, 0), 0);
  EXPECT_EQ(disk->discards, 0) << "discard=ignore";
  EXPECT_EQ(d.range(WriteZeroes, 0, 8, 1), 0) << "zeros without unmapping";
}

}  // namespace
}  // namespace armvisor::devices::virtio
