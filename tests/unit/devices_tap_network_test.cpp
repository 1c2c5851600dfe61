// Needs a host that lets this user make tap interfaces (root mostly); skipped elsewhere.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "devices/backends/no_network.h"
#include "devices/backends/tap_network.h"

namespace armvisor::devices {
namespace {

constexpr u8 k_type[2] = {0x88, 0xb5};  // for experiments (IEEE 802)

std::vector<u8> frame(u8 mark) {
  std::vector<u8> f(64, mark);
  std::fill_n(f.begin(), 6, u8{0xff});
  std::fill_n(f.begin() + 6, 6, u8{0x02});
  f[12] = k_type[0];
  f[13] = k_type[1];
  return f;
}

/// Has frames to send, and keeps those of this test that come.
class Client final : public NetworkClient {
 public:
  bool transmit_pending() override {
    std::vector<std::vector<u8>> sent;
    {
      const std::lock_guard lock(mutex_);
      sent.swap(to_send_);
    }
    for (const auto& f : sent) backend->send(f);
    ++asked;
    return endless;
  }
  void receive(std::span<const u8> f) override {
    if (f.size() < 14 || f[12] != k_type[0] || f[13] != k_type[1]) return;
    const std::lock_guard lock(mutex_);
    received_.emplace_back(f.begin(), f.end());
    came_.notify_all();
  }
  void received_all() override {}

  void send(std::vector<u8> f) {
    {
      const std::lock_guard lock(mutex_);
      to_send_.push_back(std::move(f));
    }
    backend->wake();
  }
  std::vector<u8> wait() {
    std::unique_lock lock(mutex_);
    came_.wait_for(lock, std::chrono::seconds(30), [this] { return !received_.empty(); });
    return received_.empty() ? std::vector<u8>() : received_.front();
  }
  NetworkBackend* backend = nullptr;
  int asked = 0;
  bool endless = false;

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<std::vector<u8>> to_send_, received_;
};

class TapTest : public testing::Test {
 protected:
  TapTest() {
    char name[] = "/tmp/tap_test.XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~TapTest() override { std::filesystem::remove_all(directory_); }

  std::string script(const std::string& name, const std::string& command) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << "#!/bin/sh\n" << command << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  std::string text(const std::string& name) {
    std::ifstream file(directory_ + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string directory_;
};

/// The host's end of the interface.
class HostEnd {
 public:
  explicit HostEnd(const std::string& interface)
      : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x88b5))) {
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    ::ioctl(socket_, SIOCGIFFLAGS, &request);
    request.ifr_flags |= IFF_UP;
    ::ioctl(socket_, SIOCSIFFLAGS, &request);
    address_.sll_family = AF_PACKET;
    address_.sll_protocol = htons(0x88b5);
    address_.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    ::bind(socket_, reinterpret_cast<sockaddr*>(&address_), sizeof address_);
  }
  ~HostEnd() { ::close(socket_); }
  void send(const std::vector<u8>& f) {
    EXPECT_EQ(::sendto(socket_, f.data(), f.size(), 0, reinterpret_cast<sockaddr*>(&address_), sizeof address_),
              static_cast<ssize_t>(f.size()));
  }
  std::vector<u8> receive() {
    pollfd p{socket_, POLLIN, 0};
    std::vector<u8> f(2000);
    if (::poll(&p, 1, 30'000) != 1) return {};
    f.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::recv(socket_, f.data(), f.size(), 0))));
    return f;
  }

 private:
  int socket_;
  sockaddr_ll address_{};
};

TEST_F(TapTest, CarriesFramesBothWaysAndRunsItsScripts) {
  const TapOptions options{.interface = {},
                           .up_script = script("up", "echo up $1 > " + directory_ + "/log"),
                           .down_script = script("down", "echo down $1 >> " + directory_ + "/log")};
  auto tap = TapNetwork::create(options);
  if (!tap && tap.error().kind == ErrorKind::HostResource) GTEST_SKIP() << tap.error().message;
  ASSERT_TRUE(tap) << tap.error().message;
  const std::string name = (*tap)->interface();
  EXPECT_EQ(text("log"), "up " + name + "\n");
  HostEnd host(name);
  Client client;
  client.backend = tap->get();
  ASSERT_TRUE((*tap)->start(client));
  host.send(frame(1));
  EXPECT_EQ(client.wait(), frame(1));
  client.send(frame(2));
  EXPECT_EQ(host.receive(), frame(2));
  tap->reset();
  EXPECT_EQ(text("log"), "up " + name + "\ndown " + name + "\n");
}

TEST_F(TapTest, AScriptThatFailsIsAnError) {
  const auto usable = TapNetwork::create({.interface = {}, .up_script = {}, .down_script = {}});
  if (!usable) GTEST_SKIP() << usable.error().message;
  for (const std::string& up : {script("bad", "exit 3"), std::string("/nonexistent/up")}) {
    const auto tap = TapNetwork::create({.interface = {}, .up_script = up, .down_script = {}});
    ASSERT_FALSE(tap);
    EXPECT_NE(tap.error().message.find(up), std::string::npos) << tap.error().message;
  }
}

TEST_F(TapTest, RefusesNamesAndDescriptorsThatCannotBe) {
  EXPECT_FALSE(TapNetwork::create({.interface = "a-name-of-16-bytes", .up_script = {}, .down_script = {}}));
  EXPECT_FALSE(TapNetwork::create({.interface = {}, .fd = 0, .up_script = {}, .down_script = {}}));
  EXPECT_FALSE(TapNetwork::create({.interface = {}, .fd = 12345, .up_script = {}, .down_script = {}}));
}

TEST(NoNetwork, TakesWhatIsSentWithinBounds) {
  NoNetwork nowhere;
  Client client;
  client.backend = &nowhere;
  ASSERT_TRUE(nowhere.start(client));
  client.send(frame(1));
  EXPECT_EQ(client.asked, 1);
  client.endless = true;
  nowhere.wake();
  EXPECT_LT(client.asked, 100) << "a guest that goes on sending does not hold its vCPU for ever";
}

}  // namespace
}  // namespace armvisor::devices
