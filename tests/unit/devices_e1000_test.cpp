// The e1000 as a driver sees it that follows Intel's manual, and as one does that follows nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "devices/ethernet/e1000.h"
#include "unit/device_fakes.h"

namespace armvisor::devices::e1000 {
namespace {

using Bytes = std::vector<u8>;
constexpr u64 k_ram = 0x40000000;
constexpr u32 k_ram_size = 4u << 20, k_count = 8;
constexpr u64 k_transmit_ring = k_ram + 0x1000, k_receive_ring = k_ram + 0x2000, k_buffers = k_ram + 0x10000;
constexpr MacAddress k_mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

/// Keeps what is sent, and has its work done by the test.
struct Wire final : NetworkBackend {
  Status start(NetworkClient& c) override {
    client = &c;
    return {};
  }
  void stop() override {}
  void wake() override { ++wakes; }
  void send(std::span<const u8> frame) override { sent.emplace_back(frame.begin(), frame.end()); }
  NetworkClient* client = nullptr;
  u32 wakes = 0;
  std::vector<Bytes> sent;
};

class E1000 : public testing::Test {
 protected:
  E1000() : ram(std::move(*GuestRam::create(GuestPa(k_ram), k_ram_size))) {
    auto network = std::make_unique<Wire>();
    wire = network.get();
    controller = std::move(*Controller::create(std::move(network), k_mac, ram, intx));
    for (const auto& bar : controller->bars()) (bar.kind == pci::BarKind::Io ? ports : registers) = bar.device;
    controller->config_write(pci::Command, 2, pci::k_command_memory | pci::k_command_io | pci::k_command_master);
  }
  u32 read(u32 offset) { return static_cast<u32>(registers->mmio_read(offset, 4)); }
  void write(u32 offset, u32 value) { registers->mmio_write(offset, 4, value); }
  void pump() {
    while (wire->client->transmit_pending()) {
    }
    wire->client->received_all();
  }
  void put(u64 pa, std::span<const u8> bytes) { EXPECT_TRUE(ram.write(GuestPa(pa), bytes)); }
  Bytes get(u64 pa, std::size_t size) {
    Bytes bytes(size);
    EXPECT_TRUE(ram.read(GuestPa(pa), bytes));
    return bytes;
  }
  void start(u32 rctl = 0) {
    const std::pair<u32, u64> rings[] = {{Rdbal, k_receive_ring}, {Tdbal, k_transmit_ring}};
    for (const auto& [first, base] : rings) {
      write(first, static_cast<u32>(base));
      write(first + 4, 0);
      write(first + 8, k_count * k_descriptor_size);
    }
    for (u32 n = 0; n < k_count; ++n) descriptor(k_receive_ring, n, k_buffers + n * 0x1000, 0, 0);
    write(Ims, k_irqs);
    write(Tctl, k_tctl_enable);
    write(Rctl, k_rctl_enable | k_rctl_broadcast | rctl);
    write(Rdt, k_count - 1);
  }
  void descriptor(u64 ring, u32 n, u64 address, u32 low, u32 high) {
    u32 words[4] = {static_cast<u32>(address), static_cast<u32>(address >> 32), low, high};
    put(ring + n * k_descriptor_size, {reinterpret_cast<const u8*>(words), sizeof words});
  }
  void transmit(u64 address, u32 low, u32 high = 0) {
    descriptor(k_transmit_ring, tail, address, low, high);
    tail = (tail + 1) % k_count;
  }
  /// Sends what transmit() queued.
  void go() {
    write(Tdt, tail);
    pump();
  }
  Bytes shown(u64 ring, u32 n) { return get(ring + n * k_descriptor_size, k_descriptor_size); }
  void receive(const Bytes& frame) {
    wire->client->receive(frame);
    wire->client->received_all();
  }
  static Bytes frame_to(const MacAddress& to, std::size_t size = 100) {
    Bytes frame(size);
    for (std::size_t n = 0; n < size; ++n) frame[n] = static_cast<u8>(n * 7);
    std::copy(to.begin(), to.end(), frame.begin());
    frame[12] = 8;
    frame[13] = 0;
    return frame;
  }

