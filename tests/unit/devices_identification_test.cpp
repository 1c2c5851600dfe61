// What software reads to know a device: the ID registers of each, one line per register, from the device's manual. A
// driver chooses its workarounds by them (the revision of a PL011 says how deep its FIFO is), so they state one part
// and one revision of it, and agree with how the device behaves.
#include <gtest/gtest.h>

#include <cerrno>

#include "devices/backends/disk.h"
#include "devices/backends/network_options.h"
#include "devices/cfi_flash.h"
#include "devices/gic.h"
#include "devices/pl011.h"
#include "devices/pl031.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/net.h"
#include "devices/virtio/rng.h"
#include "unit/device_fakes.h"

namespace armvisor::devices {
namespace {

struct Id {
  const char* name;
  u32 offset;
  u32 value;
};

template <class Read>
void expect_ids(const char* device, std::span<const Id> ids, const Read& read) {
  for (const Id& id : ids) EXPECT_EQ(read(id.offset), id.value) << device << ' ' << id.name;
}

TEST(Identification, Pl011) {
  // DDI 0183G 3.3.15 to 3.3.22: part 0x011, designer 0x41 (ARM), revision 1 (r1p1), no configuration.
  constexpr Id ids[] = {{"UARTPeriphID0", 0xfe0, 0x11}, {"UARTPeriphID1", 0xfe4, 0x10}, {"UARTPeriphID2", 0xfe8, 0x14},
                        {"UARTPeriphID3", 0xfec, 0x00}, {"UARTPCellID0", 0xff0, 0x0d},  {"UARTPCellID1", 0xff4, 0xf0},
                        {"UARTPCellID2", 0xff8, 0x05},  {"UARTPCellID3", 0xffc, 0xb1}};
  FakeLine irq;
  Pl011 uart(irq, nullptr);
  expect_ids("PL011", ids, [&](u32 offset) { return uart.mmio_read(offset, 4); });
  // Revisions before 3 (r1p5) have FIFOs of 16 characters, and Linux goes by that.
  constexpr u32 UARTDR = 0x00, UARTFR = 0x18, UARTLCR_H = 0x2c, UARTCR = 0x30;
  uart.mmio_write(UARTLCR_H, 4, 0x10);
  uart.mmio_write(UARTCR, 4, 0x381);  // loopback
  for (int n = 1; n <= 16; ++n) {
    EXPECT_EQ(uart.mmio_read(UARTFR, 4) & 0x40, 0u) << "full before character " << n;
    uart.mmio_write(UARTDR, 4, 'x');
  }
  EXPECT_NE(uart.mmio_read(UARTFR, 4) & 0x40, 0u);
}

TEST(Identification, Pl031) {
  // DDI 0224C 3.3.9 to 3.3.16: part 0x031, designer 0x41 (ARM), revision 1, no configuration.
  constexpr Id ids[] = {{"RTCPeriphID0", 0xfe0, 0x31}, {"RTCPeriphID1", 0xfe4, 0x10}, {"RTCPeriphID2", 0xfe8, 0x14},
                        {"RTCPeriphID3", 0xfec, 0x00}, {"RTCPCellID0", 0xff0, 0x0d},  {"RTCPCellID1", 0xff4, 0xf0},
                        {"RTCPCellID2", 0xff8, 0x05},  {"RTCPCellID3", 0xffc, 0xb1}};
  FakeLine irq;
  FakeClock clock;
  FakeTimers timers;
  Pl031 rtc(irq, clock, timers);
  expect_ids("PL031", ids, [&](u32 offset) { return rtc.mmio_read(offset, 4); });
}

TEST(Identification, Gic400) {
  // DDI 0471B 3.2 and 3.3, r0p1: product 2, implementer 0x43b; GICD_TYPER is of 288 interrupts and the CPUs there are.
  constexpr Id distributor[] = {
      {"GICD_IIDR", 0x008, 0x0200143b}, {"GICD_PIDR4", 0xfd0, 0x04}, {"GICD_PIDR5", 0xfd4, 0},
      {"GICD_PIDR6", 0xfd8, 0},         {"GICD_PIDR7", 0xfdc, 0},    {"GICD_PIDR0", 0xfe0, 0x90},
      {"GICD_PIDR1", 0xfe4, 0xb4},      {"GICD_PIDR2", 0xfe8, 0x2b}, {"GICD_PIDR3", 0xfec, 0},
      {"GICD_CIDR0", 0xff0, 0x0d},      {"GICD_CIDR1", 0xff4, 0xf0}, {"GICD_CIDR2", 0xff8, 0x05},
      {"GICD_CIDR3", 0xffc, 0xb1}};
  constexpr Id interface[] = {{"GICC_IIDR", 0x0fc, 0x0202143b}};
  for (const u32 cpus : {1u, 4u, 8u}) {
    Gic gic(cpus, [](u32, bool) {});
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
      expect_ids("GICD", distributor, [&](u32 offset) { return gic.read_distributor(cpu, offset, 4); });
      expect_ids("GICC", interface, [&](u32 offset) { return gic.read_cpu_interface(cpu, offset, 4); });
      EXPECT_EQ(gic.read_distributor(cpu, 0x004, 4), 8u | (cpus - 1) << 5) << "GICD_TYPER";
    }
  }
}

TEST(Identification, CfiFlash) {
  // Intel P30 (two x16 chips side by side): manufacturer 0x89, device 0x18; JESD68.01 table 1 for the query.
  auto made = CfiFlash::create({64 << 20}, [] {});
  ASSERT_TRUE(made) << made.error().message;
  CfiFlash& flash = **made;
  const auto both = [&](u32 word) {
    const u32 value = static_cast<u32>(flash.mmio_read(word * 4, 4));
    EXPECT_EQ(value & 0xffff, value >> 16) << "the chips are equal";
    return value & 0xffff;
  };
  flash.mmio_write(0, 4, 0x00900090);
  constexpr Id identifier[] = {{"manufacturer", 0, 0x89}, {"device", 1, 0x18}, {"block lock", 2, 0}};
  expect_ids("flash", identifier, both);
  flash.mmio_write(0x55 * 4, 4, 0x00980098);
  constexpr Id query[] = {{"Q", 0x10, 'Q'},         {"R", 0x11, 'R'},        {"Y", 0x12, 'Y'},
                          {"command set", 0x13, 1}, {"its high", 0x14, 0},   {"table", 0x15, 0x31},
                          {"its high", 0x16, 0},    {"alternate", 0x17, 0},  {"Vcc min", 0x1b, 0x45},
                          {"Vcc max", 0x1c, 0x55},  {"Vpp min", 0x1d, 0},    {"Vpp max", 0x1e, 0},
                          {"word", 0x1f, 7},        {"buffer", 0x20, 7},     {"block erase", 0x21, 0x0a},
                          {"chip erase", 0x22, 0},  {"max word", 0x23, 4},   {"max buffer", 0x24, 4},
                          {"max erase", 0x25, 4},   {"chip", 0x26, 0},       {"size", 0x27, 25},
                          {"interface", 0x28, 2},   {"its high", 0x29, 0},   {"buffer size", 0x2a, 11},
                          {"its high", 0x2b, 0},    {"regions", 0x2c, 1},    {"blocks", 0x2d, 255},
                          {"its high", 0x2e, 0},    {"block size", 0x2f, 0}, {"its high", 0x30, 2},
                          {"P", 0x31, 'P'},         {"R", 0x32, 'R'},        {"I", 0x33, 'I'},
                          {"major", 0x34, '1'},     {"minor", 0x35, '0'},    {"protection", 0x3f, 1}};
  expect_ids("flash query", query, both);
}

struct NoDisk final : DiskBackend {
  u64 size() const override { return 512; }
  bool read_only() const override { return true; }
  std::string_view path() const override { return "none"; }
  int read(std::span<iovec>, u64) override { return EIO; }
  int write(std::span<iovec>, u64) override { return EIO; }
  int flush() override { return 0; }
  int discard(u64, u64) override { return EIO; }
  int write_zeroes(u64, u64, bool) override { return EIO; }
};

struct NoNetwork final : NetworkBackend {
  Status start(NetworkClient&) override { return {}; }
  void stop() override {}
  void wake() override {}
  void send(std::span<const u8>) override {}
};

std::unique_ptr<virtio::Device> virtio_device(u32 id) {
  switch (id) {
    case 1: return *virtio::Net::create(std::make_unique<NoNetwork>(), default_mac(0));
    case 2: return *virtio::Block::create(std::make_unique<NoDisk>());
    case 3: return std::make_unique<virtio::Console>(nullptr);
    default: return std::make_unique<virtio::Rng>();
  }
}

TEST(Identification, Virtio) {
  auto ram = GuestRam::create(GuestPa(0x40000000), 1 << 20);
  ASSERT_TRUE(ram);
  for (const auto version : {virtio::MmioVersion::Legacy, virtio::MmioVersion::Modern})
    for (u32 id = 1; id <= 4; ++id) {  // virtio 1.2 section 5: network, block, console, entropy
      FakeLine irq;
      virtio::MmioTransport transport(virtio_device(id), *ram, irq, version);
      // 4.2.2 and 4.2.4; the vendor is ours.
      const Id ids[] = {{"MagicValue", 0x000, 0x74726976},
                        {"Version", 0x004, version == virtio::MmioVersion::Legacy ? 1u : 2u},
                        {"DeviceID", 0x008, id},
                        {"VendorID", 0x00c, 0x41564d41}};
      expect_ids("virtio", ids, [&](u32 offset) { return transport.mmio_read(offset, 4); });
    }
}

}  // namespace
}  // namespace armvisor::devices
