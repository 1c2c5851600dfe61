#include <gtest/gtest.h>
#include <libfdt.h>

#include <cstring>

#include "devices/fw_cfg.h"

namespace armvisor::devices {
namespace {

using Bytes = FwCfgItems::Bytes;

constexpr u64 k_data = 0, k_selector = 8, k_dma = 16;
constexpr u32 k_error = 1, k_read = 2, k_skip = 4, k_select = 8, k_write = 16;
constexpr u32 k_none = 0x3fff;  ///< a selector of nothing
constexpr u64 k_ram = 0x40000000, k_ram_size = 1 << 20;

Bytes text(std::string_view s) { return {s.begin(), s.end()}; }

struct Watch final : WriteWatch {
  std::vector<u64> written;
  void watched_written(GuestPa pa, u32) override { written.push_back(pa.value); }
};

class FwCfgTest : public testing::Test {
 protected:
  GuestRam ram = *GuestRam::create(GuestPa(k_ram), k_ram_size);
  const std::shared_ptr<const FwCfgItems> items = std::make_shared<const FwCfgItems>(
      std::map<FwCfgKey, Bytes>{{FwCfgKey::CpuCount, fw_cfg_number(0x1234, 2)},
                                {FwCfgKey::KernelData, text("0123456789")}},
      std::map<std::string, Bytes>{{"opt/b", text("second")}, {"opt/a", text("first")}, {"opt/empty", {}}});
  FwCfg device{items, ram};

