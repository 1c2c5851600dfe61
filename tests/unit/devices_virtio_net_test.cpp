// The virtio network device, its option, and the user-mode network end to end: ARP, DHCP, TCP both ways.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <thread>
#include <vector>

#include "devices/backends/network_options.h"
#include "devices/backends/slirp_network.h"
#include "devices/io_options.h"
#include "devices/virtio/net.h"
#include "guest_packets.h"
#include "virtio_driver.h"

namespace armvisor::devices::virtio {
namespace {

using namespace armvisor::testing;
using virtio::testing::Buffer;
using virtio::testing::Driver;

constexpr u64 k_rings = k_feature_version_1 | k_feature_indirect_desc | k_feature_event_idx;
constexpr u64 k_csum = 1u << 0;
constexpr u64 k_guest_csum = 1u << 1;
constexpr u64 k_mac = 1u << 5;
constexpr u64 k_guest_tso4 = 1u << 7;
constexpr u64 k_host_tso4 = 1u << 11;
constexpr u64 k_mrg = 1u << 15;
constexpr MacAddress k_address = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

/// A wire whose far end is the test.
class Wire final : public NetworkBackend {
 public:
  ~Wire() override { stop(); }
  Status start(NetworkClient& client) override {
    client_ = &client;
    thread_ = std::thread([this] { run(); });
    return {};
  }
  void stop() override {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake();
    thread_.join();
  }
  void wake() override {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
  }
  void send(std::span<const u8> frame) override {
    const std::lock_guard lock(mutex_);
    sent_.emplace_back(frame.begin(), frame.end());
    changed_.notify_all();
  }
  void deliver(std::string frame) { deliver(std::vector{std::move(frame)}); }
  void deliver(const std::vector<std::string>& frames) {
    const std::lock_guard lock(mutex_);
    to_guest_.insert(to_guest_.end(), frames.begin(), frames.end());
    woken_ = true;
    changed_.notify_all();
  }
  std::string wait_sent() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(5), [this] { return !sent_.empty(); })) return "nothing sent";
    std::string f = sent_.front();
    sent_.erase(sent_.begin());
    return f;
  }
  void wait_idle() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(5), [this] { return to_guest_.empty() && !woken_ && waiting_; });
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      waiting_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return woken_; });
      woken_ = waiting_ = false;
      auto frames = std::exchange(to_guest_, {});
      lock.unlock();
      while (client_->transmit_pending()) {
      }
      for (const auto& f : frames) client_->receive({reinterpret_cast<const u8*>(f.data()), f.size()});
      client_->received_all();
      lock.lock();
    }
  }
  NetworkClient* client_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false, stopping_ = false, waiting_ = false;
  std::vector<std::string> sent_, to_guest_;
  std::thread thread_;
};

struct NetGuest : Driver {
  explicit NetGuest(std::unique_ptr<NetworkBackend> backend, MmioVersion version = MmioVersion::Modern)
      : Driver(*Net::create(std::move(backend), k_address), version) {}

  std::size_t header_size() { return features & (k_feature_version_1 | k_mrg) ? 12 : 10; }
  void up(u64 wanted, u16 size = 64) {
    ASSERT_TRUE(bring_up(wanted, 2, size));
    for (int i = 0; i < 32; ++i) post_receive(2048);
    kick(0);
  }
  void post_receive(u32 size) {
    const GuestPa pa = allocate(size, 16);
    buffers[add(0, {{pa, size, true}})] = pa;
  }
  void transmit(std::string_view frame, std::string net_header = std::string(12, '\0')) {
    const std::string all = net_header.substr(0, header_size()) + std::string(frame);
    add(1, {{put(all), static_cast<u32>(all.size()), false}});
    kick(1);
    ASSERT_TRUE(wait_used(1));
  }
  /// The next frame for the guest, its buffers posted again.
  std::string receive(std::chrono::milliseconds limit = std::chrono::milliseconds(5000)) {
    std::string frame;
    u32 left = 1;
    for (bool first = true; left > 0; --left, first = false) {
      const auto used = wait_used(0, limit);
      if (!used) return "nothing received";
      const GuestPa pa = buffers[used->id];
      const std::string_view v = view(pa, used->length);
      if (first) {
        header = v.substr(0, header_size());
        if (header_size() == 12) left = static_cast<u8>(header[10]) + 256u * static_cast<u8>(header[11]);
      }
      frame += first ? v.substr(header_size()) : v;
    }
    return frame;
  }
  std::map<u32, GuestPa> buffers;
  std::string header;
};

TEST(VirtioNet, ConfigHoldsAddressAndLink) {
  NetGuest g(std::make_unique<Wire>());
  EXPECT_EQ(g.read(Driver::DeviceID), 1u);
  for (u32 i = 0; i < 6; ++i) EXPECT_EQ(g.read(Driver::Config + i, 1), k_address[i]);
  EXPECT_EQ(g.read(Driver::Config + 6, 2), 1u);
}

