#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "machine/flash_banks.h"
#include "machine/virt.h"

namespace armvisor::machine {
namespace {

constexpr u64 k_bank = k_virt_flash_bank;

/// A file for each of the two banks, all zeros.
class FlashFiles : public testing::Test {
 protected:
  const std::string folder = testing::TempDir() + "armvisor_flash_banks";
  std::string firmware;
  std::vector<FlashSpec> files = std::vector<FlashSpec>(2);
  std::size_t first_blank = FlashBanks::k_all_erased;
  std::unique_ptr<FlashBanks> flash;

  FlashFiles() {
    std::filesystem::create_directories(folder);
    for (std::size_t bank = 0; bank < files.size(); ++bank) {
      files[bank].path = folder + "/bank" + std::to_string(bank);
      files[bank].format = "raw";
      write(files[bank].path, "");
    }
  }
  ~FlashFiles() override {
    flash.reset();
    std::filesystem::remove_all(folder);
  }
  static void write(const std::string& path, const std::string& content, u64 size = k_bank) {
    std::ofstream(path, std::ios::binary) << content;
    std::filesystem::resize_file(path, size);
  }
  /// Why not; empty if they were made.
  std::string make() {
    flash.reset();
    auto made = FlashBanks::create(k_virt, firmware, files, first_blank);
    if (!made) return made.error().message;
    flash = *std::move(made);
    return "";
  }
  u32 read(std::size_t bank, u64 offset) { return static_cast<u32>(flash->bank(bank).mmio_read(offset, 4)); }
  void command(std::size_t bank, u32 code) { flash->bank(bank).mmio_write(0, 4, code * 0x10001); }
  /// Sets a block of zeros to a number; returns the status.
  u32 store(std::size_t bank, u32 value) {
    command(bank, 0x20);
    command(bank, 0xd0);
    command(bank, 0x40);
    flash->bank(bank).mmio_write(0, 4, value);
    const u32 status = read(bank, 0);
    command(bank, 0xff);
    return status;
  }
  static u32 in_file(const std::string& path) {
    u32 value = 0;
    std::ifstream(path, std::ios::binary).read(reinterpret_cast<char*>(&value), sizeof value);
    return value;
  }
};

TEST_F(FlashFiles, KeepWhatIsWrittenEachItsOwn) {
  ASSERT_EQ(make(), "");
  EXPECT_EQ(read(0, 0), 0u);
  EXPECT_EQ(store(0, 0x11111111), 0x00800080u);
  EXPECT_EQ(store(1, 0x22222222), 0x00800080u);
  EXPECT_EQ(in_file(files[0].path), 0x11111111u) << "while the machine still runs";
  flash->reset(nullptr);
  EXPECT_EQ(read(0, 0), 0x11111111u);
  ASSERT_EQ(make(), "");
  EXPECT_EQ(read(0, 0), 0x11111111u);
  EXPECT_EQ(read(1, 0), 0x22222222u);
  EXPECT_EQ(std::filesystem::file_size(files[1].path), k_bank);
}

TEST_F(FlashFiles, OneBankMayHaveNone) {
  files[0] = {};
  ASSERT_EQ(make(), "");
  EXPECT_EQ(read(0, 0), 0xffffffffu) << "erased";
  EXPECT_EQ(read(1, 0), 0u);
}

TEST_F(FlashFiles, WhatNothingFillsMayBeZeros) {
  firmware = files[0].path;
  write(firmware, "firmware", 9);
  for (first_blank = 0; first_blank < 3; ++first_blank) {
    for (FlashSpec& file : files) file = {};
    ASSERT_EQ(make(), "");
    for (const u64 offset : {u64{12}, u64{k_page_size}, k_bank - 4})
      EXPECT_EQ(read(0, offset), first_blank > 0 ? ~0u : 0u) << offset << " behind an image";
    EXPECT_EQ(read(1, 0), first_blank > 1 ? ~0u : 0u);
  }
}

TEST_F(FlashFiles, ReadOnlyOnesAreNotWrittenAndMayBeShared) {
  files[1] = files[0];
  files[0].read_only = files[1].read_only = true;
  ASSERT_EQ(make(), "");
  EXPECT_NE(store(0, 1) & 0x20, 0u);
  EXPECT_EQ(read(0, 0), 0u);
  EXPECT_EQ(in_file(files[0].path), 0u);
}

TEST_F(FlashFiles, ASnapshotKeepsNothing) {
  files[0].snapshot = true;
  ASSERT_EQ(make(), "");
  EXPECT_EQ(store(0, 0x11111111), 0x00800080u);
  EXPECT_EQ(read(0, 0), 0x11111111u);
  EXPECT_EQ(in_file(files[0].path), 0u);
}

TEST_F(FlashFiles, AWriterHasItsFileToItself) {
  files[1] = files[0];
  EXPECT_NE(make().find("in use by another machine"), std::string::npos);
  files[1].read_only = true;
  EXPECT_NE(make().find("in use by another machine"), std::string::npos);
}

TEST_F(FlashFiles, WhatMayNotBeWrittenIsReadOnlyIfThatIsEnough) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write to every file";
  std::filesystem::permissions(files[0].path, std::filesystem::perms::owner_read);
  EXPECT_NE(make(), "");
  files[0].or_read_only = true;
  ASSERT_EQ(make(), "");
  EXPECT_NE(store(0, 1) & 0x20, 0u);
}

TEST_F(FlashFiles, OnesThatDoNotFitAreExplained) {
  write(files[0].path, "", k_bank - 4096);
  EXPECT_NE(make().find("expected 67108864 bytes, which a bank of flash has, found 67104768"), std::string::npos);
  write(files[0].path, "", 0);
  EXPECT_NE(make(), "");
  files[0].path = folder + "/missing";
  EXPECT_NE(make(), "");
  files[0].path = folder;
  EXPECT_NE(make(), "");
}

TEST_F(FlashFiles, ImagesOfOtherFormatsAreRefusedUnlessTheyAreSaidToBeRaw) {
  write(files[0].path, std::string("QFI\xfb\0\0\0\x03", 8));
  for (const char* format : {"", "auto"}) {
    files[0].format = format;
    EXPECT_NE(make().find("qcow2"), std::string::npos) << format;
  }
  files[0].format = "raw";
  EXPECT_EQ(make(), "");
}

TEST_F(FlashFiles, AFileThatWasFoundRawStaysRaw) {
  files[0].format = "auto";
  ASSERT_EQ(make(), "");
  EXPECT_EQ(store(0, 0x01020304), 0x00800080u);
  for (const u32 word : {0xfb494651u, 0x03000000u}) {
    command(0, 0x40);
    flash->bank(0).mmio_write(word == 0xfb494651u ? 0 : 4, 4, word);
  }
  EXPECT_EQ(in_file(files[0].path) & ~0x01020304u, 0u) << "bits were only cleared";
  command(0, 0x20);
  command(0, 0xd0);
  for (const u64 at : {0u, 4u}) {
    command(0, 0x40);
    flash->bank(0).mmio_write(at, 4, at == 0 ? 0xfb494651u : 0x03000000u);
  }
  EXPECT_EQ(read(0, 0), 0x00900090u) << "qcow2 from here on";
}

}  // namespace
}  // namespace armvisor::machine
