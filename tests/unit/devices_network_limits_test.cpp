// What a guest can make the user-mode network hold: flows, fragments, data out of order. With real sockets of the host.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "base/fd.h"
#include "devices/backends/network_options.h"
#include "devices/backends/slirp_network.h"
#include "devices/chardev/chardevs.h"
#include "guest_packets.h"

namespace armvisor::devices {
namespace {

using namespace armvisor::testing;

constexpr auto k_patience = std::chrono::seconds(10);
constexpr u32 k_line_ip = 0x0a000264, k_line_port = 7;
const std::string k_host_mac("\x52\x55\x0a\x00\x02\x02", 6);

/// The network device, without rings: what it gives is sent at once, what comes is kept.
class Guest final : public NetworkClient {
 public:
  /// `lines`: what is at addresses of the guest's network from `line_ip` on (0: as libslirp chooses), port 7.
  explicit Guest(const std::string& option = "user", std::vector<Chardev*> lines = {}, u32 line_ip = k_line_ip) {
    auto options = parse_network_option(option);
    if (!options) throw std::runtime_error(options.error().message);
    for (u32 n = 0; n < lines.size(); ++n)
      options->network.guest_forwards.push_back({.address = line_ip + n, .port = k_line_port, .command = {}});
    auto network = SlirpNetwork::create(options->network, lines);
    if (!network) throw std::runtime_error(network.error().message);
    network_ = *std::move(network);
    if (!network_->start(*this)) throw std::runtime_error("no thread");
  }
  ~Guest() { network_->stop(); }

  /// Returns when the network has looked at all of them.
  void send(std::vector<std::string> frames) {
    std::unique_lock lock(mutex_);
    for (auto& f : frames) out_.push_back(std::move(f));
    network_->wake();
    changed_.wait(lock, [&] { return out_.empty() && !sending_; });
  }
  void send(std::string frame) { send(std::vector{std::move(frame)}); }
  /// The next TCP segment to the guest's `port`; invalid when there is none for a while.
  TcpView tcp_to(u32 port, std::chrono::milliseconds limit = k_patience) {
    std::unique_lock lock(mutex_);
    TcpView found;
    changed_.wait_for(lock, limit, [&] {
      for (auto f = in_.begin(); f != in_.end(); ++f)
        if (const TcpView v = parse_tcp(*f); v.valid && v.destination == port) {
          found = v;
          in_.erase(f);
          return true;
        }
      return false;
    });
    return found;
  }
  /// The data of the next datagram to the guest's `port`.
  std::string udp_to(u32 port) {
    std::unique_lock lock(mutex_);
    std::string found = "nothing";
    changed_.wait_for(lock, k_patience, [&] {
      for (auto f = in_.begin(); f != in_.end(); ++f) {
        const bool v6 = get16(*f, 12) == 0x86dd;
        const std::size_t at = v6 ? 54 : 34;
        if (f->size() > at + 8 && (*f)[v6 ? 20 : 23] == 17 && get16(*f, at + 2) == port) {
          found = f->substr(at + 8, get16(*f, at + 4) - 8);
          in_.erase(f);
          return true;
        }
      }
      return false;
    });
    return found;
  }
  /// All frames with datagrams of IPv4 to the guest's `port` that have come.
  std::vector<std::string> take_frames_to(u32 port) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> found;
    std::erase_if(in_, [&](std::string& f) {
      const bool is = f.size() > 42 && get16(f, 12) == 0x800 && f[23] == 17 && get16(f, 36) == port;
      if (is) found.push_back(std::move(f));
      return is;
    });
    return found;
  }
  /// The next ICMPv6 message of this type.
  std::string icmp6_of(u8 type, std::chrono::milliseconds limit = k_patience) {
    std::unique_lock lock(mutex_);
    std::string found;
    changed_.wait_for(lock, limit, [&] {
      for (auto f = in_.begin(); f != in_.end(); ++f)
        if (f->size() > 54 && get16(*f, 12) == 0x86dd && (*f)[20] == 58 && static_cast<u8>((*f)[54]) == type) {
          found = *f;
          in_.erase(f);
          return true;
        }
      return false;
    });
    return found;
  }
  void forget_what_came() {
    const std::lock_guard lock(mutex_);
    in_.clear();
  }
  /// As connect() does, by IPv6.
  TcpView connect6(u32 port, u32 to, std::chrono::milliseconds limit = k_patience) {
    send(tcp6(port, k_host_ip6, to, 1000, 0, k_syn));
    const TcpView v = tcp_to(port, limit);
    if (v.valid && (v.flags & k_syn)) send(tcp6(port, k_host_ip6, to, 1001, v.seq + 1, k_ack));
    return v;
  }
  /// Opens a connection from `port` and returns the SYN-ACK; the guest's first data is at sequence number 1001.
  TcpView connect(u32 port, u32 to, std::chrono::milliseconds limit = k_patience, u32 ip = k_host_ip) {
    send(tcp(k_host_mac, port, ip, to, 1000, 0, k_syn));
    const TcpView v = tcp_to(port, limit);
    if (v.valid && (v.flags & k_syn)) send(tcp(k_host_mac, port, ip, to, 1001, v.seq + 1, k_ack));
    return v;
  }