TEST(VirtioNet, FramesPassBothWays) {
  for (const auto& [version, features] : {std::pair{MmioVersion::Modern, k_rings},
                                          {MmioVersion::Modern, k_rings | k_mrg},
                                          {MmioVersion::Legacy, u64{0}},
                                          {MmioVersion::Legacy, k_mrg}}) {
    auto wire = std::make_unique<Wire>();
    Wire& w = *wire;
    NetGuest g(std::move(wire), version);
    g.up(features);
    const std::string frame = ethernet(k_broadcast, 0x88b5, std::string(500, 'p'));
    g.transmit(frame);
    EXPECT_EQ(w.wait_sent(), frame);
    w.deliver(frame);
    EXPECT_EQ(g.receive(), frame);
    EXPECT_EQ(g.transport.counters().bytes_from_guest.get(), frame.size());
    EXPECT_EQ(g.transport.counters().bytes_to_guest.get(), frame.size());
  }
}

TEST(VirtioNet, MergeableBuffersHoldALongFrame) {
  auto wire = std::make_unique<Wire>();
  Wire& w = *wire;
  NetGuest g(std::move(wire));
  ASSERT_TRUE(g.bring_up(k_rings | k_mrg, 2, 64));
  g.post_receive(100);
  g.post_receive(100);
  g.kick(0);
  const std::string frame = ethernet(k_broadcast, 0x88b5, std::string(400, 'p') + std::string(50, 'q'));
  w.deliver(frame);
  w.wait_idle();
  EXPECT_FALSE(g.poll_used(0)) << "no part of a frame is shown before all of it fits";
  for (int i = 0; i < 4; ++i) g.post_receive(100);
  g.kick(0);
  EXPECT_EQ(g.receive(), frame);
  EXPECT_EQ(g.header[10], 5);
}

TEST(VirtioNet, FramesWaitForBuffersInABoundedQueue) {
  auto wire = std::make_unique<Wire>();
  Wire& w = *wire;
  NetGuest g(std::move(wire));
  ASSERT_TRUE(g.bring_up(k_rings, 2, 64));
  for (int i = 0; i < 2000; ++i) w.deliver(ethernet(k_broadcast, 0x88b5, std::string(100, static_cast<char>(i))));
  w.wait_idle();
  EXPECT_EQ(g.transport.counters().dropped.get(), 2000u - 512u);
  for (int i = 0; i < 512; ++i) {
    g.post_receive(200);
    g.kick(0);
    ASSERT_EQ(g.receive()[20], static_cast<char>(i)) << i;
  }
}

TEST(VirtioNet, ResetForgetsWaitingFramesAndBuffers) {
  auto wire = std::make_unique<Wire>();
  Wire& w = *wire;
  NetGuest g(std::move(wire));
  ASSERT_TRUE(g.bring_up(k_rings | k_mrg, 2, 64));
  g.post_receive(100);
  g.kick(0);
  w.deliver(ethernet(k_broadcast, 0x88b5, std::string(1000, 'o')));
  w.wait_idle();
  g.up(k_rings | k_mrg);
  w.deliver(ethernet(k_broadcast, 0x88b5, "new"));
  EXPECT_EQ(g.receive().substr(14), "new");
}

TEST(VirtioNet, BadFramesAreDroppedAndCounted) {
  auto wire = std::make_unique<Wire>();
  Wire& w = *wire;
  NetGuest g(std::move(wire));
  g.up(k_rings | k_csum);
  g.transmit("short");
  g.transmit("");
  g.transmit(std::string(70000, 'x'));
  g.transmit(std::string(60, 'x'), std::string("\x00\x01", 2) + std::string(10, '\0'));     // GSO
  g.transmit(std::string(60, 'x'), std::string("\x01\0\0\0\0\0\x3c\0\0\0\0\0", 12));        // at the end
  g.transmit(std::string(60, 'x'), std::string("\x01\0\0\0\0\0\xff\xff\xff\xff\0\0", 12));  // far outside
  EXPECT_EQ(g.transport.counters().errors.get(), 6u);
  g.transmit(std::string(60, 'y'));
  EXPECT_EQ(w.wait_sent(), std::string(60, 'y'));
}

TEST(VirtioNet, TransmitChecksumIsCompleted) {
  auto wire = std::make_unique<Wire>();
  Wire& w = *wire;
  NetGuest g(std::move(wire));
  g.up(k_rings | k_csum);
  for (const char* data : {"", "odd", "even"}) {
    const std::string header("\x01\0\0\0\0\0\x22\0\x10\0\0\0", 12);  // from 34, the field at 16
    g.transmit(tcp(k_broadcast, 1, k_host_ip, 2, 3, 4, k_ack, data, true), header);
    EXPECT_TRUE(parse_tcp(w.wait_sent()).valid) << data;
  }
}

TEST(VirtioNet, ReceivedChecksumsAreVouchedFor) {
  auto wire = std::make_unique<Wire>();
  Wire& w = *wire;
  NetGuest g(std::move(wire));
  g.up(k_rings | k_guest_csum);
  w.deliver(std::string(60, 'y'));
  g.receive();
  EXPECT_EQ(g.header[0], 2);
}

