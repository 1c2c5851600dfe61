// What needs a host that lets this user make tap interfaces (root mostly) is skipped elsewhere.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "devices/backends/link_network.h"
#include "devices/backends/no_network.h"
#include "devices/backends/tap_link.h"
#include "devices/backends/tap_programs.h"

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

void carries_frames(const std::shared_ptr<TapLink>& tap) {
  auto network = LinkNetwork::create(tap);
  ASSERT_TRUE(network);
  HostEnd host(tap->interface());
  Client client;
  client.backend = network->get();
  ASSERT_TRUE((*network)->start(client));
  host.send(frame(1));
  EXPECT_EQ(client.wait(), frame(1));
  client.send(frame(2));
  EXPECT_EQ(host.receive(), frame(2));
}

TEST_F(TapTest, CarriesFramesBothWaysAndRunsItsScripts) {
  const TapOptions options{.interface = {},
                           .up_script = script("up", "echo up $1 > " + directory_ + "/log"),
                           .down_script = script("down", "echo down $1 >> " + directory_ + "/log")};
  auto tap = TapLink::open(options, nullptr);
  if (!tap && tap.error().kind == ErrorKind::HostResource) GTEST_SKIP() << tap.error().message;
  ASSERT_TRUE(tap) << tap.error().message;
  const std::string name = (*tap)->interface();
  EXPECT_EQ(text("log"), "up " + name + "\n");
  carries_frames(*tap);
  tap->reset();
  EXPECT_EQ(text("log"), "up " + name + "\ndown " + name + "\n");
}

TEST_F(TapTest, AScriptThatFailsIsAnError) {
  const auto usable = TapLink::open({.interface = {}, .up_script = {}, .down_script = {}}, nullptr);
  if (!usable) GTEST_SKIP() << usable.error().message;
  for (const std::string& up : {script("bad", "exit 3"), std::string("/nonexistent/up")}) {
    const auto tap = TapLink::open({.interface = {}, .up_script = up, .down_script = {}}, nullptr);
    ASSERT_FALSE(tap);
    EXPECT_NE(tap.error().message.find(up), std::string::npos) << tap.error().message;
  }
}

TEST_F(TapTest, RefusesNamesAndDescriptorsThatCannotBe) {
  const auto open = [](const std::string& name, int fd) {
    return TapLink::open({.interface = name, .fd = fd, .up_script = {}, .down_script = {}}, nullptr);
  };
  EXPECT_FALSE(open("a-name-of-16-bytes", -1));
  EXPECT_FALSE(open({}, 0));
  EXPECT_FALSE(open({}, 12345));
}

// --- helpers, played by this program itself: the name of the bridge says what it is to do

/// An open tap interface; nothing where that cannot be had.
Fd open_tap(short flags) {
  Fd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ifreq request{};
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | flags);
  if (fd && ::ioctl(fd.get(), TUNSETIFF, &request) != 0) fd.reset();
  return fd;
}

void send_descriptor(int socket, int fd) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ::sendmsg(socket, &message, 0);
}

/// Before main(): ends the process if it was started as a helper.
__attribute__((constructor)) void be_helper(int count, char** words, char**) {
  if (count != 4 || std::string(words[1]) != "--use-vnet") return;
  const std::string fd = words[2], bridge = words[3];
  if (fd.rfind("--fd=", 0) != 0 || bridge.rfind("--br=", 0) != 0) ::_exit(10);
  const int socket = std::stoi(fd.substr(5));
  const std::string task = bridge.substr(5);
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0) ::_exit(11);
  if (task == "says-why") {
    if (::write(2, "no such bridge\n", 15) != 15) ::_exit(12);
    ::_exit(1);
  }
  if (task == "sends-text" && ::send(socket, "text", 4, 0) != 4) ::_exit(12);
  if (task == "hangs") ::pause();
  if (task == "sends-tap" || task == "sends-plain-tap") {
    const Fd tap = open_tap(task == "sends-tap" ? IFF_VNET_HDR : 0);
    send_descriptor(socket, tap.get());
    ::_exit(0);
  }
  if (task == "sends-pipe" || task == "sends-and-fails" || task == "sends-and-hangs") {
    int ends[2];
    if (::pipe(ends) != 0) ::_exit(12);
    send_descriptor(socket, ends[1]);
    if (::write(ends[1], "sent", 4) != 4) ::_exit(12);
    send_descriptor(socket, ends[0]);  // one too many, which nobody takes
    if (task == "sends-and-hangs") ::pause();
    ::_exit(task == "sends-pipe" ? 0 : 3);
  }
  ::_exit(0);
}