  bool transmit_pending() override {
    std::unique_lock lock(mutex_);
    while (!out_.empty()) {
      const std::string frame = std::move(out_.front());
      out_.pop_front();
      sending_ = true;
      lock.unlock();
      network_->send({reinterpret_cast<const u8*>(frame.data()), frame.size()});
      lock.lock();
      sending_ = false;
    }
    changed_.notify_all();
    return false;
  }
  void receive(std::span<const u8> frame) override {
    const std::lock_guard lock(mutex_);
    if (in_.size() < 4096) in_.emplace_back(frame.begin(), frame.end());
    changed_.notify_all();
  }
  void received_all() override {}

  /// While the network runs. The form is that of hostfwd=.
  void forward(const std::string& text, bool add = true) {
    auto f = parse_host_forward(text);
    if (!f) throw std::runtime_error(f.error().message);
    settle_forward({}, *f);
    const Status done = add ? network_->add_forward(*f) : network_->remove_forward(*f);
    if (!done) throw std::runtime_error(done.error().message);
  }

 private:
  std::unique_ptr<SlirpNetwork> network_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> out_, in_;
  bool sending_ = false;
};

sockaddr_storage loopback_of(int family) {
  sockaddr_storage a{};
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_addr = in6addr_loopback;
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (family == AF_INET6)
    std::memcpy(&a, &in6, sizeof in6);
  else
    std::memcpy(&a, &in, sizeof in);
  return a;
}

/// A socket of the host's on a free port of its loopback.
struct HostSocket {
  Fd fd;
  u32 port = 0;  ///< 0: the host has no such loopback
  explicit HostSocket(int type, int family = AF_INET) : fd(::socket(family, type | SOCK_CLOEXEC, 0)) {
    const sockaddr_storage a = loopback_of(family);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0) return;
    sockaddr_in name{};  // of either family it has the port in the same place
    socklen_t size = sizeof name;
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &size);
    port = ntohs(name.sin_port);
    if (type == SOCK_STREAM) ::listen(fd.get(), 1024);
    const timeval patience{10, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  /// The next datagram and the port that it comes from; echoes it.
  std::pair<std::string, u32> echo() {
    std::string data(65536, '\0');
    sockaddr_in6 from{};
    socklen_t size = sizeof from;
    const ssize_t n = ::recvfrom(fd.get(), data.data(), data.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n < 0) return {"nothing", 0};
    data.resize(static_cast<std::size_t>(n));
    ::sendto(fd.get(), data.data(), data.size(), 0, reinterpret_cast<const sockaddr*>(&from), size);
    return {data, ntohs(from.sin6_port)};
  }
  Fd accept() const { return Fd(::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC)); }
};

sockaddr_in loopback(u32 port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  a.sin_port = htons(static_cast<u16>(port));
  return a;
}

/// A connection to a port of the host's loopback.
Fd connect_to(u32 port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in a = loopback(port);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a), 0);
  return fd;
}

std::size_t open_descriptors() {
  std::size_t n = 0;
  for ([[maybe_unused]] const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) ++n;
  return n;
}

/// Memory that is in use. Sanitizers keep what was freed, so with them it says nothing.
u64 resident_kib() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 0;
#endif
  std::ifstream statm("/proc/self/statm");
  u64 size = 0, resident = 0;
  statm >> size >> resident;
  return resident * 4;
}

std::string datagram(u32 from, u32 to, std::string_view data) {
  return udp(k_host_mac, k_guest_ip, from, k_host_ip, to, data);
}

TEST(NetworkLimits, ConnectionsBeyondTheBoundAreNotMade) {
  const HostSocket server(SOCK_STREAM);
  Guest guest("user,flows=8");
  const std::size_t before = open_descriptors();
  const u64 memory = resident_kib();
  for (u32 round = 0; round < 20; ++round) {
    std::vector<std::string> syns;
    for (u32 i = 0; i < 100; ++i)
      syns.push_back(tcp(k_host_mac, 2000 + round * 100 + i, k_host_ip, server.port, 1000, 0, k_syn));
    guest.send(syns);
  }
  EXPECT_LE(open_descriptors(), before + 8);
  EXPECT_LE(resident_kib(), memory + 64 * 1024) << "2,000 connections would take 580 MB";
  // Those that there was room for work.
  const TcpView first = guest.tcp_to(2000);
  EXPECT_TRUE(first.valid);
  EXPECT_EQ(first.flags & k_syn, k_syn);
}

TEST(NetworkLimits, AConnectionThatEndsMakesRoom) {
  const HostSocket server(SOCK_STREAM);
  Guest guest("user,flows=2");
  for (u32 port = 3000; port < 3020; ++port) {
    const TcpView syn = guest.connect(port, server.port);
    ASSERT_TRUE(syn.valid && (syn.flags & k_syn)) << port;
    server.accept();  // and closes it, so that the wait after the end is libslirp's
    const TcpView fin = guest.tcp_to(port);
    ASSERT_EQ(fin.flags & k_fin, k_fin) << port;
    guest.send(tcp(k_host_mac, port, k_host_ip, server.port, 1001, fin.seq + 1, k_fin | k_ack));
    ASSERT_EQ(guest.tcp_to(port).ack, 1002u);
  }
}