TEST(VirtioNet, HostileReceiveRingsStopTheDevice) {
  auto wire = std::make_unique<Wire>();
  Wire& w = *wire;
  NetGuest g(std::move(wire));
  ASSERT_TRUE(g.bring_up(k_rings | k_mrg, 2, 64));
  g.add(0, {{g.allocate(64), 64, false}});
  g.kick(0);
  w.deliver(std::string(60, 'y'));
  EXPECT_TRUE(g.wait_status(Driver::k_needs_reset));
  g.up(k_rings | k_mrg);
  w.deliver(std::string(60, 'z'));
  EXPECT_EQ(g.receive(), std::string(60, 'z'));
}

TEST(VirtioNet, ALargeSegmentIsSentWhole) {
  auto wire = std::make_unique<Wire>();
  Wire& w = *wire;
  NetGuest g(std::move(wire));
  g.up(k_rings | k_csum | k_host_tso4);
  const std::string data(40000, 'd');
  g.transmit(tcp(k_broadcast, 1, k_host_ip, 2, 3, 4, k_ack, data, true),
             std::string("\x01\x01\x36\0\xb4\x05\x22\0\x10\0\0\0", 12));
  const TcpView sent = parse_tcp(w.wait_sent());
  EXPECT_TRUE(sent.valid);
  EXPECT_EQ(sent.data, data);
  g.transmit(std::string(60, 'x'), std::string("\x00\x03", 2) + std::string(10, '\0'));  // UDP is not offered
  EXPECT_EQ(g.transport.counters().errors.get(), 1u);
}

/// Segments to the guest: `data` cut into pieces of `bytes`, the last with PSH.
std::vector<std::string> cut(u32 sequence, std::string_view data, std::size_t bytes) {
  std::vector<std::string> frames;
  for (std::size_t at = 0; at < data.size(); at += bytes)
    frames.push_back(tcp(k_guest_mac, 80, k_guest_ip, 1000, sequence + static_cast<u32>(at), 7,
                         at + bytes < data.size() ? k_ack : k_ack | k_psh, data.substr(at, bytes)));
  return frames;
}

std::string counted(std::size_t n) {
  std::string s;
  for (std::size_t i = 0; i < n; ++i) s += static_cast<char>(i * 7 / 3);
  return s;
}

TEST(VirtioNet, SegmentsThatFollowEachOtherAreGivenAsOne) {
  auto wire = std::make_unique<Wire>();
  Wire& w = *wire;
  NetGuest g(std::move(wire));
  g.up(k_rings | k_mrg | k_guest_csum | k_guest_tso4);
  const std::string data = counted(5 * 1001 + 77);
  w.deliver(cut(0xfffffc00, data, 1001));
  std::string frame = g.receive();
  EXPECT_EQ(g.header.substr(0, 10), std::string("\x01\x01\x36\0\xe9\x03\x22\0\x10\0", 10));
  EXPECT_EQ(frame.size(), 54 + data.size());
  EXPECT_EQ(checksum(frame.substr(14, 20)), 0u) << "of the IP header";
  // What a card that sends it would do.
  frame.replace(50, 2, be16(checksum(frame.substr(34))));
  const TcpView v = parse_tcp(frame);
  EXPECT_TRUE(v.valid);
  EXPECT_EQ(v.seq, 0xfffffc00u);
  EXPECT_EQ(v.flags, k_ack | k_psh);
  EXPECT_EQ(v.data, data);
}

TEST(VirtioNet, OtherSegmentsStayAlone) {
  const auto segment = [](u32 source, u32 sequence, u32 ack, u8 flags, std::size_t bytes) {
    return tcp(k_guest_mac, source, k_guest_ip, 1000, sequence, ack, flags, std::string(bytes, 's'));
  };
  const std::string first = segment(80, 0, 7, k_ack, 100);
  std::string option = segment(80, 100, 7, k_ack, 100), fragment = option, ttl = option, window = option;
  option[14] = 0x46;
  fragment[20] = 0x20;
  ttl[22] = 3;
  window[48] = 1;
  const std::pair<const char*, std::string> seconds[] = {
      {"a gap", segment(80, 101, 7, k_ack, 100)},
      {"a repetition", segment(80, 0, 7, k_ack, 100)},
      {"another connection", segment(81, 100, 7, k_ack, 100)},
      {"another acknowledgement", segment(80, 100, 8, k_ack, 100)},
      {"the end", segment(80, 100, 7, k_ack | k_fin, 100)},
      {"longer", segment(80, 100, 7, k_ack, 101)},
      {"no data", segment(80, 100, 7, k_ack, 0)},
      {"not TCP", udp(k_guest_mac, k_host_ip, 80, k_guest_ip, 1000, std::string(100, 's'))},
      {"options of IP", option},
      {"a fragment", fragment},
      {"another TTL", ttl},
      {"another window", window},
      {"short", std::string(20, 's')},
  };
  for (const auto& [what, second] : seconds) {
    auto wire = std::make_unique<Wire>();
    Wire& w = *wire;
    NetGuest g(std::move(wire));
    g.up(k_rings | k_mrg | k_guest_csum | k_guest_tso4);
    w.deliver(std::vector{first, second});
    EXPECT_EQ(g.receive(), first) << what;
    EXPECT_EQ(g.header[1], 0) << what;
    EXPECT_EQ(g.receive(), second) << what;
  }
}

