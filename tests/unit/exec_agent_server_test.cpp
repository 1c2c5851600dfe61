// The machine's process between programs and the agent's ports: what a guest and a program that is gone can leave.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "devices/virtio/console.h"
#include "exec/agent_path.h"
#include "exec/agent_server.h"
#include "exec/attach.h"
#include "virtio_driver.h"

namespace armvisor::exec {
namespace {

constexpr int k_patience_ms = 60'000;

std::vector<u8> frame(u8 type, std::span<const u8> bytes) {
  const av_frame head{type, 0, 0, static_cast<u32>(bytes.size())};
  std::vector<u8> out(sizeof head + bytes.size());
  std::memcpy(out.data(), &head, sizeof head);
  std::ranges::copy(bytes, out.begin() + sizeof head);
  return out;
}

std::vector<u8> hello() {
  const av_hello said{AV_PROTOCOL};
  return frame(AV_HELLO, {reinterpret_cast<const u8*>(&said), sizeof said});
}

/// A guest with one port, which takes all that comes.
class AgentServerTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/armvisor-agent-XXXXXX";
    folder_ = mkdtemp(path);
    setenv("XDG_RUNTIME_DIR", folder_.c_str(), 1);
    auto made = AgentServer::create({.user = "u", .folder = "/f", .variables = {"A=b"}});
    ASSERT_TRUE(made) << made.error().message;
    server_ = *std::move(made);
    line_ = server_->line(1);
    line_->attach({.input =
                       [this](std::span<const u8> bytes) {
                         const std::lock_guard lock(mutex_);
                         input_.insert(input_.end(), bytes.begin(), bytes.end());
                         changed_.notify_all();
                         return bytes.size();
                       },
                   .send_break = {},
                   .opened = {},
                   .writable =
                       [this] {
                         const std::lock_guard lock(mutex_);
                         writable_ = true;
                         changed_.notify_all();
                       },
                   .resized = {},
                   .focused = {}});
    ASSERT_TRUE(server_->start("m"));
  }
  void TearDown() override {
    server_->stop();
    line_.reset();
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  Fd connect() {
    const auto path = agent_socket_path("m");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path->c_str(), path->size() + 1);
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  /// The next frame's type; 0: the end.
  static u8 next(const Fd& fd) {
    av_frame head{};
    if (::recv(fd.get(), &head, sizeof head, MSG_WAITALL) != sizeof head) return 0;
    std::vector<u8> bytes(head.length);
    const ssize_t n = head.length ? ::recv(fd.get(), bytes.data(), bytes.size(), MSG_WAITALL) : 0;
    EXPECT_EQ(n, static_cast<ssize_t>(head.length));
    return head.type;
  }

  template <class F>
  void wait_until(F done) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::milliseconds(k_patience_ms), done));
  }

  std::string folder_;
  std::unique_ptr<AgentServer> server_;
  std::unique_ptr<devices::Chardev> line_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<u8> input_;
  bool writable_ = false;
};

TEST_F(AgentServerTest, AProgramIsGreetedAndWaitsForAPort) {
  const Fd program = connect();
  EXPECT_EQ(next(program), AV_GREETING);
  pollfd fd{program.get(), POLLIN, 0};
  EXPECT_EQ(poll(&fd, 1, 50), 0);
  line_->user_opened(true);
  EXPECT_TRUE(line_->offer(hello()));
  EXPECT_EQ(next(program), AV_HELLO);
  line_->user_opened(false);
  EXPECT_EQ(next(program), 0);
}

TEST_F(AgentServerTest, WhatAProgramThatIsGoneBeganIsNotPassedOn) {
  line_->user_opened(true);
  EXPECT_TRUE(line_->offer(hello()));
  {
    const Fd program = connect();
    EXPECT_EQ(next(program), AV_GREETING);
    EXPECT_EQ(next(program), AV_HELLO);
    const std::vector<u8> whole = frame(AV_DATA, std::vector<u8>(100, 1));
    EXPECT_EQ(::send(program.get(), whole.data(), whole.size(), 0), static_cast<ssize_t>(whole.size()));
    EXPECT_EQ(::send(program.get(), whole.data(), 50, 0), 50);
    wait_until([&] { return input_ == whole; });
  }
  const std::size_t before = sizeof(av_frame) + 100;
  wait_until([&] { return input_.size() >= before + sizeof(av_frame); });
  EXPECT_EQ(std::vector<u8>(input_.begin() + before, input_.end()), frame(AV_HANGUP, {}));
  // The port is nobody's until the guest has opened it anew.
  const Fd other = connect();
  EXPECT_EQ(next(other), AV_GREETING);
  EXPECT_TRUE(line_->offer(hello()));
  pollfd fd{other.get(), POLLIN, 0};
  EXPECT_EQ(poll(&fd, 1, 50), 0);
  EXPECT_TRUE(line_->user_opened(false));
  line_->user_opened(true);
  EXPECT_TRUE(line_->offer(hello()));
  EXPECT_EQ(next(other), AV_HELLO);
}