TEST(NetworkLimits, AnEndedConnectionIsNoneThatStillSends) {
  const HostSocket server(SOCK_STREAM);
  Guest guest("user,flows=1");
  ASSERT_TRUE(guest.connect(3000, server.port).valid);
  const Fd host = server.accept();
  guest.send(tcp(k_host_mac, 3000, k_host_ip, server.port, 1001, 0, k_fin | k_ack));  // only the guest's end
  EXPECT_FALSE(guest.connect(3001, server.port, std::chrono::milliseconds(200)).valid);
  ASSERT_EQ(::send(host.get(), "still", 5, MSG_NOSIGNAL), 5);
  for (TcpView v = guest.tcp_to(3000); v.data != "still"; v = guest.tcp_to(3000)) ASSERT_TRUE(v.valid);
}

TEST(NetworkLimits, TheUdpFlowThatWasIdleForLongestMakesRoom) {
  HostSocket server(SOCK_DGRAM);
  Guest guest("user,flows=16");
  const std::size_t before = open_descriptors();
  guest.send(datagram(4000, server.port, "busy"));
  const u32 busy = server.echo().second;
  EXPECT_EQ(guest.udp_to(4000), "busy");
  for (u32 port = 5000; port < 5400; ++port) {
    guest.send(datagram(port, server.port, std::to_string(port)));
    ASSERT_EQ(server.echo().first, std::to_string(port)) << "a new flow finds room";
    ASSERT_EQ(guest.udp_to(port), std::to_string(port));
    if (port % 2) continue;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the order of use is known to a millisecond
    guest.send(datagram(4000, server.port, "busy"));
    ASSERT_EQ(server.echo().second, busy) << "the flow in use stays, at " << port;
    ASSERT_EQ(guest.udp_to(4000), "busy");
  }
  EXPECT_LE(open_descriptors(), before + 16);
}

TEST(NetworkLimits, PingsAreBounded) {
  Guest guest("user,flows=4");
  const std::size_t before = open_descriptors();
  std::string echo = std::string("\x08\0\0\0\0\x01\0\x01", 8) + std::string(56, 'p');
  echo.replace(2, 2, be16(checksum(echo)));
  for (int i = 0; i < 100; ++i) guest.send(ipv4(k_host_mac, k_guest_ip, 0xcb007107, 1, echo));  // 203.0.113.7
  EXPECT_LE(open_descriptors(), before + 4);
}

TEST(NetworkLimits, SourcesThatNobodyHasAreBoundedToo) {
  HostSocket server(SOCK_DGRAM);
  Guest guest("user,flows=16");
  const std::size_t before = open_descriptors();
  const u64 memory = resident_kib();
  for (u32 i = 0; i < 20000; ++i) {
    // Its time to live ends at the first router, which says so to a source whose MAC it does not know.
    std::string dying =
        udp(k_host_mac, 0xac100000 + i, 1000 + i % 60000, k_host_ip, server.port, std::string(1400, 'x'));
    dying[22] = 1;
    dying.replace(24, 2, be16(0));
    dying.replace(24, 2, be16(checksum(dying.substr(14, 20))));
    guest.send(dying);
  }
  EXPECT_LE(open_descriptors(), before + 16);
  EXPECT_LE(resident_kib(), memory + 16 * 1024);
}

TEST(NetworkLimits, DescriptorsAreLeftForTheRestOfTheMachine) {
  HostSocket server(SOCK_DGRAM);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  Guest guest("user,flows=1000");
  rlimit low = old;
  low.rlim_cur = open_descriptors() + 32 + 20;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  for (u32 port = 5000; port < 5200; ++port) guest.send(datagram(port, server.port, "x"));
  std::vector<Fd> spare;
  for (int i = 0; i < 30; ++i) spare.emplace_back(::dup(0));
  EXPECT_TRUE(static_cast<bool>(spare.back())) << "after " << spare.size();
  spare.clear();
  ::setrlimit(RLIMIT_NOFILE, &old);
}

/// `guest` takes one connection at a time.
void expect_that_the_second_one_waits(Guest& guest, u32 port) {
  const Fd one = connect_to(port), two = connect_to(port);
  const TcpView first = guest.tcp_to(80);
  ASSERT_TRUE(first.valid);
  const u32 from = first.source;
  for (TcpView other = guest.tcp_to(80, std::chrono::milliseconds(300)); other.valid;
       other = guest.tcp_to(80, std::chrono::milliseconds(300)))
    ASSERT_EQ(other.source, from) << "the second one has to wait";
  guest.send(tcp(k_host_mac, 80, k_host_ip, from, 0, first.seq + 1, k_rst | k_ack));
  TcpView second = guest.tcp_to(80);
  while (second.valid && second.source == from) second = guest.tcp_to(80);
  EXPECT_TRUE(second.valid) << "and comes when there is room";
}

TEST(NetworkLimits, AForwardedPortWaitsWhileThereIsNoRoom) {
  const u32 port = HostSocket(SOCK_STREAM).port;
  Guest guest("user,flows=1,hostfwd=tcp:127.0.0.1:" + std::to_string(port) + "-:80");
  guest.send(arp_request(k_host_ip));
  expect_that_the_second_one_waits(guest, port);
}

TEST(NetworkLimits, AForwardedPortThatHasTheDescriptorOfAnEarlierOneWaitsToo) {
  const u32 port = HostSocket(SOCK_STREAM).port, udp_port = HostSocket(SOCK_DGRAM).port;
  const HostSocket sender(SOCK_DGRAM);
  Guest guest("user,flows=1");
  guest.send(arp_request(k_host_ip));
  const std::string rule = "udp:127.0.0.1:" + std::to_string(udp_port) + "-:53";
  guest.forward(rule);
  const sockaddr_in a = loopback(udp_port);
  ASSERT_EQ(::sendto(sender.fd.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&a), sizeof a), 1);
  ASSERT_EQ(guest.udp_to(53), "x");
  guest.forward(rule, false);
  guest.forward("tcp:127.0.0.1:" + std::to_string(port) + "-:80");
  expect_that_the_second_one_waits(guest, port);
}