TEST(VirtioNet, SegmentsAreJoinedOnlyForDriversThatAskForIt) {
  auto wire = std::make_unique<Wire>();
  Wire& w = *wire;
  NetGuest g(std::move(wire));
  g.up(k_rings | k_mrg | k_guest_csum);
  const auto frames = cut(0, counted(300), 100);
  w.deliver(frames);
  for (const std::string& f : frames) EXPECT_EQ(g.receive(), f);
}

TEST(VirtioNet, JoinedSegmentsFitIntoAnIpPacket) {
  auto wire = std::make_unique<Wire>();
  Wire& w = *wire;
  NetGuest g(std::move(wire));
  g.up(k_rings | k_mrg | k_guest_csum | k_guest_tso4);
  for (int i = 0; i < 30; ++i) g.post_receive(4096);
  g.kick(0);
  const std::string data = counted(90000);
  w.deliver(cut(0, data, 1460));
  const std::string first = g.receive(), second = g.receive();
  EXPECT_LE(first.size(), 14u + 65535);
  EXPECT_GT(first.size(), 14u + 65535 - 1460);
  EXPECT_EQ(first.substr(54) + second.substr(54), data);
}

TEST(VirtioNet, AFrameLongerThanTheRingIsDropped) {
  auto wire = std::make_unique<Wire>();
  Wire& w = *wire;
  NetGuest g(std::move(wire));
  ASSERT_TRUE(g.bring_up(k_rings | k_mrg | k_guest_csum | k_guest_tso4, 2, 16));
  for (int i = 0; i < 16; ++i) g.post_receive(200);
  g.kick(0);
  w.deliver(cut(0, counted(10000), 1000));
  const std::string frame = ethernet(k_broadcast, 0x88b5, std::string(500, 'p'));
  w.deliver(frame);
  EXPECT_EQ(g.receive(), frame);
  EXPECT_EQ(g.transport.counters().dropped.get(), 1u);
}

TEST(VirtioNet, WithoutTheChoicesLargeSegmentsAreNotOffered) {
  IoOptions options;
  ASSERT_TRUE(parse_io_options("no-large-send,no-large-receive", options));
  EXPECT_EQ((*Net::create(std::make_unique<Wire>(), k_address, options))->features() & (k_host_tso4 | k_guest_tso4),
            0u);
  EXPECT_EQ((*Net::create(std::make_unique<Wire>(), k_address))->features() & (k_host_tso4 | k_guest_tso4),
            k_host_tso4 | k_guest_tso4);
}

TEST(IoOptions, MistakesAreExplained) {
  IoOptions options;
  EXPECT_TRUE(options.in_place);
  EXPECT_TRUE(parse_io_options("no-in-place", options));
  EXPECT_FALSE(options.in_place);
  const auto wrong = parse_io_options("in-place,help", options);
  ASSERT_FALSE(wrong);
  EXPECT_TRUE(options.in_place);
  EXPECT_NE(wrong.error().message.find("found 'help'"), std::string::npos);
  EXPECT_NE(wrong.error().message.find("no-large-send"), std::string::npos);
}

// The option.

TEST(NetworkOption, IsParsed) {
  const auto o = parse_network_option(
      "user,hostfwd=tcp::2222-:22,hostfwd=udp:127.0.0.1:53-10.0.2.16:5353,mac=52:54:00:aB:cd:ef,restrict=on,"
      "pcap=a.pcap");
  ASSERT_TRUE(o) << o.error().message;
  const UserNetworkOptions& user = o->network;
  ASSERT_EQ(user.forwards.size(), 2u);
  EXPECT_EQ(user.forwards[0], (HostForward{false, {}, 2222, 0x0a00020f, 22}));
  EXPECT_EQ(user.forwards[1], (HostForward{true, 0x7f000001, 53, 0x0a000210, 5353}));
  EXPECT_EQ(user.mac, (MacAddress{0x52, 0x54, 0, 0xab, 0xcd, 0xef}));
  EXPECT_TRUE(user.restricted);
  ASSERT_EQ(o->dumps.size(), 1u);
  EXPECT_EQ(o->dumps[0].path, "a.pcap");
  EXPECT_EQ(o->dumps[0].most_bytes, 65536u);
  EXPECT_TRUE(parse_network_option("user"));
}

