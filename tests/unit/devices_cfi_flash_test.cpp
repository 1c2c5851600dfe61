#include <gtest/gtest.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "devices/cfi_flash.h"

namespace armvisor::devices {
namespace {

constexpr u64 k_size = 8 << 20;
constexpr u64 k_block = CfiFlash::k_block_size;

class FlashTest : public testing::Test {
 protected:
  u32 changes = 0;
  std::unique_ptr<CfiFlash> flash;

  FlashTest() { make({k_size}); }
  void make(CfiFlashConfig config) {
    auto result = CfiFlash::create(std::move(config), [this] { ++changes; });
    ASSERT_TRUE(result) << result.error().message;
    flash = *std::move(result);
    changes = 0;
  }
  u32 read(u64 offset, u32 size = 4) { return static_cast<u32>(flash->mmio_read(offset, size)); }
  void write(u64 offset, u32 value) { flash->mmio_write(offset, 4, value); }
  void command(u64 offset, u32 code) { write(offset, code | code << 16); }
  void read_array() { command(0, 0xff); }
  u32 status() {
    command(0, 0x70);
    return read(0);
  }
  u32 array(u64 offset, u32 size = 4) {
    read_array();
    return read(offset, size);
  }
  void program(u64 offset, u32 value) {
    command(offset, 0x40);
    write(offset, value);
  }
};

TEST_F(FlashTest, ErasedFlashReadsAsOnes) {
  EXPECT_EQ(read(0), 0xffffffffu);
  EXPECT_EQ(read(k_size - 4), 0xffffffffu);
  ASSERT_NE(flash->array_view(0x1000), nullptr);
  EXPECT_EQ(*flash->array_view(0x1000), 0xff);
  EXPECT_EQ(flash->array_view(k_size), nullptr);
}

TEST_F(FlashTest, BlankFlashReadsAsZeros) {
  CfiFlashConfig config{k_size};
  config.blank = true;
  make(std::move(config));
  EXPECT_EQ(read(k_size - 4), 0u);
}

TEST_F(FlashTest, Identifier) {
  command(0, 0x90);
  EXPECT_EQ(read(0), 0x00890089u);
  EXPECT_EQ(read(4), 0x00180018u);
  EXPECT_EQ(read(8), 0u);
  EXPECT_EQ(read(2, 2), 0x0089u) << "the second chip";
  EXPECT_EQ(read(0, 1), 0x89u);
  EXPECT_EQ(flash->array_view(0), nullptr);
  EXPECT_EQ(changes, 1u);
  read_array();
  EXPECT_NE(flash->array_view(0), nullptr);
  EXPECT_EQ(changes, 2u);
}

TEST_F(FlashTest, IdentifierModeEndsWithAnyCommand) {
  for (const u32 code : {0x40u, 0x20u, 0x60u, 0xe8u}) {
    make({k_size});
    command(8, 0x90);
    EXPECT_EQ(read(8), 0u) << "not locked";
    command(0, code);
    EXPECT_EQ(read(0), 0x00800080u) << std::hex << code << ": ready";
  }
  make({k_size});
  command(8, 0x90);
  command(0, 0x98);
  EXPECT_EQ(read(0x10 * 4), u32{'Q'} * 0x10001);
  command(0, 0x90);
  EXPECT_EQ(read(0), 0x00890089u) << "and query mode likewise";
}

TEST_F(FlashTest, LockStatusIsOfTheBlockThatIsRead) {
  command(k_block, 0x60);
  command(k_block, 0x01);
  command(8, 0x90);
  EXPECT_EQ(read(8), 0u);
  EXPECT_EQ(read(k_block + 8), 0x00010001u);
  EXPECT_EQ(read(2 * k_block + 8), 0u);
}

TEST_F(FlashTest, Query) {
  command(0x55 * 4, 0x98);
  EXPECT_EQ(read(0x10 * 4), u32{'Q'} * 0x10001);
  EXPECT_EQ(read(0x11 * 4), u32{'R'} * 0x10001);
  EXPECT_EQ(read(0x12 * 4), u32{'Y'} * 0x10001);
  EXPECT_EQ(read(0x13 * 4), 0x10001u) << "Intel command set";
  EXPECT_EQ(read(0x27 * 4), 22u * 0x10001) << "4 MiB chips";
  EXPECT_EQ(read(0x2d * 4), 31u * 0x10001) << "32 blocks";
  EXPECT_EQ(read(0x2f * 4), 0u);
  EXPECT_EQ(read(0x30 * 4), 2u * 0x10001) << "of 128 KiB per chip";
}

TEST_F(FlashTest, QueryAnswersAtEveryWidthAndOfEachChip) {
  command(0x55 * 4, 0x98);
  EXPECT_EQ(read(0x11 * 4, 1), u32{'R'});
  EXPECT_EQ(read(0x11 * 4, 2), u32{'R'});
  EXPECT_EQ(read(0x11 * 4 + 2, 2), u32{'R'});
  EXPECT_EQ(flash->mmio_read(0x11 * 4, 8), (u64{'Y'} * 0x10001) << 32 | u64{'R'} * 0x10001);
  EXPECT_EQ(read(0x15 * 4, 1), 0x31u) << "where the primary table is";
  EXPECT_EQ(read(0x31 * 4, 1), u32{'P'});
  EXPECT_EQ(read(0x32 * 4, 1), u32{'R'});
  EXPECT_EQ(read(0x33 * 4, 1), u32{'I'});
  EXPECT_EQ(read(0x2a * 4, 1), 11u) << "log2 of the bytes of a chip's write buffer";
  EXPECT_EQ(read(0x1000 * 4), 0u) << "behind the table";
  EXPECT_EQ(array(0x11 * 4), 0xffffffffu);
}

TEST_F(FlashTest, UnknownCommandsReadTheArray) {
  for (const u32 code : {0x00u, 0xf0u, 0xb0u, 0xd0u, 0x01u, 0x80u, 0xc0u}) {
    command(0, 0x90);
    command(0, code);
    EXPECT_NE(flash->array_view(0), nullptr) << std::hex << code;
    EXPECT_EQ(read(0), 0xffffffffu) << std::hex << code;
    EXPECT_EQ(status(), 0x00800080u) << std::hex << code;
  }
}

TEST_F(FlashTest, StatusIsReadyFromTheStartAndAtEveryWidth) {
  EXPECT_EQ(status(), 0x00800080u);
  EXPECT_EQ(read(k_block + 0x20), 0x00800080u) << "at any address";
  EXPECT_EQ(read(0, 2), 0x80u);
  EXPECT_EQ(read(2, 2), 0x80u);
  EXPECT_EQ(read(0, 1), 0x80u);
  EXPECT_EQ(read(2, 1), 0x80u);
  flash->mmio_write(0, 1, 0xff);
  flash->mmio_write(0, 1, 0x70);
  EXPECT_EQ(read(0, 1), 0x80u) << "a command of a byte";
  flash->mmio_write(0, 2, 0xff);
  EXPECT_EQ(read(0, 2), 0xffffu) << "a command for one chip is taken by both";
}

TEST_F(FlashTest, ErrorsStandInTheStatusUntilTheyAreCleared) {
  command(0, 0x20);
  command(0, 0x12);
  EXPECT_EQ(read(0), 0x00b000b0u);
  program(0, 0x1234);
  EXPECT_EQ(status(), 0x00b000b0u);
  EXPECT_EQ(array(0), 0x1234u) << "what follows is carried out";
  EXPECT_EQ(status(), 0x00b000b0u);
  command(0, 0x50);
  EXPECT_EQ(status(), 0x00800080u);
}

TEST_F(FlashTest, ProgramsWordsHalfwordsAndBytesByBothCommands) {
  for (const u32 code : {0x10u, 0x40u}) {
    make({k_size});
    flash->mmio_write(k_block, 4, code * 0x10001);
    flash->mmio_write(k_block, 4, 0x01020304);
    flash->mmio_write(k_block + 6, 2, code);
    flash->mmio_write(k_block + 6, 2, 0x5566);
    flash->mmio_write(k_block + 9, 1, code);
    flash->mmio_write(k_block + 9, 1, 0x77);
    EXPECT_EQ(status(), 0x00800080u);
    EXPECT_EQ(array(k_block), 0x01020304u);
    EXPECT_EQ(array(k_block + 4), 0x5566ffffu);
    EXPECT_EQ(array(k_block + 8), 0xffff77ffu);
  }
}

TEST_F(FlashTest, ADoublewordIsTwoCyclesOfTheBus) {
  flash->mmio_write(0x100, 8, 0x0000000100400040);  // the command, then what it programs at the next word
  EXPECT_EQ(read(0), 0x00800080u);
  EXPECT_EQ(array(0x104), 1u);
  EXPECT_EQ(array(0x100), 0xffffffffu);
  command(0, 0xe8);
  command(0, 1);
  flash->mmio_write(0x200, 8, 0x1111222233334444);
  command(0, 0xd0);
  read_array();
  EXPECT_EQ(flash->mmio_read(0x200, 8), 0x1111222233334444u);
}

TEST_F(FlashTest, ProgrammingClearsBits) {
  program(0x1000, 0x12345678);
  EXPECT_EQ(read(0), 0x00800080u) << "status";
  program(0x1000, 0xffff0000);
  read_array();
  EXPECT_EQ(read(0x1000), 0x12340000u);
  EXPECT_EQ(read(0x1004), 0xffffffffu);
}

TEST_F(FlashTest, EraseFillsTheBlockWithOnes) {
  program(k_block, 0);
  program(2 * k_block - 4, 0);
  program(2 * k_block, 0);
  command(k_block + 0x100, 0x20);
  command(k_block + 0x100, 0xd0);
  EXPECT_EQ(read(0), 0x00800080u);
  read_array();
  EXPECT_EQ(read(k_block), 0xffffffffu);
  EXPECT_EQ(read(2 * k_block - 4), 0xffffffffu);
  EXPECT_EQ(read(2 * k_block), 0u);
}

TEST_F(FlashTest, EraseWithoutConfirmIsASequenceError) {
  program(0, 0x1234);
  command(0, 0x20);
  command(0, 0x70);
  EXPECT_EQ(read(0), 0x00b000b0u);
  command(0, 0x50);
  command(0, 0x70);
  EXPECT_EQ(read(0), 0x00800080u);
  read_array();
  EXPECT_EQ(read(0), 0x1234u);
}

TEST_F(FlashTest, EraseIsOfTheBlockOfItsFirstCycle) {
  program(0, 0);
  program(k_block, 0);
  command(k_block + 0x100, 0x20);
  command(0, 0xd0);
  EXPECT_EQ(read(0), 0x00800080u);
  EXPECT_EQ(array(0), 0u);
  EXPECT_EQ(array(k_block), 0xffffffffu);
}

TEST_F(FlashTest, ReadArrayAbandonsASequenceAtOnce) {
  for (const u32 code : {0x20u, 0x60u}) {
    make({k_size});
    program(0, 0x1234);
    command(0, code);
    command(0, 0xff);
    EXPECT_NE(flash->array_view(0), nullptr) << std::hex << code;
    EXPECT_EQ(read(0), 0x1234u) << std::hex << code;
    EXPECT_EQ(status(), 0x00b000b0u) << std::hex << code;
  }
}

TEST_F(FlashTest, ABufferIsConfirmedAtAnyAddress) {
  command(2 * k_block, 0xe8);
  command(2 * k_block, 1);
  write(2 * k_block, 0x1111);
  write(2 * k_block + 4, 0x2222);
  command(0, 0xd0);
  EXPECT_EQ(read(0), 0x00800080u);
  EXPECT_EQ(array(2 * k_block), 0x1111u);
  EXPECT_EQ(array(2 * k_block + 4), 0x2222u);
}

TEST_F(FlashTest, ABufferGoesWhereItsFirstWordGoes) {
  command(0, 0xe8);
  command(0, 1);
  write(k_block + 0x80, 0x1111);
  write(k_block + 0x84, 0x2222);
  command(0, 0xd0);
  EXPECT_EQ(read(0), 0x00800080u);
  EXPECT_EQ(array(k_block + 0x80), 0x1111u);
  EXPECT_EQ(array(k_block + 0x84), 0x2222u);
  EXPECT_EQ(array(0), 0xffffffffu);
}

TEST_F(FlashTest, AFullBufferHasAsManyWordsAsTheQuerySays) {
  constexpr u32 k_words = 2 * (1u << 11) / 4;
  command(0, 0xe8);
  command(0, k_words);
  EXPECT_EQ(read(0), 0x00b000b0u) << "one too many";
  command(0, 0x50);
  command(0, 0xe8);
  command(0, k_words - 1);
  for (u32 i = 0; i < k_words; ++i) write(4 * i, i);
  command(0, 0xd0);
  EXPECT_EQ(read(0), 0x00800080u);
  for (u32 i = 0; i < k_words; ++i) EXPECT_EQ(array(4 * i), i);
}

TEST_F(FlashTest, BuffersTakeBytesAndClearBitsOnly) {
  program(0x40, 0x0fffffff);
  command(0, 0xe8);
  command(0, 1);
  flash->mmio_write(0x40, 1, 0x12);
  flash->mmio_write(0x43, 1, 0xff);
  command(0, 0xd0);
  EXPECT_EQ(array(0x40), 0x0fffff12u);
}

TEST_F(FlashTest, BufferedProgram) {
  command(k_block, 0xe8);
  EXPECT_EQ(read(k_block), 0x00800080u);
  command(k_block, 3);
  for (u32 i = 0; i < 4; ++i) write(k_block + 0x40 + 4 * i, 0x1000 + i);
  command(k_block, 0xd0);
  EXPECT_EQ(read(k_block), 0x00800080u);
  read_array();
  for (u32 i = 0; i < 4; ++i) EXPECT_EQ(read(k_block + 0x40 + 4 * i), 0x1000 + i);
}

TEST_F(FlashTest, BufferErrors) {
  command(0, 0xe8);
  command(0, 0xffff);
  EXPECT_EQ(read(0), 0x00b000b0u) << "too many words";
  command(0, 0x50);
  command(0, 0xe8);
  command(0, 1);
  write(k_block - 4, 0);
  write(k_block, 0);
  EXPECT_EQ(read(0), 0x00b000b0u) << "data for two blocks";
  command(0, 0x50);
  command(0, 0xe8);
  command(0, 0);
  write(0, 0);
  command(0, 0x70);
  EXPECT_EQ(read(0), 0x00b000b0u) << "no confirm";
  command(0, 0x50);
  command(0, 0xe8);
  command(0, 0);
  write(0, 0);
  command(0, 0xff);
  EXPECT_EQ(read(0), 0xffffffffu) << "given up";
  EXPECT_EQ(read(k_block - 4), 0xffffffffu);
  EXPECT_EQ(read(k_block), 0xffffffffu);
  EXPECT_EQ(status(), 0x00b000b0u);
}

TEST_F(FlashTest, LockedBlocksKeepTheirContent) {
  command(0, 0x60);
  command(0, 0x01);
  program(0, 0);
  EXPECT_EQ(read(0), 0x00920092u);
  command(0, 0x90);
  EXPECT_EQ(read(8), 0x00010001u);
  EXPECT_EQ(read(k_block + 8), 0u);
  command(0, 0x50);
  command(0, 0x60);
  command(0, 0xd0);
  program(0, 0);
  read_array();
  EXPECT_EQ(read(0), 0u);
}

TEST_F(FlashTest, LockingIsOfTheBlockOfItsFirstCycle) {
  for (const u32 code : {0x01u, 0x2fu}) {
    make({k_size});
    command(k_block, 0x60);
    command(0, code);
    EXPECT_EQ(read(0), 0x00800080u);
    program(0, 0x1111);
    EXPECT_EQ(read(0), 0x00800080u);
    command(k_block, 0x20);
    command(k_block, 0xd0);
    EXPECT_EQ(read(0), 0x00a200a2u) << "no erasing";
    command(0, 0x50);
    command(k_block, 0xe8);
    command(k_block, 0);
    write(k_block, 0);
    command(k_block, 0xd0);
    EXPECT_EQ(read(0), 0x00920092u) << "no buffer";
    command(0, 0x50);
    command(k_block, 0x60);
    command(0, 0xd0);
    program(k_block, 0);
    EXPECT_EQ(read(0), 0x00800080u) << "unlocked";
  }
}

TEST_F(FlashTest, LockSetupTakesTheConfigurationRegisterAndNothingElse) {
  command(0x40, 0x60);
  command(0x40, 0x03);
  EXPECT_EQ(read(0), 0x00800080u);
  command(0, 0x60);
  command(0, 0x44);
  EXPECT_EQ(read(0), 0x00b000b0u);
}

TEST_F(FlashTest, ResetReadsTheArrayUnlocksAndKeepsTheContent) {
  program(0, 0x1234);
  command(0, 0x60);
  command(0, 0x01);
  command(0, 0x20);
  flash->reset();
  EXPECT_EQ(read(0), 0x1234u);
  program(0, 0x1230);
  EXPECT_EQ(read(0), 0x00800080u);
  EXPECT_EQ(array(0), 0x1230u);
}

TEST_F(FlashTest, ReadOnlyFlashRefusesProgramAndErase) {
  make({k_size, "", true});
  program(0, 0);
  EXPECT_EQ(read(0), 0x00920092u);
  command(0, 0x50);
  command(0, 0x20);
  command(0, 0xd0);
  EXPECT_EQ(read(0), 0x00a200a2u);
  read_array();
  EXPECT_EQ(read(0), 0xffffffffu);
}

class FlashImage : public FlashTest {
 protected:
  const std::string path = testing::TempDir() + "armvisor_flash_image";
  void image(std::size_t size) { std::ofstream(path, std::ios::binary) << std::string(size, 'A'); }
  ~FlashImage() override { std::filesystem::remove(path); }
};

TEST_F(FlashImage, IsTheStartOfTheBank) {
  image(5000);
  make({k_size, path});
  EXPECT_EQ(read(4996), 0x41414141u);
  EXPECT_EQ(read(5000), 0xffffffffu);
  program(0, 0);
  make({k_size, path});
  EXPECT_EQ(read(0), 0x41414141u) << "not persistent";
}

TEST_F(FlashImage, BadImagesAreExplained) {
  EXPECT_FALSE(CfiFlash::create({k_size, "/nonexistent/image"}, {}));
  image(0);
  EXPECT_FALSE(CfiFlash::create({k_size, path}, {}));
  image(1 << 20);
  EXPECT_FALSE(CfiFlash::create({512 << 10, path}, {}));
  EXPECT_FALSE(CfiFlash::create({3 << 20}, {}));
}

/// Its bytes, and what was done to it.
struct Medium {
  std::vector<u8> bytes = std::vector<u8>(k_size, 'A');
  bool read_only = false;
  int write_error = 0, flush_error = 0;
  u64 written = 0;
  u32 flushes = 0;
};

class MediumDisk final : public DiskBackend {
 public:
  explicit MediumDisk(Medium& medium) : medium_(medium) {}
  u64 size() const override { return medium_.bytes.size(); }
  bool read_only() const override { return medium_.read_only; }
  std::string_view path() const override { return "medium"; }
  int read(std::span<iovec> to, u64 offset) override {
    for (const iovec& v : to) std::memcpy(v.iov_base, &medium_.bytes.at(offset), v.iov_len);
    return 0;
  }
  int write(std::span<iovec> from, u64 offset) override {
    if (medium_.write_error) return medium_.write_error;
    for (const iovec& v : from) {
      EXPECT_EQ(offset % 512, 0u);
      EXPECT_EQ(v.iov_len % 512, 0u);
      std::memcpy(&medium_.bytes.at(offset), v.iov_base, v.iov_len);
      medium_.written += v.iov_len;
    }
    return 0;
  }
  int flush() override {
    ++medium_.flushes;
    return medium_.flush_error;
  }
  int discard(u64, u64) override { return 0; }
  int write_zeroes(u64, u64, bool) override { return 0; }

