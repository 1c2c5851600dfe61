// SCSI disks and CD-ROMs, alone and behind virtio-scsi.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "devices/scsi/opcodes.h"
#include "devices/virtio/scsi.h"
#include "virtio_driver.h"

namespace armvisor::devices::scsi {
namespace {

/// In memory; says what was asked of it.
struct MemoryDisk final : DiskBackend {
  explicit MemoryDisk(std::size_t blocks, bool ro = false) : bytes(blocks * 512), only_read(ro) {}
  u64 size() const override { return bytes.size(); }
  bool read_only() const override { return only_read; }
  std::string_view path() const override { return "memory"; }
  int read(std::span<iovec> to, u64 offset) override { return move(to, offset, false); }
  int write(std::span<iovec> from, u64 offset) override { return move(from, offset, true); }
  int flush() override {
    ++flushes;
    return error;
  }
  int discard(u64 offset, u64 n) override {
    discarded.push_back({offset, n});
    return check(offset, n);
  }
  int write_zeroes(u64 offset, u64 n, bool unmap) override {
    if (check(offset, n)) return error;
    std::memset(&bytes[offset], 0, n);
    zeroed.push_back({offset, unmap ? n : 0});
    return error;
  }
  int check(u64 offset, u64 n) {
    EXPECT_TRUE(offset <= bytes.size() && n <= bytes.size() - offset);
    return error;
  }
  int move(std::span<iovec> v, u64 offset, bool to_disk) {
    EXPECT_FALSE(to_disk && only_read);
    for (const iovec& part : v) {
      if (check(offset, part.iov_len)) return error;
      if (to_disk)
        std::memcpy(&bytes[offset], part.iov_base, part.iov_len);
      else
        std::memcpy(part.iov_base, &bytes[offset], part.iov_len);
      offset += part.iov_len;
    }
    return error;
  }
  std::vector<u8> bytes;
  bool only_read;
  int error = 0;
  u32 flushes = 0;
  std::vector<std::pair<u64, u64>> discarded, zeroed;
};

struct ScsiUnit : ::testing::Test {
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>(4096);
  std::unique_ptr<Unit> unit = std::make_unique<Unit>(disk, UnitOptions{.serial = "S1", .name = "name"});
  std::vector<u8> in;