TEST(NetworkOption, MistakesAreExplained) {
  const std::pair<const char*, const char*> cases[] = {
      {"vde", "expected one of user, tap"},
      {"", "expected one of user, tap"},
      {"user=1", "expected no value"},
      {"tap,fd=x", "expected a number"},
      {"tap=a,fd=3", "'fd' is unknown"},
      {"bridge,helper=", "expected a value"},
      {"stream", "expected tcp:HOST:PORT"},
      {"stream=host:1", "expected tcp:HOST:PORT"},
      {"stream=tcp:host", "expected tcp:HOST:PORT"},
      {"stream=tcp:host:65536", "expected tcp:HOST:PORT"},
      {"stream=unix:", "expected tcp:HOST:PORT"},
      {"stream=tcp:h:1,server,reconnect=1", "leave out one"},
      {"stream=tcp:h:1,reconnect=0", "expected a number"},
      {"stream=tcp:h:1,server=x", "expected no value"},
      {"dgram=udp:h:1", "expected local="},
      {"dgram=udp:h:1,local=unix:p", "expected local="},
      {"dgram=udp:h:1,interface=a", "expected local="},
      {"dgram=fd:3,local=unix:p", "'local' is unknown"},
      {"switch", "expected 1 to 32"},
      {"switch=../a", "expected 1 to 32"},
      {"switch=a,user=1", "expected no value"},
      {"switch=a,hostfwd=tcp::1-:1", "'hostfwd' is unknown"},
      {"user,fwd=1", "'fwd' is unknown"},
      {"user,hostfwd=", "expected tcp|udp"},
      {"user,hostfwd=sctp::1-:2", "found 'sctp'"},
      {"user,hostfwd=tcp::22", "expected tcp|udp"},
      {"user,hostfwd=tcp::0-:22", "'0' is not a port"},
      {"user,hostfwd=tcp::65536-:22", "'65536' is not a port"},
      {"user,hostfwd=tcp::22-:", "'' is not a port"},
      {"user,hostfwd=tcp::22x-:22", "'22x' is not a port"},
      {"user,hostfwd=tcp:1.2.3:22-:22", "'1.2.3' is not an IPv4 address"},
      {"user,mac=52:54", "six pairs"},
      {"user,mac=52:54:00:12:34:56:78", "six pairs"},
      {"user,mac=52:54:00:12:34:5g", "six pairs"},
      {"user,mac=52:54:00:12:34:", "six pairs"},
      {"user,mac=53:54:00:12:34:56", "multicast"},
      {"user,restrict=maybe", "found 'maybe'"},
      {"user,pcap=", "expected a file"},
  };
  for (const auto& [option, expected] : cases) {
    const auto r = parse_network_option(option);
    ASSERT_FALSE(r) << option;
    EXPECT_EQ(r.error().kind, ErrorKind::BadArguments);
    EXPECT_NE(r.error().message.find(expected), std::string::npos) << option << ": " << r.error().message;
  }
}

