#include <gtest/gtest.h>

#include <cstdio>
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

  FlashTest() { make({k_size, "", false, false}); }
  void make(const CfiFlashConfig& config) {
    auto result = CfiFlash::create(config, [this] { ++changes; });
    ASSERT_TRUE(result) << result.error().message;
    flash = *std::move(result);
    changes = 0;
  }
  u32 read(u64 offset, u32 size = 4) { return static_cast<u32>(flash->mmio_read(offset, size)); }
  void write(u64 offset, u32 value) { flash->mmio_write(offset, 4, value); }
  void command(u64 offset, u32 code) { write(offset, code | code << 16); }
  void read_array() { command(0, 0xff); }
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
  command(0, 0xff);
  EXPECT_EQ(read(0), 0x00b000b0u);
  command(0, 0x50);
  command(0, 0x70);
  EXPECT_EQ(read(0), 0x00800080u);
  read_array();
  EXPECT_EQ(read(0), 0x1234u);
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
  command(0, 0);
  write(k_block, 0);
  EXPECT_EQ(read(0), 0x00b000b0u) << "data for another block";
  command(0, 0x50);
  command(0, 0xe8);
  command(0, 0);
  write(0, 0);
  command(0, 0xff);
  EXPECT_EQ(read(0), 0x00b000b0u) << "no confirm";
  read_array();
  EXPECT_EQ(read(0), 0xffffffffu);
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

TEST_F(FlashTest, ReadOnlyFlashRefusesProgramAndErase) {
  make({k_size, "", false, true});
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
  make({k_size, path, false, false});
  EXPECT_EQ(read(4996), 0x41414141u);
  EXPECT_EQ(read(5000), 0xffffffffu);
  program(0, 0);
  make({k_size, path, false, false});
  EXPECT_EQ(read(0), 0x41414141u) << "not persistent";
}

TEST_F(FlashImage, PersistentProgrammingReachesTheFile) {
  image(8192);
  make({k_size, path, true, false});
  program(8, 0);
  make({k_size, path, false, false});
  EXPECT_EQ(read(8), 0u);
  EXPECT_EQ(read(12), 0x41414141u);
}

TEST_F(FlashImage, BadImagesAreExplained) {
  EXPECT_FALSE(CfiFlash::create({k_size, "/nonexistent/image", false, false}, {}));
  image(0);
  EXPECT_FALSE(CfiFlash::create({k_size, path, false, false}, {}));
  image(5000);
  EXPECT_FALSE(CfiFlash::create({k_size, path, true, false}, {}));
  image(1 << 20);
  EXPECT_FALSE(CfiFlash::create({512 << 10, path, false, false}, {}));
  EXPECT_FALSE(CfiFlash::create({3 << 20, "", false, false}, {}));
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