TEST_F(AgentServerTest, OutputThatNobodyReadsHasABoundAndGoesOnWhenItIsRead) {
  line_->user_opened(true);
  EXPECT_TRUE(line_->offer(hello()));
  const Fd program = connect();
  EXPECT_EQ(next(program), AV_GREETING);
  EXPECT_EQ(next(program), AV_HELLO);
  const std::vector<u8> bytes(4096);
  std::size_t taken = 0;
  while (taken < 64 * AgentServer::k_most_output && line_->offer(bytes)) taken += bytes.size();
  EXPECT_LT(taken, 8 * AgentServer::k_most_output);
  std::vector<u8> all(taken);
  EXPECT_EQ(::recv(program.get(), all.data(), all.size(), MSG_WAITALL), static_cast<ssize_t>(taken));
  wait_until([&] { return writable_; });
  EXPECT_TRUE(line_->offer(bytes));
}

TEST_F(AgentServerTest, AFrameThatIsTooLongEndsItsProgramOnly) {
  line_->user_opened(true);
  EXPECT_TRUE(line_->offer(hello()));
  const Fd program = connect();
  EXPECT_EQ(next(program), AV_GREETING);
  EXPECT_EQ(next(program), AV_HELLO);
  const av_frame head{AV_DATA, 0, 0, AV_FRAME_MOST + 1};
  EXPECT_EQ(::send(program.get(), &head, sizeof head, 0), static_cast<ssize_t>(sizeof head));
  EXPECT_EQ(next(program), 0);
  wait_until([&] { return input_ == frame(AV_HANGUP, {}); });
}

TEST_F(AgentServerTest, AnAgentThatOnlySaidHelloIsNotWaitedForWithoutEnd) {
  line_->user_opened(true);
  EXPECT_TRUE(line_->offer(hello()));
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const auto outcome = attach({.machine = "m",
                               .command = {.command = {"true"}},
                               .timeout_ms = k_patience_ms,
                               .streams = {null.get(), null.get(), null.get()},
                               .agent_patience_ms = 50});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->ending, Ending::NotUp) << outcome->message;
}

/// A machine's console whose ports 1 and 2 are the agent's second and third.
class AgentPorts {
 public:
  AgentPorts(devices::Chardev* first, devices::Chardev* second)
      : driver(std::make_unique<devices::virtio::Console>(
            std::vector<devices::virtio::ConsolePort>{{.line = first, .console = false, .name = "a", .number = 1},
                                                      {.line = second, .console = false, .name = "b", .number = 2}})) {}
  bool start() {
    return driver.bring_up(devices::virtio::k_feature_version_1 | k_has_ports, receive_queue(k_ports + 1));
  }
  /// A session's process of the guest's agent opens its port.
  void greet(u32 port) {
    std::string opens(8, 0);
    opens[0] = static_cast<char>(port);
    opens[4] = 6;  // PORT_OPEN
    opens[6] = 1;
    send(3, opens);
    const std::vector<u8> said = hello();
    send(receive_queue(port) + 1, {reinterpret_cast<const char*>(said.data()), said.size()});
  }
  static constexpr u32 receive_queue(u32 port) { return 2 + 2 * port; }

  devices::virtio::testing::Driver driver;

 private:
  static constexpr u64 k_has_ports = 1u << 1;
  static constexpr u32 k_ports = 2;
  void send(u32 queue, std::string_view bytes) {
    driver.add(queue, {{driver.put(bytes), static_cast<u32>(bytes.size()), false}});
    driver.kick(queue);
    EXPECT_TRUE(driver.poll_used(queue));
  }
};

TEST_F(AgentServerTest, AResetOfTheMachineEndsWhatRunsAndLeavesNothing) {
  const auto second = server_->line(2), third = server_->line(3);
  for (const bool is_new : {true, false}) {
    auto machine = std::make_unique<AgentPorts>(second.get(), third.get());
    ASSERT_TRUE(machine->start());
    machine->greet(1);
    const Fd runs = connect();
    EXPECT_EQ(next(runs), AV_GREETING);
    EXPECT_EQ(next(runs), AV_HELLO);
    machine->greet(2);

    if (is_new) {
      machine.reset();
      machine = std::make_unique<AgentPorts>(second.get(), third.get());
    } else {
      machine->driver.write(devices::virtio::testing::Driver::Status, 0);
    }
    const Fd waits = connect();
    EXPECT_EQ(next(waits), AV_GREETING);
    pollfd ready{waits.get(), POLLIN, 0};
    ASSERT_EQ(poll(&ready, 1, 50), 0) << "no agent of the new boot is there yet";
    pollfd ended{runs.get(), POLLIN, 0};
    ASSERT_EQ(poll(&ended, 1, k_patience_ms), 1);
    EXPECT_EQ(next(runs), 0);

    ASSERT_TRUE(machine->start());
    const u32 queue = AgentPorts::receive_queue(2);
    auto& driver = machine->driver;
    const GuestPa buffer = driver.allocate(64);
    driver.add(queue, {{buffer, 64, true}});
    driver.kick(queue);
    machine->greet(2);
    EXPECT_EQ(next(waits), AV_HELLO);
    const std::vector<u8> said = frame(AV_DATA, std::vector<u8>(10, 1));
    EXPECT_EQ(::send(waits.get(), said.data(), said.size(), 0), static_cast<ssize_t>(said.size()));
    const auto used = driver.wait_used(queue);
    ASSERT_TRUE(used);
    EXPECT_EQ(driver.view(buffer, used->length), std::string(said.begin(), said.end()));
  }
}

}  // namespace
}  // namespace armvisor::exec