  GuestRam ram;
  FakeLine intx;
  Wire* wire = nullptr;
  std::unique_ptr<Controller> controller;
  MmioDevice *registers = nullptr, *ports = nullptr;
  u32 tail = 0;
};

TEST_F(E1000, SaysWhatItIs) {
  EXPECT_EQ(controller->config_read(0, 4), 0x100e8086u);
  EXPECT_EQ(controller->config_read(8, 4), 0x02000003u);
  EXPECT_EQ(read(DeviceStatus) & 3, 3u) << "link up, full duplex";
  EXPECT_EQ(read(ReceiveAddresses), 0x12005452u);
  EXPECT_EQ(read(ReceiveAddresses + 4), 0x80005634u);
  ports->mmio_write(0, 4, DeviceStatus);
  EXPECT_EQ(ports->mmio_read(4, 4), read(DeviceStatus));
  EXPECT_EQ(read(0x7ffc), 0u);
  EXPECT_EQ(registers->mmio_read(Controller::k_region_size - 8, 8), 0u);
}

TEST_F(E1000, TheEepromIsReadByRegisterAndByWire) {
  u16 sum = 0;
  for (u32 address = 0; address < 64; ++address) {
    write(Eerd, address << 8 | k_eerd_start);
    const u32 by_register = read(Eerd);
    EXPECT_TRUE(by_register & k_eerd_done);
    // Microwire: a 1, the operation, the address; a bit for each clock.
    write(Eecd, k_eecd_request);
    EXPECT_TRUE(read(Eecd) & k_eecd_grant);
    u32 wires = k_eecd_request | k_eecd_select;
    write(Eecd, wires);
    const auto clock = [&](u32 bit) {
      write(Eecd, wires | bit);
      write(Eecd, wires | bit | k_eecd_clock);
      const bool out = (read(Eecd) & k_eecd_out) != 0;
      write(Eecd, wires | bit);
      return out;
    };
    for (u32 command = 0b110u << 6 | address, n = 9; n-- > 0;) clock(command >> n & 1 ? k_eecd_in : 0);
    u32 by_wire = 0;
    for (u32 n = 0; n < 16; ++n) by_wire = by_wire << 1 | (clock(0) ? 1 : 0);
    write(Eecd, 0);
    EXPECT_EQ(by_wire, by_register >> 16) << address;
    if (address < 3) {
      EXPECT_EQ(by_wire, u32{k_mac[2 * address]} | u32{k_mac[2 * address + 1]} << 8);
    }
    sum = static_cast<u16>(sum + by_wire);
  }
  EXPECT_EQ(sum, 0xbaba);
}

TEST_F(E1000, ThePhyHasALink) {
  const auto phy = [this](u32 reg) {
    write(Mdic, k_mdic_read | 1u << 21 | reg << 16);
    EXPECT_TRUE(read(Mdic) & k_mdic_ready);
    return read(Mdic) & 0xffff;
  };
  EXPECT_EQ(phy(2) << 16 | (phy(3) & 0xfff0), 0x01410c20u);
  EXPECT_EQ(phy(1) & 0x24, 0x24u);
  write(Ims, k_irq_link);
  write(Mdic, k_mdic_write | 1u << 21 | 0u << 16 | 0x1340);  // negotiate anew
  EXPECT_TRUE(intx.level);
  EXPECT_EQ(read(Icr), k_irq_link);
  EXPECT_FALSE(intx.level);
  write(Mdic, k_mdic_read | 2u << 21);
  EXPECT_TRUE(read(Mdic) & k_mdic_error) << "no other PHY";
}

TEST_F(E1000, SendsFramesOfSeveralDescriptors) {
  start();
  const Bytes frame = frame_to({1, 2, 3, 4, 5, 6});
  put(k_buffers, frame);
  transmit(k_buffers, 40);
  transmit(k_buffers + 40, 60 | k_tx_end | k_tx_report);
  go();
  ASSERT_EQ(wire->sent.size(), 1u);
  EXPECT_EQ(wire->sent[0], frame);
  EXPECT_EQ(shown(k_transmit_ring, 1)[12] & 1, 1) << "done";
  EXPECT_EQ(shown(k_transmit_ring, 0)[12] & 1, 0) << "nobody asked";
  EXPECT_EQ(read(Tdh), 2u);
  EXPECT_TRUE(intx.level);
  EXPECT_EQ(read(Icr), k_irq_transmitted | k_irq_transmit_empty);
  EXPECT_EQ(read(Gptc), 1u);
  EXPECT_EQ(read(Gptc), 0u) << "reading clears";
}

TEST_F(E1000, PadsWhatIsShortAndDropsWhatIsNoFrame) {
  start();
  transmit(k_buffers, 20 | k_tx_end);
  transmit(k_buffers, 5 | k_tx_end);
  go();
  ASSERT_EQ(wire->sent.size(), 1u);
  EXPECT_EQ(wire->sent[0].size(), 60u);
}

/// An IPv4 TCP frame of `data` bytes whose TCP checksum is what a driver leaves there.
Bytes tcp_frame(std::size_t data, bool for_segments) {
  Bytes f(14 + 20 + 20 + data);
  f[12] = 8;
  f[14] = 0x45;
  f[18] = 0x12;
  f[19] = 0xff;  // the identification, near a carry
  f[22] = 64;
  f[23] = 6;
  const u8 addresses[] = {10, 0, 2, 15, 10, 0, 2, 2};
  std::copy(std::begin(addresses), std::end(addresses), f.begin() + 26);
  f[38] = f[39] = f[40] = 0xff;  // the sequence number, likewise
  f[46] = 0x50;
  f[47] = 0x19;  // FIN, PSH, ACK
  for (std::size_t n = 0; n < data; ++n) f[54 + n] = static_cast<u8>(n ^ n >> 8);
  u32 sum = 6;
  if (!for_segments) sum += static_cast<u32>(20 + data);
  for (std::size_t n = 26; n < 34; n += 2) sum += u32{f[n]} << 8 | f[n + 1];
  sum = (sum & 0xffff) + (sum >> 16);
  f[50] = static_cast<u8>(sum >> 8);
  f[51] = static_cast<u8>(sum);
  if (!for_segments) {
    f[16] = static_cast<u8>((40 + data) >> 8);
    f[17] = static_cast<u8>(40 + data);
  }
  return f;
}
u32 sum_of(std::span<const u8> bytes, u32 sum = 0) {
  for (std::size_t n = 0; n < bytes.size(); ++n) sum += u32{bytes[n]} << (n % 2 ? 0 : 8);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}
/// Both checksums and the length are right.
void expect_sound(const Bytes& f) {
  EXPECT_EQ(sum_of(std::span(f).subspan(14, 20)), 0xffffu) << "of IP";
  EXPECT_EQ(u32{f[16]} << 8 | f[17], f.size() - 14);
  const u32 pseudo = sum_of(std::span(f).subspan(26, 8)) + 6 + static_cast<u32>(f.size() - 34);
  EXPECT_EQ(sum_of(std::span(f).subspan(34), pseudo), 0xffffu) << "of TCP";
}
constexpr u64 k_context = 14u | 24u << 8 | 33u << 16 | u64{34 | 50u << 8} << 32;
constexpr u32 k_options = u32{k_tx_ip_checksum | k_tx_payload_checksum} << 8;

TEST_F(E1000, MakesChecksums) {
  start();
  const Bytes frame = tcp_frame(101, false);
  put(k_buffers, frame);
  transmit(k_context, k_tx_extended | k_tx_context_tcp | k_tx_context_ipv4);
  transmit(k_buffers, static_cast<u32>(frame.size()) | k_tx_extended | k_tx_data | k_tx_end, k_options);
  go();
  ASSERT_EQ(wire->sent.size(), 1u);
  expect_sound(wire->sent[0]);
}

TEST_F(E1000, CutsSegments) {
  start();
  constexpr std::size_t k_data = 5001, k_segment = 1000;
  const Bytes frame = tcp_frame(k_data, true);
  put(k_buffers, frame);
  transmit(k_context, k_tx_extended | k_tx_context_tcp | k_tx_context_ipv4, 54u << 8 | u32{k_segment} << 16);
  transmit(k_buffers, 54 | k_tx_extended | k_tx_data | k_tx_segments, k_options);
  transmit(k_buffers + 54, k_data | k_tx_extended | k_tx_data | k_tx_segments | k_tx_end | k_tx_report, k_options);
  go();
  ASSERT_EQ(wire->sent.size(), 6u);
  Bytes data;
  for (std::size_t n = 0; n < 6; ++n) {
    const Bytes& f = wire->sent[n];
    if (n < 5) expect_sound(f);
    EXPECT_EQ(f.size(), n < 5 ? 54 + k_segment : 60) << "the last has one byte, and is padded";
    EXPECT_EQ(u32{f[18]} << 8 | f[19], 0x12ffu + n);
    EXPECT_EQ(u32{f[38]} << 24 | f[39] << 16 | f[40] << 8 | f[41], 0xffffff00u + static_cast<u32>(n * k_segment));
    EXPECT_EQ(f[47], n == 5 ? 0x19 : 0x10) << "FIN and PSH are the last one's";
    const std::size_t size = (u32{f[16]} << 8 | f[17]) - 40;
    data.insert(data.end(), f.begin() + 54, f.begin() + 54 + static_cast<std::ptrdiff_t>(size));
  }
  EXPECT_EQ(data, Bytes(frame.begin() + 54, frame.end()));
}

TEST_F(E1000, ReceivesWithTheChecksumThatIsNotThere) {
  start();
  const Bytes frame = frame_to(k_mac);
  receive(frame);
  Bytes d = shown(k_receive_ring, 0);
  EXPECT_EQ(d[8] | d[9] << 8, 104);
  EXPECT_EQ(d[12], k_done | k_rx_end | k_rx_no_checksum);
  EXPECT_EQ(get(k_buffers, 100), frame);
  EXPECT_EQ(read(Rdh), 1u);
  EXPECT_EQ(read(Icr) & k_irq_received, k_irq_received);
  write(Rctl, read(Rctl) | k_rctl_strip_crc);
  receive(frame_to(k_mac, 30));
  d = shown(k_receive_ring, 1);
  EXPECT_EQ(d[8] | d[9] << 8, 60);
}

TEST_F(E1000, ReceivesOverSeveralBuffers) {
  start(k_rctl_long | k_rctl_strip_crc);
  const Bytes frame = frame_to(k_mac, 5000);
  receive(frame);
  EXPECT_EQ(read(Rdh), 3u);
  EXPECT_EQ(shown(k_receive_ring, 0)[12] & k_rx_end, 0);
  EXPECT_EQ(shown(k_receive_ring, 2)[12] & k_rx_end, k_rx_end);
  EXPECT_EQ(get(k_buffers + 0x1000, 2048), Bytes(frame.begin() + 2048, frame.begin() + 4096));
}

TEST_F(E1000, FiltersByAddress) {
  start();
  const MacAddress other = {2, 0, 0, 0, 0, 1}, group = {1, 0, 0x5e, 0, 0x12, 0x34};
  const auto takes = [this](const MacAddress& to) {
    const u32 before = read(Rdh);
    receive(frame_to(to));
    write(Rdt, (read(Rdh) + k_count - 1) % k_count);
    return read(Rdh) != before;
  };
  EXPECT_TRUE(takes(k_mac));
  EXPECT_TRUE(takes({0xff, 0xff, 0xff, 0xff, 0xff, 0xff}));
  EXPECT_FALSE(takes(other));
  EXPECT_FALSE(takes(group));
  const u32 bit = (0x3412u >> 4) & 0xfff;
  write(MulticastTable + 4 * (bit / 32), 1u << (bit % 32));
  EXPECT_TRUE(takes(group));
  write(ReceiveAddresses + 8, 2);
  write(ReceiveAddresses + 12, 0x0100 | k_address_valid);
  EXPECT_TRUE(takes(other));
  write(Rctl, read(Rctl) | k_rctl_all_unicast);
  EXPECT_TRUE(takes({2, 0, 0, 0, 0, 9}));
  write(Rctl, 0);
  EXPECT_FALSE(takes(k_mac));
}

TEST_F(E1000, TagsOfVlansGoIntoDescriptors) {
  start(k_rctl_strip_crc);
  write(Ctrl, read(Ctrl) | k_ctrl_vlan);
  Bytes tagged = frame_to(k_mac);
  const u8 tag[] = {0x81, 0, 0x20, 7};
  tagged.insert(tagged.begin() + 12, tag, tag + 4);
  receive(tagged);
  const Bytes d = shown(k_receive_ring, 0);
  EXPECT_EQ(d[12] & k_rx_vlan, k_rx_vlan);
  EXPECT_EQ(d[14] | d[15] << 8, 0x2007);
  EXPECT_EQ(get(k_buffers, 100), frame_to(k_mac));
  put(k_buffers, frame_to(k_mac));
  transmit(k_buffers, 100 | k_tx_end | k_tx_vlan, 0x2007u << 16);
  go();
  ASSERT_EQ(wire->sent.size(), 1u);
  EXPECT_EQ(wire->sent[0], tagged);
}

TEST_F(E1000, FramesWaitForDescriptorsAndNotWithoutEnd) {
  start(k_rctl_strip_crc);
  for (u32 n = 0; n < 2000; ++n) receive(frame_to(k_mac));
  EXPECT_EQ(read(Rdh), k_count - 1);
  EXPECT_TRUE(read(Icr) & k_irq_overrun);
  EXPECT_EQ(read(Mpc), 2000u - (k_count - 1) - 512);
  write(Rdt, k_count - 2);
  pump();
  EXPECT_EQ(read(Rdh), k_count - 2) << "one descriptor, one of those that waited";
  write(Ctrl, k_ctrl_reset);
  start(k_rctl_strip_crc);
  pump();
  EXPECT_EQ(read(Rdh), 0u) << "a reset forgets them";
}

TEST_F(E1000, AFrameThatNoRingHoldsKeepsNoOtherWaiting) {
  start(k_rctl_long | k_rctl_strip_crc | 3u << 16);  // buffers of 256 bytes
  receive(frame_to(k_mac, 256 * k_count));
  receive(frame_to(k_mac, 256));
  EXPECT_EQ(read(Rdh), 1u);
  EXPECT_EQ(read(Mpc), 1u);
}

TEST_F(E1000, SegmentsOfAByteAreFramesOfABurst) {
  start();
  for (u32 n = 0; n < 3; ++n) {
    transmit(k_context, k_tx_extended | k_tx_context_tcp | k_tx_context_ipv4, 54u << 8 | 1u << 16);
    transmit(k_buffers, 1054 | k_tx_extended | k_tx_data | k_tx_segments | k_tx_end, k_options);
  }
  write(Tdt, tail);
  EXPECT_TRUE(wire->client->transmit_pending());
  EXPECT_EQ(wire->sent.size(), 1000u) << "it is the sockets' turn after one";
  pump();
  EXPECT_EQ(wire->sent.size(), 3000u);
}

TEST_F(E1000, WithoutTheBusNothingMoves) {
  start();
  controller->config_write(pci::Command, 2, pci::k_command_memory);
  transmit(k_buffers, 100 | k_tx_end);
  go();
  receive(frame_to(k_mac));
  EXPECT_TRUE(wire->sent.empty());
  EXPECT_EQ(read(Rdh), 0u);
}

TEST_F(E1000, EndsWithAnyDriver) {
  std::mt19937 random(1);
  const u32 offsets[] = {Ctrl, Eecd,  Mdic,  Ics,   Ims, Imc, Rctl, Tctl,  Rdbal,  Rdlen, Rdh,
                         Rdt,  Tdbal, Tdbah, Tdlen, Tdh, Tdt, Icr,  Rdbah, Rxcsum, Vet};
  for (u32 n = 0; n < 20000; ++n) {
    const u32 offset =
        random() % 4 ? offsets[random() % std::size(offsets)] : random() % Controller::k_region_size & ~3u;
    u32 value = random() >> random() % 32;
    if (offset == Rdbal || offset == Tdbal) value = static_cast<u32>(k_ram + value % (2 * k_ram_size));
    if (offset == Rdbah || offset == Tdbah) value &= random() % 8 ? 0 : ~0u;
    write(offset, value);
    if (random() % 8 == 0) {
      Bytes junk(64);
      for (u8& byte : junk) byte = static_cast<u8>(random());
      put(k_ram + random() % (k_ram_size - 64), junk);
    }
    if (random() % 4 == 0) receive(frame_to(k_mac, 14 + random() % 3000));
    if (random() % 4 == 0) {
      for (u32 turns = 0; turns < 20 && wire->client->transmit_pending(); ++turns) {
      }
      wire->client->received_all();
      wire->sent.clear();
    }
    (void)read(offset);
  }
}

}  // namespace
}  // namespace armvisor::devices::e1000