  void select(u32 key) { device.mmio_write(k_selector, 2, (key & 0xff) << 8 | key >> 8); }
  u64 data(u32 size = 1) { return device.mmio_read(k_data, size); }
  std::string read_text(u32 count) {
    std::string s;
    while (count-- > 0) s += static_cast<char>(data());
    return s;
  }
  u64 word(u64 pa) {
    u32 value = 0;
    std::memcpy(&value, ram.host(GuestPa(pa)), sizeof value);
    return value;
  }
  void store_big(u64 pa, u64 value, u32 bytes) {
    for (u32 n = 0; n < bytes; ++n) *ram.host(GuestPa(pa + n)) = static_cast<u8>(value >> 8 * (bytes - 1 - n));
  }
  /// A descriptor at `at`; returns the control word that is left there.
  u32 transfer(u32 control, u32 length, u64 address, u64 at = k_ram + 0x100) {
    store_big(at, control, 4);
    store_big(at + 4, length, 4);
    store_big(at + 8, address, 8);
    device.mmio_write(k_dma, 4, __builtin_bswap32(static_cast<u32>(at >> 32)));
    device.mmio_write(k_dma + 4, 4, __builtin_bswap32(static_cast<u32>(at)));
    return __builtin_bswap32(static_cast<u32>(word(at)));
  }
  std::string ram_text(u64 pa, u32 count) { return {reinterpret_cast<const char*>(ram.host(GuestPa(pa))), count}; }
};

TEST_F(FwCfgTest, ItemsAreReadOnFromWhereTheLastReadEnded) {
  EXPECT_EQ(data(4), 0x554d4551u) << "QEMU, selected by reset";
  EXPECT_EQ(data(4), 0u) << "behind the end";
  select(0x11);
  EXPECT_EQ(data(), u64{'0'});
  EXPECT_EQ(data(2), 0x3231u) << "in the order of their bytes";
  EXPECT_EQ(data(8), 0x39383736353433u) << "and zeros";
  EXPECT_EQ(data(8), 0u);
  select(0x11);
  EXPECT_EQ(read_text(10), "0123456789");
  select(0x4011);
  EXPECT_EQ(read_text(3), "012") << "bit 14 does not tell items apart";
  select(1);
  EXPECT_EQ(data(4), 3u) << "registers and DMA";
  select(5);
  EXPECT_EQ(data(2), 0x1234u);
  for (const u32 key : {0x02u, 0x1fu, 0x23u, k_none, 0x8000u, 0x8011u, 0xc000u, 0xffffu}) {
    select(key);
    EXPECT_EQ(data(4), 0u) << std::hex << key;
  }
}

TEST_F(FwCfgTest, FilesAreListedByTheirNames) {
  select(0x19);
  const auto big = [this](u32 bytes) {
    u64 value = 0;
    while (bytes-- > 0) value = value << 8 | data();
    return value;
  };
  EXPECT_EQ(big(4), 3u);
  const std::pair<const char*, u32> files[] = {{"opt/a", 5}, {"opt/b", 6}, {"opt/empty", 0}};
  for (u32 n = 0; n < 3; ++n) {
    EXPECT_EQ(big(4), files[n].second);
    EXPECT_EQ(big(2), 0x20 + n);
    EXPECT_EQ(big(2), 0u);
    const std::string name = read_text(56);
    EXPECT_STREQ(name.c_str(), files[n].first);
    EXPECT_EQ(name[55], 0);
  }
  select(0x20);
  EXPECT_EQ(read_text(5), "first");
  select(0x21);
  EXPECT_EQ(read_text(6), "second");
  select(0x22);
  EXPECT_EQ(data(), 0u);
}

TEST_F(FwCfgTest, RegistersIgnoreOtherAccesses) {
  select(0x11);
  device.mmio_write(k_selector, 4, 0);
  device.mmio_write(k_selector, 1, 0);
  device.mmio_write(k_selector + 1, 1, 0);
  device.mmio_write(k_data, 4, ~0u);
  EXPECT_EQ(device.mmio_read(k_selector, 2), 0u);
  EXPECT_EQ(device.mmio_read(k_data + 1, 1), 0u);
  EXPECT_EQ(read_text(2), "01") << "what was selected still is";
  EXPECT_EQ(device.mmio_read(k_dma, 8), 0x47464320554d4551u) << "QEMU CFG";
  EXPECT_EQ(device.mmio_read(k_dma, 4), 0x554d4551u);
  EXPECT_EQ(device.mmio_read(k_dma + 4, 4), 0x47464320u);
  EXPECT_EQ(device.mmio_read(k_dma + 7, 1), u64{'G'});
}

TEST_F(FwCfgTest, DmaReadsItemsIntoRamAndZerosBehindThem) {
  std::memset(ram.host(GuestPa(k_ram)), 0xaa, 0x1000);
  EXPECT_EQ(transfer(k_select | k_read | 0x11 << 16, 4, k_ram + 0x203), 0u);
  EXPECT_EQ(ram_text(k_ram + 0x202, 6), "\xaa\x30\x31\x32\x33\xaa");
  EXPECT_EQ(transfer(k_read, 8, k_ram + 0x300), 0u);
  EXPECT_EQ(ram_text(k_ram + 0x300, 9), std::string("456789\0\0\xaa", 9));
  EXPECT_EQ(transfer(k_select | k_read | k_none << 16, 2, k_ram + 0x400), 0u);
  EXPECT_EQ(ram_text(k_ram + 0x400, 3), std::string("\0\0\xaa", 3));
  EXPECT_EQ(transfer(k_select | k_skip | 0x11 << 16, 3, 0), 0u);
  EXPECT_EQ(read_text(1), "3") << "registers and DMA share what is selected";
  EXPECT_EQ(transfer(k_skip, 100, 0), 0u);
  EXPECT_EQ(data(), 0u);
  EXPECT_EQ(transfer(k_select | 0x11 << 16, 100, 0), 0u) << "only selects";
  EXPECT_EQ(read_text(2), "01");
  EXPECT_EQ(transfer(k_select | k_read | 0x11 << 16, 1, k_ram + 0x500, k_ram + k_ram_size - 16), 0u);
}

TEST_F(FwCfgTest, NothingCanBeWritten) {
  EXPECT_EQ(transfer(k_select | k_write | 0x11 << 16, 2, k_ram), k_error);
  EXPECT_EQ(read_text(1), "2") << "as QEMU goes on behind it";
  EXPECT_EQ(transfer(k_select | k_write | 0x11 << 16, 0, k_ram), 0u);
  EXPECT_EQ(transfer(k_select | k_write | k_read | 0x11 << 16, 2, k_ram + 0x200), 0u) << "reads";
  EXPECT_EQ(ram_text(k_ram + 0x200, 2), "01");
  EXPECT_EQ(transfer(k_write | k_skip, 1, k_ram), k_error);
}

TEST_F(FwCfgTest, TransfersBesidesRamAreErrors) {
  for (const u64 address :
       {u64{0}, k_ram - 1, k_ram + k_ram_size - 3, k_ram + k_ram_size, u64{1} << 32 | k_ram, ~u64{0}}) {
    EXPECT_EQ(transfer(k_select | k_read | 0x11 << 16, 4, address), k_error) << std::hex << address;
    EXPECT_EQ(transfer(k_select | k_read | k_none << 16, 4, address), k_error) << std::hex << address;
  }
  EXPECT_EQ(transfer(k_select | k_read | 0x11 << 16, ~0u, k_ram + 0x1000), k_error);
  EXPECT_EQ(transfer(k_read, 0, 0), 0u) << "nothing is nowhere";
}

TEST_F(FwCfgTest, DescriptorsBesidesRamAreNotRead) {
  select(0x11);
  for (const u64 at : {u64{0}, k_ram + k_ram_size - 8, u64{0xfffffff8}, ~u64{15}}) {
    device.mmio_write(k_dma, 4, __builtin_bswap32(static_cast<u32>(at >> 32)));
    device.mmio_write(k_dma + 4, 4, __builtin_bswap32(static_cast<u32>(at)));
  }
  EXPECT_EQ(word(k_ram + k_ram_size - 8), 0x01000000u) << "an error where there is RAM for it";
  EXPECT_EQ(read_text(1), "0");
}

TEST_F(FwCfgTest, TheHigherHalfOfAnAddressCountsOnce) {
  store_big(k_ram, k_select | k_read | 0x11 << 16, 4);
  store_big(k_ram + 4, 4, 4);
  store_big(k_ram + 8, k_ram + 0x200, 8);
  device.mmio_write(k_dma, 4, 0x01000000);
  device.mmio_write(k_dma + 4, 4, __builtin_bswap32(k_ram));
  EXPECT_NE(word(k_ram), 0u) << "elsewhere";
  device.mmio_write(k_dma + 4, 2, 0);
  device.mmio_write(k_dma + 4, 4, __builtin_bswap32(k_ram));
  EXPECT_EQ(word(k_ram), 0u);
  EXPECT_EQ(ram_text(k_ram + 0x200, 4), "0123");
  store_big(k_ram, k_read, 4);
  device.mmio_write(k_dma, 8, __builtin_bswap64(k_ram));
  EXPECT_EQ(ram_text(k_ram + 0x200, 4), "4567");
}

TEST_F(FwCfgTest, WhatIsWrittenToRamIsTold) {
  Watch watch;
  ram.set_write_watch(&watch);
  for (const u64 pa : {k_ram, k_ram + 0x2000, k_ram + 0x3000}) ram.marks(GuestPa(pa)) = k_frame_code;
  EXPECT_EQ(transfer(k_select | k_read | 0x11 << 16, 0x1100, k_ram + 0x2000 - 10), 0u);
  EXPECT_EQ(watch.written, (std::vector<u64>{k_ram + 0x2000, k_ram + 0x3000, k_ram + 0x100}));
}

TEST(FwCfg, DescribesItselfAsQemuDoes) {
  TreeWriter tree;
  tree.begin("");
  FwCfg::describe(tree, Site{{{{GuestPa(0x9020000), FwCfg::k_region_size}}}});
  tree.end();
  const auto blob = tree.finish();
  ASSERT_TRUE(blob);
  const int node = fdt_path_offset(blob->data(), "/fw-cfg@9020000");
  ASSERT_GE(node, 0);
  EXPECT_STREQ(static_cast<const char*>(fdt_getprop(blob->data(), node, "compatible", nullptr)), "qemu,fw-cfg-mmio");
  int size = 0;
  const void* const reg = fdt_getprop(blob->data(), node, "reg", &size);
  const u8 expected[] = {0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x18};
  ASSERT_EQ(size, 16);
  EXPECT_EQ(std::memcmp(reg, expected, 16), 0);
  EXPECT_NE(fdt_getprop(blob->data(), node, "dma-coherent", nullptr), nullptr);
}

}  // namespace
}  // namespace armvisor::devices