constexpr const char* k_self = "/proc/self/exe";

TEST(BridgeHelper, SendsADescriptorThatIsTheMachinesOwn) {
  const auto fd = run_bridge_helper(k_self, "sends-pipe", nullptr);
  ASSERT_TRUE(fd) << fd.error().message;
  struct stat status {};
  ASSERT_EQ(::fstat(fd->get(), &status), 0);
  EXPECT_TRUE(S_ISFIFO(status.st_mode));
  EXPECT_TRUE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC);
}

TEST(BridgeHelper, ThatFailsIsAnErrorWithWhatItSaid) {
  for (const auto& [task, text] : {std::pair<const char*, const char*>{"says-why", "no such bridge"},
                                   {"sends-text", "without sending one"},
                                   {"sends-nothing", "without sending one"},
                                   {"sends-and-fails", "status 3"}}) {
    const auto fd = run_bridge_helper(k_self, task, nullptr);
    ASSERT_FALSE(fd) << task;
    EXPECT_EQ(fd.error().kind, ErrorKind::HostResource);
    EXPECT_NE(fd.error().message.find(text), std::string::npos) << fd.error().message;
  }
  EXPECT_FALSE(run_bridge_helper("/nonexistent/helper", "br0", nullptr));
  EXPECT_FALSE(run_bridge_helper("nonexistent", "br0", nullptr)) << "no name in $PATH";
}

TEST(BridgeHelper, ThatDoesNotEndEndsWithTheMachine) {
  for (const char* task : {"hangs", "sends-and-hangs"}) {
    const auto stop = StopEvent::create();
    ASSERT_TRUE(stop);
    std::jthread ender([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      (*stop)->set();
    });
    EXPECT_FALSE(run_bridge_helper(k_self, task, stop->get())) << task;
  }
}

TEST(BridgeHelper, MayBeACommandOfTheShell) {
  EXPECT_TRUE(run_bridge_helper("exec /proc/$PPID/exe", "sends-pipe", nullptr));
}

TEST_F(TapTest, AScriptThatDoesNotEndEndsWithTheMachine) {
  const auto stop = StopEvent::create();
  ASSERT_TRUE(stop);
  (*stop)->set();
  EXPECT_FALSE(run_tap_script(script("hangs", "exec sleep 1000"), "tap0", stop->get()));
  EXPECT_FALSE(run_tap_script(script("hangs", "exec sleep 1000"), "tap0", nullptr, 10));
}

/// With the headers of virtio devices, as QEMU's helper opens it, and without.
TEST_F(TapTest, AnInterfaceOfAHelperCarriesFrames) {
  if (!open_tap(0)) GTEST_SKIP() << "no tap interface can be made here: " << std::strerror(errno);
  for (const char* task : {"sends-tap", "sends-plain-tap"}) {
    const auto tap =
        TapLink::open({.interface = {}, .helper = k_self, .bridge = task, .up_script = {}, .down_script = {}}, nullptr);
    ASSERT_TRUE(tap) << tap.error().message;
    carries_frames(*tap);
  }
  EXPECT_FALSE(TapLink::open(
      {.interface = {}, .helper = k_self, .bridge = "sends-pipe", .up_script = {}, .down_script = {}}, nullptr));
}

TEST_F(TapTest, AnInterfaceThatTheHostRemovesIsSilent) {
  const auto tap = TapLink::open({.interface = {}, .up_script = {}, .down_script = {}}, nullptr);
  if (!tap) GTEST_SKIP() << tap.error().message;
  EXPECT_GE((*tap)->wait().fd, 0);
  const std::string remove = "ip link delete " + (*tap)->interface();
  if (std::system(remove.c_str()) != 0) GTEST_SKIP() << "no program 'ip' that removes it";
  EXPECT_FALSE((*tap)->serve([](std::span<const u8>) {}));
  EXPECT_EQ((*tap)->wait().fd, -1) << "nothing that would be looked at again and again";
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
