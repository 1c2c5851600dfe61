// What a board describes is what the machine has and what its device tree says, for the board that there is and for one
// that is nowhere: nothing but the description may know an address, an interrupt or a number of devices.
#include <gtest/gtest.h>
#include <libfdt.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/log.h"
#include "machine/fdt.h"
#include "machine/machine.h"
#include "unit/device_fakes.h"
#include "unit/fake_chardev.h"

namespace armvisor::machine {
namespace {

constexpr Placement k_other_devices[] = {
    {DeviceKind::VirtioMmio, {{{{GuestPa(0x1c13'0000), 0x200}}}, 200}, 5},
    {DeviceKind::Rtc, {{{{GuestPa(0x1c17'0000), 0x1000}}}, 4}},
    {DeviceKind::Flash, {{{{GuestPa(0x0800'0000), 0x0100'0000}, {GuestPa(0x0c00'0000), 0x0080'0000}}}}},
    {DeviceKind::Gic, {{{{GuestPa(0x2c00'0000), 0x10000}, {GuestPa(0x2d00'0000), 0x10000}}}}},
    {DeviceKind::Uart, {{{{GuestPa(0x1c09'0000), 0x1000}}}, 37}},
    {DeviceKind::FixedClock},
    {DeviceKind::ArchTimer},
};
constexpr Board k_other = {"other",     "maker,other",  "arm,cortex-a7", 3, {GuestPa(0x8000'0000), 0x4000'0000},
                           0x0100'0000, k_other_devices};
static_assert(is_sound(k_other));

/// As little as a machine can be.
constexpr Placement k_bare_devices[] = {
    {DeviceKind::ArchTimer},
    {DeviceKind::Gic, {{{{GuestPa(0x1000'0000), 0x10000}, {GuestPa(0x1001'0000), 0x10000}}}}},
};
constexpr Board k_bare = {"bare",      "maker,bare",  "arm,cortex-a15", 1, {GuestPa(0), 0x1000'0000},
                          0x0100'0000, k_bare_devices};
static_assert(is_sound(k_bare));

TEST(Board, IsUnsoundWhenDevicesShareWhatIsOnlyThereOnce) {
  const auto sound = [](auto change) {
    std::vector<Placement> devices(std::begin(k_other_devices), std::end(k_other_devices));
    Board board = k_other;
    change(board, devices);
    board.devices = devices;
    return is_sound(board);
  };
  using Devices = std::vector<Placement>;
  EXPECT_TRUE(sound([](Board&, Devices&) {}));
  EXPECT_FALSE(sound([](Board& b, Devices&) { b.max_vcpus = 9; }));
  EXPECT_FALSE(sound([](Board& b, Devices&) { b.max_vcpus = 0; }));
  EXPECT_FALSE(sound([](Board& b, Devices&) { b.min_ram = u64{2} << 30; })) << "more than there may be";
  EXPECT_FALSE(sound([](Board& b, Devices&) { b.ram.base = GuestPa(0x2000'0000); })) << "RAM over a device";
  EXPECT_FALSE(sound([](Board& b, Devices&) { b.ram.size = u64{1} << 40; })) << "RAM over the end";
  EXPECT_FALSE(sound([](Board&, Devices& d) { d[1].first.regions[0].base = GuestPa(0x1c13'0000); }));
  EXPECT_FALSE(sound([](Board&, Devices& d) { d[0].first.regions[0].size = 0x10'0000; })) << "the fifth over the RTC";
  EXPECT_FALSE(sound([](Board&, Devices& d) { d[2].first.regions[1].base = GuestPa(0x0880'0000); }));
  EXPECT_FALSE(sound([](Board&, Devices& d) { d[1].first.regions[0].base = GuestPa(0x1c17'0800); }));
  EXPECT_FALSE(sound([](Board&, Devices& d) { d[1].first.spi = 37; })) << "the UART's";
  EXPECT_FALSE(sound([](Board&, Devices& d) { d[1].first.spi = 204; })) << "of the fifth virtio slot";
  EXPECT_FALSE(sound([](Board&, Devices& d) { d[0].first.spi = 252; })) << "the fifth has none";
  EXPECT_FALSE(sound([](Board&, Devices& d) { d[1].first.spi.reset(); })) << "the RTC needs one";
  EXPECT_FALSE(sound([](Board&, Devices& d) { d[3].first.regions[1].size = 0; })) << "a GIC without CPU interface";
  EXPECT_FALSE(sound([](Board&, Devices& d) { d[0].count = 0; }));
  EXPECT_FALSE(sound([](Board&, Devices& d) { d[3].kind = DeviceKind::Flash; })) << "a kind twice, and no GIC";
  EXPECT_FALSE(sound([](Board&, Devices& d) { d.pop_back(); })) << "no timers";
}

/// Nobody: what a machine tells is kept.
struct FakeHost final : MachineHost {
  u32 cpus = 1;
  engine::Vcpu* vcpu = nullptr;
  bool off = false;

  u32 cpu_count() const override { return cpus; }
  CpuPower cpu_power(u32) override { return CpuPower::Off; }
  PsciStatus cpu_on(u32, u32, u32) override { return PsciStatus::Denied; }
  void cpu_off(u32) override {}
  void cpu_suspend(u32) override {}
  void system_off(u32) override {
    off = true;
    vcpu->kick();
  }
  void system_reset(u32) override {}
  Time host_time() override { return {}; }
  void guest_exit(u32, u32) override {}
  CallStatus mark_begin(std::string_view) override { return CallStatus::Success; }
  CallStatus mark_end(std::string_view) override { return CallStatus::Success; }
  void vcpu_input(u32) override {}
  void balloon_changed(u64) override {}
  void watchdog_expired() override {}
  void guest_event(devices::GuestEvent) override {}
  void send_event() override {}
};

class BoardTest : public testing::TestWithParam<const Board*> {
 protected:
  BoardTest() {
    config_.board = &board_;
    set_log_level(LogLevel::Error);
  }
  ~BoardTest() override { std::filesystem::remove(kernel_); }

  Status build(std::vector<DeviceSpec> specs, const BootPlan& plan = {}) {
    config_.ram_size = 32u << 20;
    config_.vcpus = host_.cpus;
    AV_TRY_ASSIGN(flash_, FlashBanks::create(board_, ""));
    const auto factory = [](const engine::EngineConfig& c) { return engine::make_engine("interp", c); };
    AV_TRY_ASSIGN(machine_, Machine::create(plan, config_, {std::move(specs), {}, false, {}}, factory,
                                            {clock_, timers_, *flash_, host_, {}, {}, {}, {.uart = &line_}}));
    return {};
  }
  u32 read(GuestPa pa) {
    u64 value = 0;
    EXPECT_TRUE(machine_->bus().read(pa, 4, value)) << std::hex << pa.value;
    return static_cast<u32>(value);
  }
  void write(GuestPa pa, u32 value) { EXPECT_TRUE(machine_->bus().write(pa, 4, value)) << std::hex << pa.value; }
  bool begins_a_region(GuestPa pa) const {
    return std::ranges::any_of(board_.devices, [&](const Placement& p) {
      return std::ranges::any_of(p.first.used(), [&](const auto& region) { return region.base == pa; });
    });
  }
  bool is_pending(u32 spi) {
    const u32 id = devices::Gic::spi_id(spi);
    return read(board_.base(DeviceKind::Gic) + 0x200 + id / 32 * 4) >> id % 32 & 1;
  }

  const Board& board_ = *GetParam();
  const std::string kernel_ = "/tmp/board_test." + std::to_string(getpid());
  BootConfig config_;
  FakeHost host_;
  devices::FakeChardev line_;
  devices::FakeClock clock_;
  devices::FakeTimers timers_;
  std::unique_ptr<FlashBanks> flash_;
  std::unique_ptr<Machine> machine_;
};

INSTANTIATE_TEST_SUITE_P(Boards, BoardTest,
                         testing::Values(&k_virt, &virt_board(true, VirtPci::High), &virt_board(false, VirtPci::High),
                                         &k_other, &k_bare),
                         [](const auto& p) { return std::string(p.param->name); });

std::vector<u32> cells(const void* fdt, int node, const char* name) {
  int length = 0;
  const void* p = fdt_getprop(fdt, node, name, &length);
  std::vector<u32> out;
  for (int i = 0; i < length / 4; ++i) out.push_back(fdt32_ld(static_cast<const fdt32_t*>(p) + i));
  return out;
}

/// The node at an address, since what it is called is its device's business.
int node_at(const void* fdt, GuestPa base) {
  int node = 0;
  fdt_for_each_subnode(node, fdt, 0) {
    const auto reg = cells(fdt, node, "reg");
    if (reg.size() >= 4 && (u64{reg[0]} << 32 | reg[1]) == base.value) return node;
  }
  return node;
}

TEST_P(BoardTest, HasInItsTreeWhatItDescribes) {
  FdtConfig config;
  config.board = &board_;
  config.ram_size = 32u << 20;
  config.vcpus = board_.max_vcpus;
  const auto made = make_fdt(config);
  ASSERT_TRUE(made) << made.error().message;
  const void* const fdt = made->data();
  ASSERT_EQ(fdt_check_full(fdt, made->size()), 0);
  std::set<std::pair<u32, u32>> interrupts;
  u32 nodes = 0;
  for (const Placement& placement : board_.devices)
    for (u32 n = 0; n < placement.count; ++n) {
      const devices::Site site = placement.site(n);
      if (site.used().empty()) continue;
      const int node = node_at(fdt, site.regions[0].base);
      ASSERT_GE(node, 0) << std::hex << site.regions[0].base.value;
      ++nodes;
      std::vector<u32> reg;
      // Of a GIC the frame for messages has a node of its own, inside; windows of PCI are "ranges".
      const std::size_t in_reg = placement.kind == DeviceKind::Gic       ? 2
                                 : placement.kind == DeviceKind::PciHost ? 1
                                                                         : site.used().size();
      for (const devices::Region& r : site.used().first(in_reg))
        reg.insert(reg.end(), {static_cast<u32>(r.base.value >> 32), static_cast<u32>(r.base.value),
                               static_cast<u32>(r.size >> 32), static_cast<u32>(r.size)});
      EXPECT_EQ(cells(fdt, node, "reg"), reg);
      EXPECT_NE(fdt_getprop(fdt, node, "compatible", nullptr), nullptr);
      if (!site.spi || in_reg < site.used().size()) continue;
      EXPECT_EQ(cells(fdt, node, "interrupts"), (std::vector<u32>{0, *site.spi, 4}));
      EXPECT_TRUE(interrupts.insert({0, *site.spi}).second) << "two devices have one interrupt";
    }
  EXPECT_EQ(cells(fdt, node_at(fdt, board_.ram.base), "reg")[3], 32u << 20);
  int node = 0;
  u32 with_registers = 0, cpus = 0;
  fdt_for_each_subnode(node, fdt, 0) with_registers += fdt_getprop(fdt, node, "reg", nullptr) != nullptr;
  EXPECT_EQ(with_registers, nodes + 1) << "and RAM";
  fdt_for_each_subnode(node, fdt, fdt_path_offset(fdt, "/cpus")) {
    ++cpus;
    EXPECT_STREQ(static_cast<const char*>(fdt_getprop(fdt, node, "compatible", nullptr)), board_.cpu_compatible.data());
  }
  EXPECT_EQ(cpus, board_.max_vcpus);
  EXPECT_EQ(cells(fdt, fdt_path_offset(fdt, "/timer"), "interrupts")[2], ((1u << board_.max_vcpus) - 1) << 8 | 4);
}

/// As QEMU 10 has it for highmem=off; and for highmem-ecam=off, with the window above 4 GiB.
TEST(Board, PciInTheTreeIsQemus) {
  FdtConfig config;
  config.board = &virt_board(false, VirtPci::High);
  config.ram_size = 32u << 20;
  const auto with_window = make_fdt(config);
  ASSERT_TRUE(with_window) << with_window.error().message;
  config.board = &virt_board(false, VirtPci::Low);
  const auto made = make_fdt(config);
  ASSERT_TRUE(made) << made.error().message;
  const void* const fdt = made->data();
  const int pci = fdt_path_offset(fdt, "/pcie@10000000"), frame = fdt_path_offset(fdt, "/intc@8000000/v2m@8020000");
  ASSERT_GE(pci, 0);
  ASSERT_GE(frame, 0);
  using Cells = std::vector<u32>;
  EXPECT_EQ(cells(fdt, pci, "reg"), (Cells{0, 0x3f000000, 0, 0x1000000}));
  EXPECT_EQ(cells(fdt, pci, "bus-range"), (Cells{0, 15}));
  EXPECT_EQ(cells(fdt, pci, "ranges"), (Cells{0x1000000, 0, 0, 0, 0x3eff0000, 0, 0x10000,  //
                                              0x2000000, 0, 0x10000000, 0, 0x10000000, 0, 0x2eff0000}));
  EXPECT_EQ(cells(with_window->data(), fdt_path_offset(with_window->data(), "/pcie@10000000"), "ranges"),
            (Cells{0x1000000,  0, 0,          0,         0x3eff0000, 0, 0x10000, 0x2000000, 0,    0x10000000, 0,
                   0x10000000, 0, 0x2eff0000, 0x3000000, 0x80,       0, 0x80,    0,         0x80, 0}));
  const u32 gic = cells(fdt, fdt_path_offset(fdt, "/intc@8000000"), "phandle")[0];
  const u32 messages = cells(fdt, frame, "phandle")[0];
  EXPECT_EQ(cells(fdt, pci, "msi-map"), (Cells{0, messages, 0, 0x10000}));
  EXPECT_EQ(cells(fdt, pci, "interrupt-map-mask"), (Cells{0x1800, 0, 0, 7}));
  const Cells map = cells(fdt, pci, "interrupt-map");
  ASSERT_EQ(map.size(), 160u);
  for (u32 slot = 0; slot < 4; ++slot)
    for (u32 pin = 0; pin < 4; ++pin) {
      const auto entry = map.begin() + (slot * 4 + pin) * 10;
      EXPECT_EQ(Cells(entry, entry + 10), (Cells{slot << 11, 0, 0, pin + 1, gic, 0, 0, 0, 3 + (slot + pin) % 4, 4}));
    }
}

TEST_P(BoardTest, HasItsDevicesWhereItSaysAndNothingElsewhere) {
  const u32 slots = board_.find(DeviceKind::VirtioMmio) ? board_.find(DeviceKind::VirtioMmio)->count : 0;
  std::vector<DeviceSpec> specs;
  if (slots) specs = {EntropySpec{}, ConsoleSpec{}};
  const Status built = build(std::move(specs));
  ASSERT_TRUE(built) << built.error().message;
  EXPECT_TRUE(machine_->ram().contains(board_.ram.base, config_.ram_size));
  for (const Placement& placement : board_.devices) {
    const devices::Site site = placement.first;
    const auto id = [&](u32 offset) { return read(site.regions[0].base + offset); };
    switch (placement.kind) {
      case DeviceKind::Gic:
        EXPECT_EQ(id(0x008), 0x0200143bu);
        EXPECT_EQ(read(site.regions[1].base + 0xfc), 0x0202143bu);
        break;
      case DeviceKind::Uart:
      case DeviceKind::SecondUart: EXPECT_EQ(id(0xfe0), 0x11u); break;
      case DeviceKind::Rtc: EXPECT_EQ(id(0xfe0), 0x31u); break;
      case DeviceKind::Gpio: EXPECT_EQ(id(0xfe0), 0x61u); break;
      case DeviceKind::FwCfg: EXPECT_EQ(id(0), 0x554d4551u); break;
      case DeviceKind::Flash:
        for (const devices::Region& bank : site.used()) {
          EXPECT_EQ(read(bank.base), ~0u);
          EXPECT_NE(flash_->page(bank.base + (bank.size - 1)), nullptr);
        }
        break;
      case DeviceKind::VirtioMmio:
        for (u32 n = 0; n < slots; ++n) {
          const GuestPa base = placement.site(n).regions[0].base;
          EXPECT_EQ(read(base), 0x74726976u);
          EXPECT_EQ(read(base + 4), 2u);
          EXPECT_EQ(read(base + 8), n == 0 ? 4u : n == 1 ? 3u : 0u) << "slot " << n;
        }
        break;
      case DeviceKind::PciHost:
        EXPECT_EQ(id(0), 0x00081b36u);
        EXPECT_EQ(id(0x8000), ~0u) << "no function in slot 1";
        EXPECT_EQ(read(site.regions[1].base), ~0u);
        EXPECT_EQ(read(site.regions[2].base), ~0u);
        break;
      case DeviceKind::ArchTimer:
      case DeviceKind::PowerKey:
      case DeviceKind::FixedClock: break;
    }
    for (std::size_t n = 0; n < site.used().size(); ++n) {
      const GuestPa behind = whole(placement, n).base + whole(placement, n).size;
      u64 value = 0;
      EXPECT_EQ(machine_->bus().read(behind, 4, value), begins_a_region(behind)) << std::hex << behind.value;
    }
  }
}

TEST_P(BoardTest, RaisesTheInterruptsThatItSays) {
  const Status built = build({});
  ASSERT_TRUE(built) << built.error().message;
  if (const Placement* uart = board_.find(DeviceKind::Uart)) {
    const GuestPa base = uart->first.regions[0].base;
    EXPECT_FALSE(is_pending(*uart->first.spi));
    write(base + 0x30, 0x301);  // UARTCR
    write(base + 0x38, 0x020);  // UARTIMSC: transmit
    write(base, 'x');
    EXPECT_TRUE(is_pending(*uart->first.spi));
  }
  if (const Placement* rtc = board_.find(DeviceKind::Rtc)) {
    const GuestPa base = rtc->first.regions[0].base;
    EXPECT_FALSE(is_pending(*rtc->first.spi));
    write(base + 0x10, 1);           // RTCIMSC
    write(base + 0x04, read(base));  // RTCMR: now
    EXPECT_TRUE(is_pending(*rtc->first.spi));
  }
}

TEST_P(BoardTest, VirtioSlotsHaveTheirOwnInterrupts) {
  const Placement* const slots = board_.find(DeviceKind::VirtioMmio);
  if (!slots) return;
  const Status built = build(std::vector<DeviceSpec>(slots->count, EntropySpec{}));
  ASSERT_TRUE(built) << built.error().message;
  for (u32 n = 0; n < slots->count; ++n) {
    const devices::Site slot = slots->site(n);
    const GuestPa base = slot.regions[0].base;
    // A driver that names no place for its ring: the device asks to be reset, and says so by its interrupt.
    for (const u32 status : {1u, 3u}) write(base + 0x70, status);
    write(base + 0x24, 1);
    write(base + 0x20, 1);  // VIRTIO_F_VERSION_1
    write(base + 0x70, 0xb);
    write(base + 0x38, 8);                                        // QueueNum
    write(base + 0x80, static_cast<u32>(board_.ram.base.value));  // QueueDescLow
    write(base + 0x90, static_cast<u32>(board_.ram.base.value) + 0x1000);
    write(base + 0xa0, static_cast<u32>(board_.ram.base.value) + 0x2000);
    write(base + 0x44, 1);  // QueueReady
    write(base + 0x70, 0xf);
    EXPECT_FALSE(is_pending(*slot.spi)) << "slot " << n;
    u8* const available = machine_->ram().host(board_.ram.base + 0x1000);
    available[2] = 9;  // more than the ring has
    write(base + 0x50, 0);
    EXPECT_TRUE(is_pending(*slot.spi)) << "slot " << n;
    available[2] = 0;
  }
}

TEST_P(BoardTest, RefusesMoreThanItHasPlaceFor) {
  const Placement* const slots = board_.find(DeviceKind::VirtioMmio);
  const Status built = build(std::vector<DeviceSpec>((slots ? slots->count : 0) + 1, EntropySpec{}));
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().kind, ErrorKind::BadArguments);
  config_.kernel = "none";
  config_.vcpus = board_.max_vcpus + 1;
  EXPECT_EQ(plan_boot(config_).error().kind, ErrorKind::BadArguments);
  config_.vcpus = 1;
  config_.ram_size = board_.ram.size + (1u << 20);
  EXPECT_EQ(plan_boot(config_).error().kind, ErrorKind::BadArguments);
  config_.ram_size = board_.min_ram - (1u << 20);
  EXPECT_EQ(plan_boot(config_).error().kind, ErrorKind::BadArguments);
}

TEST_P(BoardTest, RunsAGuestFromItsRamThatSpeaksToItsUart) {
  const bool has_uart = board_.find(DeviceKind::Uart) != nullptr;
  const u32 uart = has_uart ? static_cast<u32>(board_.base(DeviceKind::Uart).value) : 0;
  const auto move = [](u32 r, u32 value) {  // MOVW, MOVT
    const auto half = [r](u32 h) { return (h & 0xf000) << 4 | r << 12 | (h & 0xfff); };
    return std::pair(0xe3000000 | half(value & 0xffff), 0xe3400000 | half(value >> 16));
  };
  const auto [low, high] = move(1, uart);
  const auto [off_low, off_high] = move(0, 0x84000008);                                   // SYSTEM_OFF
  const u32 code[] = {low,     high,     0xe3a0006b, has_uart ? 0xe5810000 : 0xe1a00000,  // mov r0, #'k'; str r0, [r1]
                      off_low, off_high, 0xe1400070, 0xeafffffe};                         // hvc #0; b .
  std::ofstream(kernel_, std::ios::binary).write(reinterpret_cast<const char*>(code), sizeof code);
  char address[16];
  std::snprintf(address, sizeof address, "@0x%llx", static_cast<unsigned long long>(board_.ram.base.value + 0x8000));
  config_.kernel = kernel_ + address;
  config_.ram_size = 32u << 20;
  const auto plan = plan_boot(config_);
  ASSERT_TRUE(plan) << plan.error().message;
  const Status built = build({}, *plan);
  ASSERT_TRUE(built) << built.error().message;
  if (has_uart) write(GuestPa(uart) + 0x30, 0x301);
  host_.vcpu = &machine_->engine().vcpu(0);
  EXPECT_EQ(fdt_check_header(machine_->ram().host(GuestPa(host_.vcpu->state().r[2]))), 0)
      << "the tree is where R2 says";
  EXPECT_EQ(host_.vcpu->run(), engine::Exit::Kicked);
  EXPECT_TRUE(host_.off);
  EXPECT_EQ(line_.output, has_uart ? "k" : "");
}

}  // namespace
}  // namespace armvisor::machine