 private:
  Medium& medium_;
};

class FlashDisk : public FlashTest {
 protected:
  Medium medium;
  CfiFlashConfig config() {
    CfiFlashConfig c{k_size};
    c.disk = std::make_unique<MediumDisk>(medium);
    return c;
  }
  u32 on_disk(u64 offset) const {
    u32 value;
    std::memcpy(&value, &medium.bytes.at(offset), sizeof value);
    return value;
  }
  void program_buffer(u64 offset, u32 words, u32 value) {
    command(offset, 0xe8);
    command(offset, words - 1);
    for (u32 i = 0; i < words; ++i) write(offset + 4 * i, value);
    command(offset, 0xd0);
  }
};

TEST_F(FlashDisk, IsTheWholeContent) {
  medium.bytes.assign(k_size, 0);
  medium.bytes[k_block + 1] = 5;
  medium.bytes[k_size - 1] = 7;
  make(config());
  EXPECT_EQ(read(0), 0u);
  EXPECT_EQ(read(k_block), 0x500u);
  EXPECT_EQ(read(k_size - 4), 0x07000000u);
}

TEST_F(FlashDisk, WhatIsProgrammedIsOnItWhenTheStatusSaysDone) {
  make(config());
  program(0x204, 0x40404040);
  EXPECT_EQ(on_disk(0x204), 0x40404040u);
  EXPECT_EQ(on_disk(0x208), 0x41414141u);
  EXPECT_EQ(medium.written, 512u);
  program_buffer(k_size - 1024, 256, 0);
  EXPECT_EQ(read(0), 0x00800080u);
  EXPECT_EQ(on_disk(k_size - 4), 0u);
  EXPECT_EQ(on_disk(k_size - 1024), 0u);
  EXPECT_EQ(on_disk(k_size - 1028), 0x41414141u);
  flash->mmio_write(0x1ff, 2, 0x40);  // two bytes in two sectors
  flash->mmio_write(0x1ff, 2, 0);
  EXPECT_EQ(on_disk(0x1fc), 0x00414141u);
  EXPECT_EQ(on_disk(0x200), 0x41414100u);
  EXPECT_EQ(medium.flushes, 0u) << "writeback";
}

TEST_F(FlashDisk, WhatIsErasedIsErasedOnIt) {
  make(config());
  command(k_block, 0x20);
  command(0, 0xd0);
  EXPECT_EQ(read(0), 0x00800080u);
  EXPECT_EQ(on_disk(k_block - 4), 0x41414141u);
  EXPECT_EQ(on_disk(k_block), 0xffffffffu);
  EXPECT_EQ(on_disk(2 * k_block - 4), 0xffffffffu);
  EXPECT_EQ(on_disk(2 * k_block), 0x41414141u);
}

TEST_F(FlashDisk, WhatItDoesNotTakeIsAnErrorForTheGuest) {
  make(config());
  medium.write_error = ENOSPC;
  program(0, 0);
  EXPECT_EQ(read(0), 0x00900090u);
  command(0, 0x50);
  program_buffer(0x100, 2, 0);
  EXPECT_EQ(read(0), 0x00900090u);
  command(0, 0x50);
  command(0, 0x20);
  command(0, 0xd0);
  EXPECT_EQ(read(0), 0x00a000a0u);
  medium.write_error = 0;
  command(0, 0x50);
  program(0, 0x12345678);
  EXPECT_EQ(read(0), 0x00800080u);
  EXPECT_EQ(on_disk(0), 0x12345678u);
}

TEST_F(FlashDisk, EachWriteIsFlushedIfThatIsWanted) {
  CfiFlashConfig c = config();
  c.flush_each = true;
  make(std::move(c));
  program(0, 0);
  EXPECT_EQ(medium.flushes, 1u);
  medium.flush_error = EIO;
  program(4, 0);
  EXPECT_EQ(read(0), 0x00900090u);
}

TEST_F(FlashDisk, AReadOnlyOneMakesTheBankReadOnly) {
  medium.read_only = true;
  make(config());
  program(0, 0);
  EXPECT_EQ(read(0), 0x00920092u);
  EXPECT_EQ(array(0), 0x41414141u);
  EXPECT_EQ(medium.written, 0u);
}

TEST_F(FlashDisk, LockedBlocksAreNotWritten) {
  make(config());
  command(0, 0x60);
  command(0, 0x01);
  program(0, 0);
  program_buffer(0, 4, 0);
  EXPECT_EQ(medium.written, 0u);
}

TEST_F(FlashDisk, OfAnotherSizeIsRefused) {
  for (const u64 size : {k_size / 2, k_size + 512, k_size * 2}) {
    medium.bytes.resize(size);
    const auto made = CfiFlash::create(config(), {});
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().message.find("expected 8388608 bytes"), std::string::npos) << made.error().message;
    EXPECT_NE(made.error().message.find(std::to_string(size)), std::string::npos);
  }
}

TEST_F(FlashTest, AnyAccessIsHarmless) {
  std::mt19937 random(1);
  for (u32 i = 0; i < 200000; ++i) {
    const u64 offset = random() % k_size;
    const u32 size = 1u << (random() % 4);
    constexpr u32 codes[] = {0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xe8, 0xff, 0xd0, 0x01, 3};
    const u32 value = random() & 1 ? codes[random() % std::size(codes)] : static_cast<u32>(random());
    if (random() & 1)
      flash->mmio_read(offset, size);
    else
      flash->mmio_write(random() % 4 ? offset % 0x100 : offset, size, value);
  }
  EXPECT_EQ(flash->mmio_read(k_size - 4, 8), 0u);
}

}  // namespace
}  // namespace armvisor::devices