  void make(UnitOptions options, bool read_only = false) {
    disk = std::make_shared<MemoryDisk>(4096, read_only);
    unit = std::make_unique<Unit>(disk, std::move(options));
  }
  /// With room for `room` bytes of an answer, which `in` then holds.
  Reply run(std::initializer_list<u8> cdb, std::size_t room = 0, std::vector<u8> out = {}) {
    Command c;
    std::ranges::copy(cdb, c.cdb.begin());
    in.assign(room, 0xee);
    // Cut up, as buffers of guests are.
    std::vector<iovec> to, from;
    for (std::size_t at = 0; at < in.size(); at += 100)
      to.push_back({&in[at], std::min<std::size_t>(100, in.size() - at)});
    for (std::size_t at = 0; at < out.size(); at += 300)
      from.push_back({&out[at], std::min<std::size_t>(300, out.size() - at)});
    c.in = to;
    c.out = from;
    const Reply reply = unit->execute(c);
    if (room) in.resize(reply.moved);
    return reply;
  }
  Sense sense(std::initializer_list<u8> cdb, std::vector<u8> out = {}) {
    const Reply reply = run(cdb, 0, std::move(out));
    EXPECT_EQ(reply.status, reply.sense == k_no_sense ? Status::Good : Status::CheckCondition);
    return reply.sense;
  }
};

TEST_F(ScsiUnit, TellsWhatItIs) {
  run({INQUIRY, 0, 0, 0, 96}, 96);
  ASSERT_EQ(in.size(), 36u);
  EXPECT_EQ(std::string(in.begin() + 8, in.end()), "QEMU    QEMU HARDDISK   2.5+");
  EXPECT_EQ(in[0], 0u);
  run({INQUIRY, 0, 0, 0, 5}, 96);
  EXPECT_EQ(in.size(), 5u) << "as much as it was asked for";
  run({INQUIRY, 1, 0, 0, 96}, 96);
  EXPECT_EQ(in, (std::vector<u8>{0, 0, 0, 6, 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2}));
  run({INQUIRY, 1, 0x80, 0, 96}, 96);
  EXPECT_EQ(in, (std::vector<u8>{0, 0x80, 0, 2, 'S', '1'}));
  run({INQUIRY, 1, 0x83, 0, 96}, 96);
  EXPECT_EQ(in, (std::vector<u8>{0, 0x83, 0, 6, 2, 0, 0, 2, 'S', '1'}));
  EXPECT_EQ(sense({INQUIRY, 1, 0x99, 0, 96}), k_invalid_field);
  EXPECT_EQ(sense({INQUIRY, 0, 0x80, 0, 96}), k_invalid_field);
  make({.name = "hd0"});
  EXPECT_EQ(sense({INQUIRY, 1, 0x80, 0, 96}), k_invalid_field) << "no serial";
  run({INQUIRY, 1, 0x83, 0, 96}, 96);
  EXPECT_EQ(std::string(in.begin() + 8, in.end()), "hd0");
}

TEST_F(ScsiUnit, SaysItsSize) {
  run({READ_CAPACITY_10}, 8);
  EXPECT_EQ(in, (std::vector<u8>{0, 0, 0x0f, 0xff, 0, 0, 2, 0}));
  run({SERVICE_ACTION_IN_16, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32}, 32);
  ASSERT_EQ(in.size(), 32u);
  EXPECT_EQ(get64(in.data()), 4095u);
  EXPECT_EQ(get32(&in[8]), 512u);
  EXPECT_EQ(in[14], 0x80u);
  EXPECT_EQ(sense({SERVICE_ACTION_IN_16, 0x11}), k_invalid_field);
}

TEST_F(ScsiUnit, ReadsAndWritesByAllLengthsOfCommands) {
  const std::vector<std::vector<u8>> writes = {{WRITE_6, 0, 0, 7, 2},
                                               {WRITE_10, 0, 0, 0, 0, 7, 0, 0, 2},
                                               {WRITE_12, 0, 0, 0, 0, 7, 0, 0, 0, 2},
                                               {WRITE_16, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2}};
  for (std::size_t n = 0; n < writes.size(); ++n) {
    std::vector<u8> data(1024, static_cast<u8>(n + 1));
    Command c;
    std::ranges::copy(writes[n], c.cdb.begin());
    iovec v{data.data(), data.size()};
    c.out = {&v, 1};
    EXPECT_EQ(unit->execute(c).moved, 1024u);
    EXPECT_EQ(disk->bytes[7 * 512], n + 1);
    EXPECT_EQ(disk->bytes[9 * 512 - 1], n + 1);
    EXPECT_EQ(disk->bytes[9 * 512], 0u);
    c.cdb[0] ^= WRITE_6 ^ READ_6;  // the reads' codes
    std::ranges::fill(data, u8{0});
    c.out = {};
    c.in = {&v, 1};
    EXPECT_EQ(unit->execute(c).moved, 1024u);
    EXPECT_EQ(data[1023], n + 1);
  }
  EXPECT_EQ(run({READ_6, 0, 0, 0, 0}, 256 * 512).moved, 256u * 512) << "0 is 256 there";
  EXPECT_EQ(run({READ_10, 0, 0, 0, 0, 0, 0, 0, 0}, 512).moved, 0u) << "and 0 here";
  EXPECT_EQ(run({READ_10, 0, 0, 0, 0, 0, 0, 0, 4}, 1500).moved, 1024u) << "whole blocks that there is room for";
}

TEST_F(ScsiUnit, NothingBeyondTheEnd) {
  EXPECT_EQ(sense({READ_10, 0, 0, 0, 0x10, 0, 0, 0, 1}), k_out_of_range);
  EXPECT_EQ(sense({READ_10, 0, 0, 0, 0x0f, 0xff, 0, 0, 2}), k_out_of_range);
  EXPECT_EQ(sense({READ_10, 0, 0, 0, 0x0f, 0xff, 0, 0, 1}), k_no_sense);
  EXPECT_EQ(sense({WRITE_16, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2}), k_out_of_range);
  EXPECT_EQ(sense({READ_12, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), k_out_of_range);
  EXPECT_EQ(sense({VERIFY_16, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 1}), k_out_of_range);
  EXPECT_EQ(sense({WRITE_SAME_16, 9, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 1}), k_out_of_range);
  EXPECT_EQ(sense({SYNCHRONIZE_CACHE_10, 0, 0, 0, 0x20, 0}), k_out_of_range);
}

TEST_F(ScsiUnit, WritesAreFlushedWhenTheyMustBe) {
  const std::vector<u8> block(512);
  EXPECT_EQ(sense({WRITE_10, 0, 0, 0, 0, 0, 0, 0, 1}, block), k_no_sense);
  EXPECT_EQ(disk->flushes, 0u);
  EXPECT_EQ(sense({WRITE_10, 8, 0, 0, 0, 0, 0, 0, 1}, block), k_no_sense);
  EXPECT_EQ(disk->flushes, 1u) << "FUA";
  EXPECT_EQ(sense({SYNCHRONIZE_CACHE_10}), k_no_sense);
  EXPECT_EQ(disk->flushes, 2u);
  EXPECT_EQ(sense({WRITE_VERIFY_10, 0, 0, 0, 0, 0, 0, 0, 1}, block), k_no_sense);
  EXPECT_EQ(disk->flushes, 3u);
  run({MODE_SENSE_6, 8, 8, 0, 255}, 255);
  ASSERT_EQ(in.size(), 24u);
  EXPECT_EQ(in[6], 4u) << "there is a write cache";
  EXPECT_EQ(
      sense({MODE_SELECT_6, 0x10, 0, 0, 24}, {0, 0, 0, 0, 8, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
      k_no_sense);
  EXPECT_EQ(disk->flushes, 4u);
  EXPECT_EQ(sense({WRITE_10, 0, 0, 0, 0, 0, 0, 0, 1}, block), k_no_sense);
  EXPECT_EQ(disk->flushes, 5u) << "now there is none";
  make({.write_through = true});
  EXPECT_EQ(sense({WRITE_10, 0, 0, 0, 0, 0, 0, 0, 1}, block), k_no_sense);
  EXPECT_EQ(disk->flushes, 1u);
}

TEST_F(ScsiUnit, UnmapsAndFillsRanges) {
  std::vector<u8> ranges(8 + 2 * 16);
  put16(&ranges[2], 32);
  put64(&ranges[8], 8);
  put32(&ranges[16], 16);
  put64(&ranges[24], 4095);
  put32(&ranges[32], 1);
  EXPECT_EQ(sense({UNMAP, 0, 0, 0, 0, 0, 0, 0, 40}, ranges), k_no_sense);
  EXPECT_EQ(disk->discarded, (std::vector<std::pair<u64, u64>>{{8 * 512, 16 * 512}, {4095 * 512, 512}}));
  put32(&ranges[32], 2);
  EXPECT_EQ(sense({UNMAP, 0, 0, 0, 0, 0, 0, 0, 40}, ranges), k_out_of_range);
  EXPECT_EQ(disk->discarded.size(), 2u) << "none of it";
  put16(&ranges[2], 48);
  EXPECT_EQ(sense({UNMAP, 0, 0, 0, 0, 0, 0, 0, 40}, ranges), k_invalid_parameters) << "more than there is";

  EXPECT_EQ(sense({WRITE_SAME_10, 0, 0, 0, 0, 1, 0, 1, 0}, std::vector<u8>(512, 0x5a)), k_no_sense);
  EXPECT_EQ(disk->bytes[512], 0x5au);
  EXPECT_EQ(disk->bytes[257 * 512 - 1], 0x5au);
  EXPECT_EQ(disk->bytes[257 * 512], 0u);
  EXPECT_EQ(sense({WRITE_SAME_16, 8 | 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2}), k_no_sense);
  EXPECT_EQ(disk->bytes[512], 0u);
  EXPECT_EQ(disk->zeroed.back(), (std::pair<u64, u64>{512, 1024}));
  EXPECT_EQ(sense({WRITE_SAME_16, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2}), k_invalid_field) << "no block";
}

TEST_F(ScsiUnit, AReadOnlyDiskIsNotWritten) {
  make({}, true);
  const std::vector<u8> block(512);
  for (const u8 code : {WRITE_6, WRITE_10, WRITE_12, WRITE_16, WRITE_SAME_10, UNMAP})
    EXPECT_EQ(sense({code, 0, 0, 0, 1, 0, 0, 0, 1}, block), k_write_protected) << u32{code};
  run({MODE_SENSE_10, 8, 0x3f, 0, 0, 0, 0, 0, 255}, 255);
  EXPECT_EQ(in[3] & 0x80, 0x80u);
}

TEST_F(ScsiUnit, ErrorsOfTheHostAreTheGuests) {
  disk->error = EIO;
  EXPECT_EQ(run({READ_10, 0, 0, 0, 0, 0, 0, 0, 1}, 512).sense, k_io_error);
  EXPECT_EQ(sense({SYNCHRONIZE_CACHE_16}), k_io_error);
  disk->error = ENOSPC;
  EXPECT_EQ(sense({WRITE_10, 0, 0, 0, 0, 0, 0, 0, 1}, std::vector<u8>(512)), k_no_room);
  EXPECT_EQ(sense({0xff}), k_invalid_opcode);
}

TEST_F(ScsiUnit, ACdRomHasItsMediumInIt) {
  make({.cd_rom = true}, true);
  disk->bytes[2048] = 0x77;
  run({INQUIRY, 0, 0, 0, 96}, 96);
  EXPECT_EQ(in[0], 5u);
  EXPECT_EQ(in[1], 0x80u);
  EXPECT_EQ(std::string(in.begin() + 16, in.begin() + 27), "QEMU CD-ROM");
  run({READ_CAPACITY_10}, 8);
  EXPECT_EQ(get32(in.data()), 1023u);
  EXPECT_EQ(get32(&in[4]), 2048u);
  run({READ_10, 0, 0, 0, 0, 1, 0, 0, 1}, 2048);
  EXPECT_EQ(in[0], 0x77u);
  run({READ_TOC, 0, 0, 0, 0, 0, 0, 0, 20}, 20);
  EXPECT_EQ(in, (std::vector<u8>{0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 4, 0}));
  run({READ_TOC, 2, 0, 0, 0, 0, 0xaa, 0, 20}, 20);
  EXPECT_EQ(in, (std::vector<u8>{0, 10, 1, 1, 0, 0x14, 0xaa, 0, 0, 0, 15, 49}));
  run({READ_TOC, 0, 1, 0, 0, 0, 0, 0, 12}, 12);
  EXPECT_EQ(in.size(), 12u);
  EXPECT_EQ(sense({READ_TOC, 0, 2}), k_invalid_field);
  run({GET_CONFIGURATION, 0, 0, 0, 0, 0, 0, 1, 0}, 256);
  EXPECT_EQ(get16(&in[6]), 8u) << "a CD";
  EXPECT_EQ(get32(in.data()) + 4, in.size());
  run({GET_EVENT_STATUS_NOTIFICATION, 1, 0, 0, 0x10, 0, 0, 0, 8}, 8);
  EXPECT_EQ(in, (std::vector<u8>{0, 6, 4, 0x10, 0, 2, 0, 0})) << "there is a medium";
  EXPECT_EQ(sense({WRITE_10, 0, 0, 0, 0, 0, 0, 0, 1}, std::vector<u8>(2048)), k_write_protected);
  EXPECT_EQ(sense({UNMAP}), k_invalid_opcode);
  EXPECT_EQ(sense({TEST_UNIT_READY}), k_no_sense);
}

/// Any commands with any data: the backend checks that it is asked for what it has.
TEST_F(ScsiUnit, AnyCommandIsSurvived) {
  std::mt19937 random(3);
  u32 good = 0;
  for (const bool cd : {false, true})
    for (u32 i = 0; i < 100'000; ++i) {
      if (i % 10'000 == 0) make({.cd_rom = cd, .serial = cd ? "" : "X"}, cd || i % 20'000 == 0);
      Command c;
      for (u8& b : c.cdb) b = random() % 3 ? u8{0} : static_cast<u8>(random());
      c.cdb[0] = static_cast<u8>(random());
      std::vector<u8> in_bytes(random() % 4096), out_bytes(random() % 4096);
      for (u8& b : out_bytes) b = random() % 4 ? u8{0} : static_cast<u8>(random());
      iovec to{in_bytes.data(), in_bytes.size()}, from{out_bytes.data(), out_bytes.size()};
      c.in = {&to, 1};
      c.out = {&from, 1};
      const Reply reply = unit->execute(c);
      EXPECT_LE(reply.moved, std::max(in_bytes.size(), out_bytes.size()));
      good += reply.status == Status::Good;
    }
  EXPECT_GT(good, 1000u);
}

// --- by virtio

using virtio::k_feature_version_1;
using virtio::Scsi;
using virtio::testing::Driver;

struct VirtioScsi : ::testing::Test {
  VirtioScsi() {
    std::vector<Scsi::Place> places;
    places.push_back({{0, 0}, std::make_unique<Unit>(disk, UnitOptions{.name = "a"})});
    places.push_back({{3, 300}, std::make_unique<Unit>(std::make_shared<MemoryDisk>(8), UnitOptions{.cd_rom = true})});
    driver = std::make_unique<Driver>(*Scsi::create(std::move(places)));
    EXPECT_TRUE(driver->bring_up(k_feature_version_1, 3));
  }
  struct Answer {
    u32 sense_length, residual;
    u16 qualifier;
    u8 status, response;
    u8 sense[96];
  };
  static_assert(sizeof(Answer) == 108);
  Answer ask(std::initializer_list<u8> lun, std::initializer_list<u8> cdb, u32 in = 0, u32 out = 0) {
    u8 request[51] = {};
    std::ranges::copy(lun, request);
    std::ranges::copy(cdb, request + 19);
    const GuestPa at = driver->put({reinterpret_cast<const char*>(request), sizeof request});
    const GuestPa answer = driver->allocate(sizeof(Answer), 16);
    data = driver->allocate(4096, 16);
    std::vector<virtio::testing::Buffer> buffers = {{at, sizeof request, false}};
    if (out) buffers.push_back({data, out, false});
    buffers.push_back({answer, sizeof(Answer), true});
    if (in) buffers.push_back({data, in, true});
    driver->add(2, buffers);
    driver->kick(2);
    const auto used = driver->wait_used(2);
    EXPECT_TRUE(used);
    written = used ? used->length : 0;
    Answer a;
    std::memcpy(&a, driver->ram.host(answer), sizeof a);
    return a;
  }
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>(64);
  std::unique_ptr<Driver> driver;
  GuestPa data;
  u32 written = 0;
};

TEST_F(VirtioScsi, CommandsReachTheUnitOfTheirAddress) {
  disk->bytes[512] = 0x42;
  Answer a = ask({1, 0, 0x40, 0}, {READ_10, 0, 0, 0, 0, 1, 0, 0, 1}, 512);
  EXPECT_EQ(a.response, 0u);
  EXPECT_EQ(a.status, 0u);
  EXPECT_EQ(a.residual, 0u);
  EXPECT_EQ(*driver->ram.host(data), 0x42u);
  EXPECT_EQ(written, 108u + 512);
  a = ask({1, 3, 0x41, 300 - 256}, {READ_CAPACITY_10}, 16);
  EXPECT_EQ(get32(driver->ram.host(data) + 4), 2048u);
  EXPECT_EQ(a.residual, 8u);
  a = ask({1, 0, 0, 0}, {WRITE_10, 0, 0, 0, 0, 2, 0, 0, 1}, 0, 512);
  EXPECT_EQ(a.status, 0u);
  EXPECT_EQ(written, 108u);
  a = ask({1, 0, 0, 0}, {0xff});
  EXPECT_EQ(a.status, 2u);
  EXPECT_EQ(a.sense_length, 18u);
  EXPECT_EQ(a.sense[2], 5u);
  EXPECT_EQ(a.sense[12], 0x20u);
}

TEST_F(VirtioScsi, WhereThereIsNoUnitThatIsSaid) {
  EXPECT_EQ(ask({1, 9, 0x40, 0}, {TEST_UNIT_READY}).response, 3u) << "no target";
  EXPECT_EQ(ask({0, 0, 0, 0}, {TEST_UNIT_READY}).response, 3u);
  Answer a = ask({1, 3, 0x40, 0}, {TEST_UNIT_READY});
  EXPECT_EQ(a.response, 0u);
  EXPECT_EQ(a.sense[12], 0x25u) << "no such unit";
  a = ask({1, 3, 0x40, 0}, {INQUIRY, 0, 0, 0, 36}, 36);
  EXPECT_EQ(a.status, 0u);
  EXPECT_EQ(*driver->ram.host(data), 0x7fu);
  a = ask({1, 3, 0x40, 0}, {REPORT_LUNS, 0, 0, 0, 0, 0, 0, 0, 0, 64}, 64);
  const u8 luns[] = {0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 300 - 256, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(std::memcmp(driver->ram.host(data), luns, sizeof luns), 0);
  EXPECT_EQ(a.residual, 40u);
}

TEST_F(VirtioScsi, TasksAreDoneWhenTheyAreToBeAborted) {
  const auto control = [&](u32 type, u32 function, u8 target, u8 lun) {
    u8 request[24] = {};
    std::memcpy(request, &type, 4);
    std::memcpy(request + 4, &function, 4);
    u8* const where = request + (type == 0 ? 8 : 4);
    where[0] = 1;
    where[1] = target;
    where[2] = 0x40;
    where[3] = lun;
    const GuestPa at = driver->put({reinterpret_cast<const char*>(request), sizeof request});
    const GuestPa answer = driver->put(std::string(5, '\x55'));
    driver->add(0, {{at, sizeof request, false}, {answer, type == 0 ? 1u : 5u, true}});
    driver->kick(0);
    EXPECT_TRUE(driver->wait_used(0));
    return *driver->ram.host(answer + (type == 0 ? 0 : 4));
  };
  EXPECT_EQ(control(0, 5, 0, 0), 0u);
  EXPECT_EQ(control(0, 5, 0, 1), 12u);
  EXPECT_EQ(control(0, 5, 7, 0), 3u);
  EXPECT_EQ(control(0, 99, 0, 0), 11u);
  EXPECT_EQ(control(2, 0, 0, 0), 0u);
}

TEST_F(VirtioScsi, SizesThatTheDriverSetsHoldUntilAReset) {
  const auto config = [&](u32 offset) { return driver->read(Driver::Config + offset); };
  EXPECT_EQ(config(20), 96u);
  EXPECT_EQ(config(24), 32u);
  driver->write(Driver::Config + 20, 0);
  driver->write(Driver::Config + 24, 0x1000);
  EXPECT_EQ(config(20), 0u);
  EXPECT_EQ(config(24), 32u) << "too large";
  driver->write(Driver::Status, 0);
  EXPECT_EQ(config(20), 96u);
}

}  // namespace
}  // namespace armvisor::devices::scsi