// Of 65,536 xids one or two have an offer whose checksum computes to 0. Sent as 0xffff, busybox's udhcpc takes none of
// it.
TEST(NetworkLimits, NoDhcpReplyHasAChecksumThatClientsDrop) {
  Guest guest;
  u32 unchecked = 0, replies = 0;
  for (u32 first = 0; first < 0x10000; first += 256) {
    std::vector<std::string> discovers;
    for (u32 xid = first; xid < first + 256; ++xid) {
      std::string bootp = std::string("\x01\x01\x06\0", 4) + be32(xid) + std::string(20, '\0');
      bootp += std::string(k_guest_mac) + std::string(202, '\0');
      bootp += std::string("\x63\x82\x53\x63\x35\x01\x01\xff", 8);  // RFC 2131: a DISCOVER
      discovers.push_back(udp(k_broadcast, 0, 68, 0xffffffff, 67, bootp));
    }
    guest.send(std::move(discovers));
    for (const std::string& frame : guest.take_frames_to(68)) {
      const u32 sum = get16(frame, 14 + 20 + 6);
      EXPECT_NE(sum, 0xffffu) << get32(frame, 14 + 28 + 4);
      if (sum == 0) ++unchecked;
      ++replies;
    }
  }
  EXPECT_EQ(replies, 0x10000u);
  EXPECT_GE(unchecked, 1u);
}

TEST(NetworkLimits, FragmentsReachTheHostWhole) {
  HostSocket server(SOCK_DGRAM);
  Guest guest;
  const std::string data(5000, 'f');
  const std::string whole = datagram(4000, server.port, data);
  std::vector<std::string> fragments;
  for (std::size_t at = 0; at < whole.size() - 34; at += 1480) {
    const std::string part = whole.substr(34 + at, 1480);
    std::string h = whole.substr(0, 34);
    h.replace(16, 2, be16(static_cast<u32>(20 + part.size())));
    h.replace(18, 2, be16(77));
    h.replace(20, 2, be16((34 + at + 1480 < whole.size() ? 0x2000u : 0u) | static_cast<u32>(at / 8)));
    h.replace(24, 2, be16(0));
    h.replace(24, 2, be16(checksum(h.substr(14))));
    fragments.push_back(h + part);
  }
  ASSERT_EQ(fragments.size(), 4u);
  guest.send({fragments[2], fragments[0], fragments[3], fragments[1]});
  EXPECT_EQ(server.echo().first, data);
}

TEST(NetworkLimits, FragmentsOfPacketsThatNeverEndTakeNoMemory) {
  Guest guest;
  const u64 memory = resident_kib();
  std::vector<std::string> frames;
  for (u32 i = 0; i < 50000; ++i) {
    std::string f = ipv4(k_host_mac, k_guest_ip, k_host_ip, 17, std::string(1400, 'f'));
    f.replace(18, 2, be16(i));
    f.replace(20, 2, be16(0x2000 | (i % 40)));
    f.replace(24, 2, be16(0));
    f.replace(24, 2, be16(checksum(f.substr(14, 20))));
    guest.send(f);
  }
  EXPECT_LE(resident_kib(), memory + 16 * 1024) << "libslirp would keep 80 MB of them";
}

TEST(NetworkLimits, DataOutOfOrderArrivesAndIsBounded) {
  const HostSocket server(SOCK_STREAM);
  Guest guest;
  const TcpView syn = guest.connect(6000, server.port);
  ASSERT_TRUE(syn.valid);
  const Fd host = server.accept();
  const auto segment = [&](u32 at, std::string_view data) {
    return tcp(k_host_mac, 6000, k_host_ip, server.port, 1001 + at, syn.seq + 1, k_ack, data);
  };
  guest.send({segment(3, "def"), segment(0, "abc")});
  std::string text(6, '\0');
  ASSERT_EQ(::recv(host.get(), text.data(), 6, MSG_WAITALL), 6);
  EXPECT_EQ(text, "abcdef");
  // Each of these is long, and overlapped by the one before until two bytes of it are left; libslirp keeps all of it.
  const u64 memory = resident_kib();
  const std::string all(40000, 'o');
  for (u32 i = 0; i < 4000; ++i) guest.send(segment(6 + 8002 - 2 * i, all));
  EXPECT_LE(resident_kib(), memory + 16 * 1024) << "160 MB otherwise";
  // And what is in order still goes.
  guest.send(segment(6, "ghi"));
  ASSERT_EQ(::recv(host.get(), text.data(), 3, MSG_WAITALL), 3);
  EXPECT_EQ(text.substr(0, 3), "ghi");
}