TEST(NetworkOption, TheUserNetworkIsAsItsOptionsSay) {
  const auto o = parse_network_option(
      "user,net=192.168.5.0/"
      "24,dhcpstart=192.168.5.20,dns=192.168.5.9,hostname=vm,domainname=lab,dnssearch=a,dnssearch=b,"
      "tftp=/folder,tftp-server-name=boot,bootfile=f,hostfwd=tcp::2222-:22,guestfwd=tcp:192.168.5.100:80-cmd:cat -u");
  ASSERT_TRUE(o) << o.error().message;
  const UserNetworkOptions& user = o->network;
  EXPECT_EQ(ipv4_text(user.host), "192.168.5.2");
  EXPECT_EQ(ipv4_text(user.name_server), "192.168.5.9");
  EXPECT_EQ(ipv4_text(user.first_lease), "192.168.5.20");
  EXPECT_EQ(ip_text(user.forwards.at(0).guest_address), "192.168.5.20") << "follows DHCP";
  EXPECT_EQ(user.search_domains, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(user.tftp_server, "boot");
  EXPECT_EQ(user.guest_forwards.at(0), (GuestForward{0xc0a80564, 80, "cat -u"}));
  EXPECT_EQ(parse_guest_forward("::80-cmd:a-b c")->command, "a-b c");
  for (const char* wrong : {"", "tcp", "udp:10.0.2.100:80-cmd:cat", "tcp:10.0.2.100:0-cmd:cat", "tcp:10.0.2:80-cmd:cat",
                            "tcp:10.0.2.100:80-cmd:", "tcp:10.0.2.100:80-tcp:h:1", "tcp:10.0.2.100:80"})
    EXPECT_FALSE(parse_guest_forward(wrong)) << wrong;
  for (const char* wrong : {"user,net=10.0.0.0", "user,net=10.0.0.0/4", "user,dns=1.2.3.4", "user,hostname="})
    EXPECT_FALSE(parse_network_option(wrong)) << wrong;
}

TEST(NetworkOption, NamesNetworksOfAllKinds) {
  using Kind = FrameLinkOptions::Kind;
  using Family = SocketAddress::Family;
  const auto parse = [](const char* text) {
    auto o = parse_network_option(text);
    EXPECT_TRUE(o) << o.error().message;
    return *std::move(o);
  };
  EXPECT_EQ(parse("tap=tap3,script=/up,downscript=/down").tap->interface, "tap3");
  EXPECT_EQ(parse("tap=tap3,script=/up,downscript=/down").tap->down_script, "/down");
  EXPECT_EQ(parse("tap,mac=52:54:00:00:00:01").tap->up_script, "") << "none unless it is named";
  EXPECT_EQ(parse("tap,fd=5").tap->fd, 5);
  EXPECT_EQ(parse("bridge").tap->bridge, "br0");
  EXPECT_EQ(parse("bridge").tap->helper, "/usr/lib/qemu/qemu-bridge-helper");
  EXPECT_EQ(parse("bridge=virbr0,helper=/h").tap->helper, "/h");
  EXPECT_EQ(parse("stream=tcp:host:1").link->remote.text(), "host:1");
  EXPECT_EQ(parse("stream=tcp:[::1]:1").link->remote.text(), "[::1]:1");
  EXPECT_EQ(parse("stream=unix:/s,server,pcap=p").link->local.path, "/s");
  EXPECT_EQ(parse("stream=unix:/s,server,pcap=p").link->kind, Kind::Listen);
  EXPECT_EQ(parse("stream=unix:/s,reconnect=2").link->reconnect_ms, 2000u);
  EXPECT_EQ(parse("stream=fd:7").link->remote.fd, 7);
  EXPECT_EQ(parse("dgram=udp:h:1,local=udp::2").link->local.port, "2");
  EXPECT_EQ(parse("dgram=unix:/b,local=unix:/a").link->remote.path, "/b");
  EXPECT_EQ(parse("dgram=udp:230.0.0.1:1234,interface=127.0.0.1").link->local.host, "127.0.0.1");
  EXPECT_EQ(parse("switch=lab,user").link->switch_name, "lab");
  EXPECT_TRUE(parse("switch=lab,user").link->switch_nat);
  EXPECT_FALSE(parse("switch=lab").link->switch_nat);
  EXPECT_FALSE(parse("switch=lab").network.mac) << "switch_mac() says it";
  EXPECT_EQ(parse("switch=lab,mac=52:54:00:00:00:09").network.mac, (MacAddress{0x52, 0x54, 0, 0, 0, 9}));
  EXPECT_EQ(parse("dgram=fd:9").link->local.family, Family::Descriptor);
}

TEST(NetworkOption, AMachineWithANameHasTheSameAddressOnASwitchEachTime) {
  const MacAddress mac = switch_mac("lab", "one", 0);
  EXPECT_EQ(switch_mac("lab", "one", 0), mac);
  EXPECT_EQ(mac[0], 0x52) << "locally administered, and no group's";
  EXPECT_NE(switch_mac("lab", "two", 0), mac);
  EXPECT_NE(switch_mac("lab", "one", 1), mac);
  EXPECT_NE(switch_mac("other", "one", 0), mac);
  EXPECT_NE(switch_mac("lab", "", 0), switch_mac("lab", "", 0)) << "who has no name has one by chance";
}

TEST(NetworkOption, ForwardsWithoutAnAddressGoToTheFirstThatDhcpGives) {
  const auto forwards = [](const char* option) { return parse_network_option(option)->network.forwards; };
  const std::string net = "user,net=192.168.5.0/24,dhcpstart=192.168.5.30,";
  EXPECT_EQ(forwards((net + "hostfwd=tcp::1-:2").c_str())[0].guest_address, 0xc0a8051eu);
  EXPECT_EQ(forwards("user,dhcpstart=10.0.2.30,hostfwd=tcp::1-:2")[0].guest_address, 0x0a00021eu);
  EXPECT_EQ(forwards("user,dhcpstart=10.0.2.30,hostfwd=tcp::1-10.0.2.15:2")[0].guest_address, 0x0a00020fu);
  // As one that is added while the machine runs.
  auto forward = parse_host_forward("tcp::1-:2");
  ASSERT_TRUE(forward);
  settle_forward(parse_network_option(net + "restrict=on")->network, *forward);
  EXPECT_EQ(forward->guest_address, 0xc0a8051eu);
}

TEST(NetworkOption, Ipv6) {
  const auto parse = [](const std::string& text) { return parse_network_option("user," + text)->network; };
  const UserNetworkOptions usual = parse("flows=1");
  EXPECT_TRUE(usual.ipv4 && usual.ipv6);
  EXPECT_EQ(ip_text(usual.host6) + ip_text(usual.name_server6), "[fec0::2][fec0::3]");
  EXPECT_FALSE(parse("ipv6=off").ipv6);
  EXPECT_FALSE(parse("ipv4=off").ipv4);
  const UserNetworkOptions user =
      parse("ipv6-net=fd00:1::/48,ipv6-host=fd00:1:0:7::9,hostfwd=tcp:[::1]:1-[fd00:1::5]:2");
  EXPECT_EQ(ip_text(user.network6), "[fd00:1::]");
  EXPECT_EQ(user.network6_bits, 48u);
  EXPECT_EQ(ip_text(user.host6), "[fd00:1:0:7::9]");
  EXPECT_EQ(ip_text(user.name_server6), "[fd00:1::3]");
  EXPECT_EQ(parse("ipv6-net=fd00::").network6_bits, 64u);
  EXPECT_EQ(user.forwards.at(0), (HostForward{false, {0, 1}, 1, {0xfd00'0001'0000'0000, 5}, 2}));
  EXPECT_EQ(ip_text(parse("hostfwd=udp::1-[fec0::5]:2").forwards.at(0).host_address), "[::]");
  EXPECT_EQ(ip_text(parse("hostfwd=udp:[::1]:1-:2").forwards.at(0).guest_address), "[::]");
  for (const char* wrong : {"ipv4=off,ipv6=off",
                            "ipv6=maybe",
                            "ipv6-net=10.0.0.0/8",
                            "ipv6-net=fec0::/127",
                            "ipv6-net=fec0::/0",
                            "ipv4=off,net=10.1.0.0/24",
                            "ipv4=off,dns=10.0.2.4",
                            "ipv6=off,ipv6-host=fec0::9",
                            "ipv6-host=fec0::9,ipv6-net=fec0::/64",
                            "dns=10.0.2.9,net=10.0.2.0/24",
                            "ipv6-net=fec0::/",
                            "ipv6-net=fec0::/6x",
                            "ipv6-host=fec1::2",
                            "ipv6-host=10.0.2.2",
                            "ipv6-dns=x",
                            "hostfwd=tcp:[::1]:1-10.0.2.15:2",
                            "hostfwd=tcp:127.0.0.1:1-[fec0::5]:2",
                            "hostfwd=tcp:[::1:1-:2",
                            "hostfwd=tcp:[1.2.3.4]:1-:2",
                            "hostfwd=tcp:[::1]x:1-:2"})
    EXPECT_FALSE(parse_network_option(std::string("user,") + wrong)) << wrong;
}

// The user-mode network, end to end.

class HostSocket {
 public:
  explicit HostSocket(int type, bool listening = true) : fd_(socket(AF_INET, type, 0)) {
    if (!listening) return;
    sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    if (bind(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0) std::abort();
    if (type == SOCK_STREAM && listen(fd_, 4) != 0) std::abort();
  }
  ~HostSocket() { close(fd_); }
  int fd() const { return fd_; }
  u16 port() const {
    sockaddr_in a = {};
    socklen_t n = sizeof a;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&a), &n);
    return ntohs(a.sin_port);
  }

 private:
  int fd_;
};

std::string receive_some(int fd) {
  timeval limit = {5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char buffer[100];
  const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
  return n < 0 ? "nothing" : std::string(buffer, static_cast<std::size_t>(n));
}

/// A guest on the user-mode network that answers ARP and hands on TCP segments.
struct SlirpGuest : NetGuest {
  explicit SlirpGuest(const UserNetworkOptions& options) : NetGuest(*SlirpNetwork::create(options)) {
    up(k_rings | k_csum | k_mac);
  }
  std::string next_frame(std::chrono::milliseconds limit = std::chrono::milliseconds(5000)) {
    std::string f = receive(limit);
    post_receive(2048);
    kick(0);
    return f;
  }
  std::string host_mac() {
    transmit(arp_request(k_host_ip));
    const std::string f = next_frame();
    EXPECT_EQ(get16(f, 12), 0x0806u);
    EXPECT_EQ(get32(f, 28), k_host_ip);
    return f.substr(6, 6);
  }
  TcpView next_tcp(std::chrono::milliseconds limit = std::chrono::milliseconds(5000)) {
    for (int i = 0; i < 50; ++i) {
      const std::string f = next_frame(limit);
      if (f.size() >= 42 && get16(f, 12) == 0x0806 && get16(f, 20) == 1 && get32(f, 38) == k_guest_ip)
        transmit(arp_reply(f.substr(6, 6), get32(f, 28)));
      const TcpView v = parse_tcp(f);
      if (v.valid) return v;
      if (f == "nothing received") break;
    }
    return {};
  }
};

TEST(SlirpNetwork, DhcpOffersTheUsualAddress) {
  SlirpGuest g({});
  std::string bootp = std::string("\x01\x01\x06\0", 4) + be32(0x12345678) + std::string(20, '\0') +
                      std::string(k_guest_mac) + std::string(10 + 192, '\0') + be32(0x63825363) +
                      std::string("\x35\x01\x01\xff", 4);
  g.transmit(udp(k_broadcast, 0, 68, 0xffffffff, 67, bootp));
  const std::string f = g.next_frame();
  ASSERT_GT(f.size(), 42u + 20u);
  EXPECT_EQ(get16(f, 34), 67u);
  EXPECT_EQ(get32(f, 42 + 16), k_guest_ip);
  EXPECT_NE(f.find(std::string("\x03\x04", 2) + be32(k_host_ip)), std::string::npos) << "router";
  EXPECT_NE(f.find(std::string("\x06\x04", 2) + be32(0x0a000203)), std::string::npos) << "name server";
}

TEST(SlirpNetwork, GuestConnectsToAHostServer) {
  HostSocket server(SOCK_STREAM);
  SlirpGuest g({});
  const std::string mac = g.host_mac();
  const u32 port = server.port();
  g.transmit(tcp(mac, 5000, k_host_ip, port, 1000, 0, k_syn));
  const TcpView syn_ack = g.next_tcp();
  ASSERT_TRUE(syn_ack.valid);
  EXPECT_EQ(syn_ack.flags & (k_syn | k_ack), k_syn | k_ack);
  EXPECT_EQ(syn_ack.ack, 1001u);
  const std::string checksum_in_device("\x01\0\0\0\0\0\x22\0\x10\0\0\0", 12);
  g.transmit(tcp(mac, 5000, k_host_ip, port, 1001, syn_ack.seq + 1, k_ack | k_psh, "question", true),
             checksum_in_device);
  const int connection = accept(server.fd(), nullptr, nullptr);
  EXPECT_EQ(receive_some(connection), "question");
  ASSERT_EQ(send(connection, "answer", 6, 0), 6);
  for (TcpView v = g.next_tcp(); v.valid; v = g.next_tcp()) {
    if (v.data.empty()) continue;
    EXPECT_EQ(v.data, "answer");
    break;
  }
  close(connection);
}

/// With no signal blocked or ignored, whatever the network's thread has.
TEST(SlirpNetwork, AGuestForwardIsAProgramForEachConnection) {
  const auto handler = ::signal(SIGPIPE, SIG_IGN);
  UserNetworkOptions o;
  constexpr u32 k_program = 0x0a000264;
  o.guest_forwards.push_back({k_program, 1234, "sh -c 'grep -h Sig[BI] /proc/self/status; read word; echo got $word'"});
  SlirpGuest g(o);
  const std::string mac = g.host_mac();
  for (const u32 port : {5000u, 5001u}) {
    g.transmit(tcp(mac, port, k_program, 1234, 1000, 0, k_syn));
    const TcpView syn_ack = g.next_tcp();
    ASSERT_TRUE(syn_ack.valid);
    u32 next = syn_ack.seq + 1;
    std::string said;
    g.transmit(tcp(mac, port, k_program, 1234, 1001, next, k_ack | k_psh, "words\n", true),
               std::string("\x01\0\0\0\0\0\x22\0\x10\0\0\0", 12));
    for (TcpView v = g.next_tcp(); v.valid && said.find("got words") == std::string::npos; v = g.next_tcp()) {
      if (v.destination != port || v.seq != next) continue;
      said += v.data;
      next += static_cast<u32>(v.data.size());
    }
    EXPECT_EQ(said, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\ngot words\n");
  }
  ::signal(SIGPIPE, handler);
}

TEST(SlirpNetwork, AGuestForwardHasAnAddressOfItsOwn) {
  for (const u32 address : {k_host_ip, 0x0a000203u, 0x0a010264u}) {
    UserNetworkOptions o;
    o.guest_forwards.push_back({address, 1234, "cat"});
    EXPECT_FALSE(SlirpNetwork::create(o)) << ipv4_text(address);
  }
}

TEST(SlirpNetwork, HostReachesAForwardedGuestPort) {
  u16 port;
  {
    HostSocket free_port(SOCK_STREAM);
    port = free_port.port();
  }
  UserNetworkOptions o;
  o.restricted = true;  // forwards work all the same
  o.forwards.push_back({false, 0x7f000001, port, k_guest_ip, 22});
  SlirpGuest g(o);
  g.host_mac();
  HostSocket client(SOCK_STREAM, false);
  sockaddr_in a = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  ASSERT_EQ(connect(client.fd(), reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  const TcpView syn = g.next_tcp();
  ASSERT_TRUE(syn.valid);
  EXPECT_EQ(syn.destination, 22u);
  EXPECT_EQ(syn.flags, k_syn);
  g.transmit(tcp(syn.mac, 22, syn.source_ip, syn.source, 7000, syn.seq + 1, k_syn | k_ack));
  EXPECT_TRUE(g.next_tcp().flags & k_ack);
  g.transmit(tcp(syn.mac, 22, syn.source_ip, syn.source, 7001, syn.seq + 1, k_ack | k_psh, "SSH-2.0"));
  EXPECT_EQ(receive_some(client.fd()), "SSH-2.0");
}

TEST(SlirpNetwork, RestrictedGuestReachesNoHostServer) {
  HostSocket server(SOCK_STREAM);
  UserNetworkOptions o;
  o.restricted = true;
  SlirpGuest g(o);
  const std::string mac = g.host_mac();
  g.transmit(tcp(mac, 5000, k_host_ip, server.port(), 1000, 0, k_syn));
  const TcpView answer = g.next_tcp(std::chrono::milliseconds(300));
  EXPECT_FALSE(answer.valid && (answer.flags & k_syn));
}

TEST(SlirpNetwork, ATakenPortIsNamed) {
  for (const bool is_udp : {false, true}) {
    HostSocket taken(is_udp ? SOCK_DGRAM : SOCK_STREAM);
    UserNetworkOptions o;
    o.forwards.push_back({is_udp, 0x7f000001, taken.port(), k_guest_ip, 22});
    const auto n = SlirpNetwork::create(o);
    ASSERT_FALSE(n);
    EXPECT_EQ(n.error().kind, ErrorKind::HostResource);
    EXPECT_NE(n.error().message.find("port " + std::to_string(taken.port())), std::string::npos) << n.error().message;
    EXPECT_NE(n.error().message.find("in use"), std::string::npos) << n.error().message;
  }
  UserNetworkOptions o;
  o.forwards.push_back({false, 0, 4711, 0x0a000302, 22});
  const auto n = SlirpNetwork::create(o);
  ASSERT_FALSE(n);
  EXPECT_EQ(n.error().kind, ErrorKind::BadArguments);
}

}  // namespace
}  // namespace armvisor::devices::virtio