TEST(NetworkLimits, DataOutOfOrderIsBoundedOnAPortThatIsForwardedWhileTheNetworkRuns) {
  const u32 port = HostSocket(SOCK_STREAM).port;
  Guest guest;
  guest.send(arp_request(k_host_ip));
  guest.forward("tcp:127.0.0.1:" + std::to_string(port) + "-:80");
  const Fd host = connect_to(port);
  const TcpView syn = guest.tcp_to(80);
  ASSERT_TRUE(syn.valid);
  const auto segment = [&](u32 seq, u8 flags, std::string_view data = {}) {
    return tcp(k_host_mac, 80, k_host_ip, syn.source, seq, syn.seq + 1, flags, data);
  };
  guest.send(segment(1000, k_syn | k_ack));
  ASSERT_TRUE(guest.tcp_to(80).valid) << "its ACK";
  const u64 memory = resident_kib();
  const std::string all(40000, 'o');
  for (u32 i = 0; i < 4000; ++i) guest.send(segment(1001 + 8002 - 2 * i, k_ack, all));
  EXPECT_LE(resident_kib(), memory + 16 * 1024) << "160 MB otherwise";
  guest.send(segment(1001, k_ack, "ghi"));
  std::string text(3, '\0');
  ASSERT_EQ(::recv(host.get(), text.data(), 3, MSG_WAITALL), 3);
  EXPECT_EQ(text, "ghi");
}

// IPv6.

const HostSocket& loopback6() {
  static const HostSocket socket(SOCK_STREAM, AF_INET6);
  return socket;
}
#define SKIP_WITHOUT_IPV6() \
  if (loopback6().port == 0) GTEST_SKIP() << "the host has no ::1"

TEST(NetworkLimits, Ipv6NeighborsRoutersAndEchoesAreAnswered) {
  Guest guest;
  guest.send(icmp6(std::string(16, '\0'), "\xff\x02" + std::string(13, '\0') + '\x02', 133, std::string(4, '\0')));
  const std::string router = guest.icmp6_of(134);
  ASSERT_GE(router.size(), 110u);
  EXPECT_EQ(router.substr(54 + 24 + 16, 8), k_host_ip6.substr(0, 8)) << "the prefix";
  guest.send(neighbor_solicitation(k_guest_ip6, k_host_ip6));
  const std::string neighbor = guest.icmp6_of(136);
  ASSERT_GE(neighbor.size(), 78u);
  EXPECT_EQ(neighbor.substr(62, 16), k_host_ip6);
  guest.send(icmp6(k_guest_ip6, k_host_ip6, 128, std::string("\0\1\0\1", 4) + "ping"));
  EXPECT_EQ(guest.icmp6_of(129).substr(62, 4), "ping");
}

TEST(NetworkLimits, Ipv6ThatIsOffAnswersNothing) {
  Guest guest("user,ipv6=off");
  guest.send({neighbor_solicitation(k_guest_ip6, k_host_ip6), icmp6(k_guest_ip6, k_host_ip6, 128, "ping")});
  EXPECT_EQ(guest.icmp6_of(136, std::chrono::milliseconds(0)), "");
  EXPECT_EQ(guest.icmp6_of(129, std::chrono::milliseconds(0)), "");
}

/// What would end or flood the process in libslirp, which asserts that it is not asked to answer to ::, keeps what is
/// for a neighbour that it does not know, and complains of each echo request that it does not serve.
TEST(NetworkLimits, Ipv6FramesThatLibslirpCannotBearDoNotReachIt) {
  Guest guest;
  const std::string nobody(16, '\0'), far("\x20\x01\x0d\xb8" + std::string(11, '\0') + '\x01');
  ::testing::internal::CaptureStderr();
  guest.send(icmp6(nobody, k_host_ip6, 128, "ping"));
  guest.send(udp6(nobody, 5, k_host_ip6, 7, "x"));
  guest.send(ipv6_checked(nobody, k_host_ip6, 6,
                          be16(5) + be16(7) + be32(1) + be32(0) + be16(0x5002) + be32(0) + be16(0), 16));
  for (int i = 0; i < 100; ++i) guest.send(icmp6(k_guest_ip6, far, 128, "ping"));
  const u64 memory = resident_kib();
  for (u32 i = 0; i < 20000; ++i) {  // each dies at the first router, which tells its source, whose MAC nobody knows
    std::string f = udp6(k_guest_ip6.substr(0, 12) + be32(0x10000 + i), 5, k_host_ip6, 7, std::string(1400, 'x'));
    f[21] = 0;
    guest.send(f);
  }
  for (u32 i = 0; i < 20000; ++i) {
    std::string f = icmp6(k_guest_ip6.substr(0, 12) + be32(0x20000 + i), k_host_ip6, 135, std::string(1400, 'x'));
    f[21] = 0;
    guest.send(f);
  }
  guest.forget_what_came();
  EXPECT_LE(resident_kib(), memory + 16 * 1024);
  guest.send(icmp6(k_guest_ip6, k_host_ip6, 128, std::string("\0\1\0\1", 4) + "ping"));
  EXPECT_EQ(guest.icmp6_of(129).substr(62, 4), "ping") << "and it goes on";
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(NetworkLimits, PingsToANameServerBeyondTheNetworkDoNotReachLibslirp) {
  Guest guest("user,ipv6-dns=2001:db8::1");
  const std::string far("\x20\x01\x0d\xb8" + std::string(11, '\0') + '\x01');
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 100; ++i) guest.send(icmp6(k_guest_ip6, far, 128, "ping"));
  guest.send(icmp6(k_guest_ip6, k_host_ip6, 128, std::string("\0\1\0\1", 4) + "ping"));
  EXPECT_EQ(guest.icmp6_of(129).substr(62, 4), "ping");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(NetworkLimits, ForwardsOfAVersionThatIsOffAreRefused) {
  for (const char* option :
       {"user,ipv4=off,hostfwd=tcp:127.0.0.1:2222-10.0.2.15:22", "user,ipv4=off,guestfwd=tcp::7-cmd:cat"}) {
    const auto network = SlirpNetwork::create(parse_network_option(option)->network);
    ASSERT_FALSE(network) << option;
    EXPECT_NE(network.error().message.find("ipv4=off"), std::string::npos) << network.error().message;
  }
}

TEST(NetworkLimits, ConnectionsByIpv6ReachTheHostAndEndAndAreBounded) {
  SKIP_WITHOUT_IPV6();
  const HostSocket server(SOCK_STREAM, AF_INET6);
  Guest guest("user,flows=2");
  const std::size_t before = open_descriptors();
  for (u32 port = 3000; port < 3010; ++port) {  // each makes room for another one
    const TcpView syn = guest.connect6(port, server.port);
    ASSERT_TRUE(syn.valid && (syn.flags & k_syn)) << port;
    Fd host = server.accept();
    // What is behind the packet's end is no data.
    guest.send(tcp6(port, k_host_ip6, server.port, 1001, syn.seq + 1, k_ack, "hello") + "padding");
    std::string text(16, '\0');
    ASSERT_EQ(::recv(host.get(), text.data(), text.size(), 0), 5);
    EXPECT_EQ(text.substr(0, 5), "hello");
    ASSERT_EQ(guest.tcp_to(port).ack, 1006u);
    host.reset();
    TcpView fin = guest.tcp_to(port);
    while (fin.valid && !(fin.flags & k_fin)) fin = guest.tcp_to(port);
    guest.send(tcp6(port, k_host_ip6, server.port, 1006, fin.seq + 1, k_fin | k_ack));
    ASSERT_EQ(guest.tcp_to(port).ack, 1007u);
  }
  for (u32 i = 0; i < 500; ++i) guest.send(tcp6(4000 + i, k_host_ip6, server.port, 1000, 0, k_syn));
  EXPECT_LE(open_descriptors(), before + 2);
}

TEST(NetworkLimits, DatagramsByIpv6ReachTheHostAndAreBounded) {
  SKIP_WITHOUT_IPV6();
  HostSocket server(SOCK_DGRAM, AF_INET6);
  Guest guest("user,flows=16");
  const std::size_t before = open_descriptors();
  for (u32 port = 5000; port < 5100; ++port) {
    guest.send(udp6(k_guest_ip6, port, k_host_ip6, server.port, std::to_string(port)));
    ASSERT_EQ(server.echo().first, std::to_string(port)) << "a new flow finds room";
    ASSERT_EQ(guest.udp_to(port), std::to_string(port));
  }
  EXPECT_LE(open_descriptors(), before + 16);
}

TEST(NetworkLimits, ARestrictedGuestReachesNothingByIpv6EvenBesideAProgram) {
  SKIP_WITHOUT_IPV6();
  const HostSocket server(SOCK_STREAM, AF_INET6);
  HostSocket datagrams(SOCK_DGRAM, AF_INET6);
  const std::string port = std::to_string(server.port);
  Guest guest("user,restrict=on,guestfwd=tcp:10.0.2.100:" + port + "-cmd:cat");
  // libslirp compares four bytes of the address with that of the program, wherever they are.
  for (std::size_t at = 0; at <= 12; at += 4) {
    std::string to = k_host_ip6;
    to.replace(at, 4, be32(0x0a000264));
    guest.send(tcp6(3000, to, server.port, 1000, 0, k_syn));
  }
  EXPECT_FALSE(guest.connect6(3001, server.port, std::chrono::milliseconds(0)).flags & k_ack);
  guest.send(udp6(k_guest_ip6, 3000, k_host_ip6, datagrams.port, "x"));
  pollfd polled[2] = {{server.fd.get(), POLLIN, 0}, {datagrams.fd.get(), POLLIN, 0}};
  EXPECT_EQ(::poll(polled, 2, 0), 0) << "the host's loopback was reached";
  guest.send(icmp6(k_guest_ip6, k_host_ip6, 128, std::string("\0\1\0\1", 4) + "ping"));
  EXPECT_NE(guest.icmp6_of(129), "") << "its router is there";
}

TEST(NetworkLimits, AForwardedPortOfIpv6ReachesTheGuestWhichIsBoundedToo) {
  SKIP_WITHOUT_IPV6();
  const u32 port = HostSocket(SOCK_STREAM, AF_INET6).port;
  Guest guest("user,restrict=on,hostfwd=tcp:[::1]:" + std::to_string(port) + "-[fec0::f]:80");
  guest.send(neighbor_solicitation(k_guest_ip6, k_host_ip6));
  const Fd host(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 a{};
  a.sin6_family = AF_INET6;
  a.sin6_addr = in6addr_loopback;
  a.sin6_port = htons(static_cast<u16>(port));
  ASSERT_EQ(::connect(host.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a), 0);
  const TcpView syn = guest.tcp_to(80);
  ASSERT_TRUE(syn.valid);
  const auto segment = [&](u32 seq, u8 flags, std::string_view data = {}) {
    return tcp6(80, k_host_ip6, syn.source, seq, syn.seq + 1, flags, data);
  };
  guest.send(segment(1000, k_syn | k_ack));
  ASSERT_TRUE(guest.tcp_to(80).valid) << "its ACK";
  const u64 memory = resident_kib();
  for (u32 i = 0; i < 20000; ++i) guest.send(segment(1001 + 40002 - 2 * i, k_ack, std::string(1400, 'o')));
  EXPECT_LE(resident_kib(), memory + 16 * 1024) << "30 MB otherwise";
  guest.send(segment(1001, k_ack, "ghi"));
  std::string text(3, '\0');
  ASSERT_EQ(::recv(host.get(), text.data(), 3, MSG_WAITALL), 3);
  EXPECT_EQ(text, "ghi");
  guest.forward("tcp:[::1]:" + std::to_string(port) + "-[fec0::f]:80", false);
}

/// A character device over a socket, of which the test has the other end.
struct HostLine {
  std::unique_ptr<Chardevs> all;
  Chardev* line = nullptr;
  Fd far;

  HostLine() {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
    far = Fd(ends[0]);
    const timeval patience{10, 0};
    ::setsockopt(far.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ChardevOptions options;
    options.kind = ChardevOptions::Kind::Socket;
    options.socket.at.family = SocketAddress::Family::Descriptor;
    options.socket.at.fd = ends[1];
    options.keys.when = ConsoleKeys::When::Never;
    auto opened = Chardevs::open({options}, {}, -1);
    if (!opened) throw std::runtime_error(opened.error().message);
    all = *std::move(opened);
    line = *all->use(0);
    if (!all->start()) throw std::runtime_error("no thread");
  }
  std::string read(std::size_t bytes) const {
    std::string text(bytes, '\0');
    const ssize_t n = ::recv(far.get(), text.data(), bytes, MSG_WAITALL);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }
  void write(std::string_view text) const {
    EXPECT_EQ(::send(far.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
};

std::string to_line(u32 from, u32 seq, u32 ack, u8 flags, std::string_view data = {}) {
  return tcp(k_host_mac, from, k_line_ip, k_line_port, seq, ack, flags, data);
}

TEST(NetworkLimits, AllConnectionsToALineWriteToItAndTheNewestHears) {
  const HostLine host;
  Guest guest("user", {host.line});
  host.write("early ");  // waits for somebody
  const TcpView first = guest.connect(3000, k_line_port, k_patience, k_line_ip);
  ASSERT_TRUE(first.flags & k_syn);
  EXPECT_EQ(guest.tcp_to(3000).data, "early ");
  guest.send(to_line(3000, 1001, first.seq + 7, k_ack, "one"));
  EXPECT_EQ(host.read(3), "one");
  const TcpView second = guest.connect(3001, k_line_port, k_patience, k_line_ip);
  guest.send(to_line(3001, 1001, second.seq + 1, k_ack, "two"));
  EXPECT_EQ(host.read(3), "two") << "the newest is there";
  guest.send(to_line(3000, 1004, first.seq + 7, k_ack, "three"));
  EXPECT_EQ(host.read(5), "three");
  host.write("answer");
  TcpView answer = guest.tcp_to(3001);
  while (answer.valid && answer.data.empty()) answer = guest.tcp_to(3001);
  EXPECT_EQ(answer.data, "answer");
  // The guest has ended its side of both: the older connection ends, and the newest still hears.
  guest.send(to_line(3000, 1009, first.seq + 7, k_ack | k_fin));
  TcpView fin = guest.tcp_to(3000);
  while (fin.valid && !(fin.flags & k_fin)) fin = guest.tcp_to(3000);
  EXPECT_TRUE(fin.valid);
  guest.send(to_line(3001, 1004, second.seq + 7, k_ack | k_fin));
  host.write("late");
  answer = guest.tcp_to(3001);
  while (answer.valid && answer.data.empty()) answer = guest.tcp_to(3001);
  EXPECT_EQ(answer.data, "late");
}

TEST(NetworkLimits, ALineWithNobodyThereTakesWhatTheGuestSends) {
  Guest guest("user", {nullptr});
  const TcpView syn = guest.connect(3000, k_line_port, k_patience, k_line_ip);
  ASSERT_TRUE(syn.flags & k_syn);
  guest.send(to_line(3000, 1001, syn.seq + 1, k_ack, "lost"));
  TcpView v = guest.tcp_to(3000);
  while (v.valid && v.ack != 1005) v = guest.tcp_to(3000);
  EXPECT_EQ(v.ack, 1005u);
}

/// A guest that sends numbered segments to a line.
class LineSender {
 public:
  static constexpr u32 k_segment = 1400;

  explicit LineSender(Chardev* line)
      : guest_("user", {line}), syn_(guest_.connect(3000, k_line_port, k_patience, k_line_ip)) {}
  static std::string piece(u32 number) {
    std::string text = std::to_string(number) + ":";
    text.resize(k_segment, static_cast<char>('a' + number % 26));
    return text;
  }
  void send_from(u32 number, u32 count) {
    std::vector<std::string> frames;
    for (u32 n = number; n < number + count; ++n)
      frames.push_back(to_line(3000, 1001 + n * k_segment, syn_.seq + 1, k_ack, piece(n)));
    guest_.send(std::move(frames));
  }
  /// How many segments the guest was told have arrived: what comes before the window is answered at once.
  u32 taken() {
    guest_.forget_what_came();
    guest_.send(to_line(3000, 1000, syn_.seq + 1, k_ack, "?"));
    const TcpView v = guest_.tcp_to(3000);
    if (!v.valid) throw std::runtime_error("no answer");
    return (v.ack - 1001) / k_segment;
  }
  /// Sends what a line takes that nobody reads.
  u32 fill() {
    for (u32 round = 0; round < 200; ++round) send_from(taken(), 100);
    return taken();
  }

 private:
  Guest guest_;
  const TcpView syn_;
};

TEST(NetworkLimits, ALineWhoseReaderReadsNothingHoldsTheGuestBackAndLosesNothing) {
  const HostLine host;
  LineSender sender(host.line);
  constexpr u32 k_segment = LineSender::k_segment;
  const u64 memory = resident_kib();
  const u32 held = sender.fill();
  EXPECT_LE(resident_kib(), memory + 16 * 1024) << "28 MB otherwise";
  EXPECT_LE(held * k_segment, 2u << 20);
  // The reader reads now: all of it comes, in order.
  const auto deadline = std::chrono::steady_clock::now() + k_patience;
  u32 seen = 0;
  std::string got;
  while (seen < held + 500 && std::chrono::steady_clock::now() < deadline) {
    if (const u32 next = sender.taken(); next < held + 500) sender.send_from(next, 20);
    char buffer[65536];
    const ssize_t n = ::recv(host.far.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0) got.append(buffer, static_cast<std::size_t>(n));
    for (; got.size() >= k_segment; got.erase(0, k_segment))
      ASSERT_EQ(got.substr(0, k_segment), LineSender::piece(seen++));
  }
  EXPECT_GE(seen, held + 500);
}

TEST(NetworkLimits, WhatTheGuestWasToldHasArrivedReachesALineWhenTheNetworkEnds) {
  HostLine host;
  auto sender = std::make_unique<LineSender>(host.line);
  const u32 held = sender->fill();
  std::thread end([&] {
    sender.reset();
    host.line->drain();
    host.all->stop();
  });
  for (u32 n = 0; n < held; ++n)
    EXPECT_EQ(host.read(LineSender::k_segment), LineSender::piece(n)) << n << " of " << held;
  end.join();
}

TEST(NetworkLimits, AnEndWaitsForNoReaderOfALineThatWasGivenUp) {
  const HostLine host;
  auto sender = std::make_unique<LineSender>(host.line);
  sender->fill();
  host.line->give_up();
  const auto start = std::chrono::steady_clock::now();
  sender.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, k_patience);
}

TEST(NetworkLimits, ConnectionsToALineThatAreNeverAnsweredAreBounded) {
  Guest guest("user,flows=8", {nullptr});
  const u64 memory = resident_kib();
  for (u32 i = 0; i < 2000; ++i) guest.send(to_line(2000 + i, 1000, 0, k_syn));
  EXPECT_LE(resident_kib(), memory + 64 * 1024) << "2,000 connections would take 580 MB";
  EXPECT_TRUE(guest.connect(9000, k_line_port, k_patience, k_line_ip).flags & k_syn) << "the oldest make room";
}

TEST(NetworkLimits, ALineAtAnAddressThatLibslirpChoosesIsBoundedToo) {
  auto options = parse_network_option("user,net=10.0.0.0/8,flows=8");
  ASSERT_TRUE(options);
  EXPECT_EQ(ipv4_text(options->network.host), "10.0.2.2") << "as in QEMU";
  Guest guest("user,net=10.0.0.0/8,flows=8", {nullptr}, 0);
  const u64 memory = resident_kib();
  constexpr u32 k_chosen = 0x0a000204;
  for (u32 i = 0; i < 500; ++i) guest.send(tcp(k_host_mac, 2000 + i, k_chosen, k_line_port, 1000, 0, k_syn));
  EXPECT_LE(resident_kib(), memory + 32 * 1024) << "500 connections would take 145 MB";
  EXPECT_TRUE(guest.connect(9000, k_line_port, k_patience, k_chosen).flags & k_syn);
}

// Connections to a line that the guest itself has reset, or never answered, leave room for others.
TEST(NetworkLimits, AForwardedPortIsServedWhenTheGuestHasResetConnectionsToALine) {
  for (const u8 end : {k_rst, u8{0}}) {
    const u32 port = HostSocket(SOCK_STREAM).port;
    Guest guest("user,flows=8,hostfwd=tcp:127.0.0.1:" + std::to_string(port) + "-:80", {nullptr});
    guest.send(arp_request(k_host_ip));
    for (u32 i = 0; i < 8; ++i) {
      guest.send(to_line(2000 + i, 1000, 0, k_syn));
      if (end) guest.send(to_line(2000 + i, 1001, 0, end));
    }
    const Fd connection = connect_to(port);
    EXPECT_TRUE(guest.tcp_to(80).flags & k_syn) << u32{end};
  }
}

TEST(NetworkLimits, OptionFlows) {
  EXPECT_EQ(parse_network_option("user")->network.flows, UserNetworkOptions::k_default_flows);
  EXPECT_EQ(parse_network_option("user,flows=1")->network.flows, 1u);
  EXPECT_EQ(parse_network_option("user,flows=65536")->network.flows, 65536u);
  for (const char* bad : {"0", "65537", "-1", "", "8x", "99999999999"})
    EXPECT_FALSE(parse_network_option(std::string("user,flows=") + bad)) << bad;
}

}  // namespace
}  // namespace armvisor::devices
