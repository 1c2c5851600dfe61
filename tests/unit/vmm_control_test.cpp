#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "vmm/control_client.h"
#include "vmm/control_path.h"
#include "vmm/control_server.h"
#include "vmm/stats_session.h"

namespace armvisor::vmm {
namespace {

/// A loop that runs and a directory for sockets.
class Control : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/armvisor-test-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    runtime_ = path;
    ::setenv("XDG_RUNTIME_DIR", path, 1);
    auto loop = machine::EventLoop::create();
    ASSERT_TRUE(loop);
    loop_ = *std::move(loop);
    ASSERT_TRUE(loop_->start());
  }
  void TearDown() override {
    loop_->stop();
    std::filesystem::remove_all(runtime_);
  }
  Result<std::unique_ptr<ControlServer>> serve(const std::string& name) {
    return ControlServer::open(name, *loop_, [] {
      return [n = 0](const std::string& request) mutable -> Result<std::string> {
        if (request == "bad") return Error{ErrorKind::BadArguments, "no"};
        if (request == "big") return std::string(4u << 20, 'x');
        return request + " " + std::to_string(++n);
      };
    });
  }
  bool connect(const Fd& fd, const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (runtime_ + "/armvisor/" + name + ".sock").c_str());
    const timeval patience{10, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  /// A connection that does not keep to the protocol.
  Fd raw(const std::string& name) {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!connect(fd, name)) fd.reset();
    return fd;
  }
  /// The far end closed the connection.
  static bool closed(const Fd& fd) {
    char byte;
    const ssize_t n = ::recv(fd.get(), &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);  // reset: it had not read all
  }

  std::string runtime_;
  std::unique_ptr<machine::EventLoop> loop_;
};

TEST_F(Control, AnswersEachClientByItself) {
  const auto server = serve("one");
  ASSERT_TRUE(server) << server.error().message;
  auto a = ControlClient::connect("one"), b = ControlClient::connect("one");
  ASSERT_TRUE(a && b);
  EXPECT_EQ(*a->ask("x"), "x 1");
  EXPECT_EQ(*a->ask("y"), "y 2");
  EXPECT_EQ(*b->ask("z"), "z 1");
  const auto bad = b->ask("bad");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("no"), std::string::npos);
  EXPECT_EQ(b->ask("big")->size(), 4u << 20);
  EXPECT_EQ(*b->ask("z"), "z 2");
}

TEST_F(Control, ANameIsOfOneRunningMachine) {
  auto first = serve("one");
  ASSERT_TRUE(first);
  EXPECT_FALSE(serve("one"));
  EXPECT_TRUE(serve("two"));
  first = Error{};  // ended
  EXPECT_FALSE(ControlClient::connect("one"));
  EXPECT_TRUE(serve("one"));
}

TEST_F(Control, ASocketLeftByAKilledProcessIsReplaced) {
  {
    const auto directory = open_control_directory();
    ASSERT_TRUE(directory);
    const Fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, control_socket_path(*directory, "one")->c_str());
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  const auto none = ControlClient::connect("one");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("one"), std::string::npos);
  EXPECT_TRUE(serve("one"));
}

/// All descriptors that the process may have are in use while this lives.
struct NoDescriptors {
  rlimit old{};
  std::vector<Fd> all;
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &old);
    rlimit low = old;
    low.rlim_cur = std::min<rlim_t>(old.rlim_cur, 256);
    ::setrlimit(RLIMIT_NOFILE, &low);
    for (Fd fd(::dup(0)); fd; fd = Fd(::dup(0))) all.push_back(std::move(fd));
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &old); }
};

/// Processor time of the process.
std::chrono::nanoseconds cpu_time() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

TEST_F(Control, AClientIsServedWhenNoDescriptorIsLeft) {
  const auto server = serve("one");
  ASSERT_TRUE(server);
  const auto client = [] { return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); };
  Fd first = client(), second = client();
  const NoDescriptors none;
  const auto ask = [this](const Fd& fd) {
    connect(fd, "one");
    ::send(fd.get(), "x\n", 2, MSG_NOSIGNAL);
  };
  const auto answer = [](const Fd& fd) {
    std::string text(8, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(::recv(fd.get(), text.data(), 8, MSG_WAITALL), 0)));
    return text;
  };
  ask(first);
  EXPECT_EQ(answer(first), "ok 3\nx 1");
  // Another one waits, without any work for that, until the first has gone.
  ask(second);
  const auto before = cpu_time();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(cpu_time() - before, std::chrono::milliseconds(100));
  char byte;
  EXPECT_LT(::recv(second.get(), &byte, 1, MSG_DONTWAIT), 0);
  ::shutdown(first.get(), SHUT_RDWR);
  EXPECT_EQ(answer(second), "ok 3\nx 1");
}

TEST_F(Control, NoClientHoldsUpTheOthers) {
  const auto server = serve("one");
  ASSERT_TRUE(server);
  const Fd silent = raw("one"), endless = raw("one"), greedy = raw("one"), pipelining = raw("one");
  const std::string letters(100000, 'a');
  ::send(endless.get(), letters.data(), letters.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  EXPECT_TRUE(closed(endless));
  for (int k = 0; k < 1000; ++k) ::send(greedy.get(), "big\n", 4, MSG_NOSIGNAL | MSG_DONTWAIT);  // and reads nothing
  ::send(pipelining.get(), "a\nb\nc\n", 6, MSG_NOSIGNAL);
  std::string text(18, '\0');
  EXPECT_EQ(::recv(pipelining.get(), text.data(), text.size(), MSG_WAITALL), 18);
  EXPECT_EQ(text, "ok 3\na 1ok 3\nb 2ok");
  auto client = ControlClient::connect("one");
  ASSERT_TRUE(client);
  EXPECT_EQ(*client->ask("x"), "x 1");
}

TEST_F(Control, ClientsAreFew) {
  const auto server = serve("one");
  ASSERT_TRUE(server);
  std::vector<Fd> clients;
  for (int k = 0; k < 8; ++k) clients.push_back(raw("one"));
  EXPECT_TRUE(closed(raw("one")));
  clients.clear();
}

TEST_F(Control, TheDirectoryIsOurs) {
  ASSERT_TRUE(open_control_directory());
  ASSERT_EQ(::chmod((runtime_ + "/armvisor").c_str(), 0755), 0);
  EXPECT_FALSE(open_control_directory());
  std::filesystem::remove(runtime_ + "/armvisor");
  std::filesystem::create_directory(runtime_ + "/elsewhere");
  std::filesystem::create_symlink(runtime_ + "/elsewhere", runtime_ + "/armvisor");
  EXPECT_FALSE(open_control_directory());
}

TEST_F(Control, NamesAreFileNames) {
  for (const char* good : {"a", "vm-1", "Debian_12.6"}) EXPECT_TRUE(check_machine_name(good)) << good;
  for (const char* bad : {"", ".", "..", "a/b", "-x", "a b", "name-that-is-longer-than-32-letters"})
    EXPECT_FALSE(check_machine_name(bad)) << bad;
  ::setenv("XDG_RUNTIME_DIR", (runtime_ + std::string(100, '/')).c_str(), 1);
  EXPECT_FALSE(serve("name"));
}

TEST(StatsSession, TellsAllOrTheChange) {
  u64 svc = 5;
  StatsSession session([&svc] {
    Stats s;
    s.snapshot.vcpus.resize(1);
    s.snapshot.vcpus[0][measure::Counter::HeavySvc] = svc;
    return s;
  });
  EXPECT_NE(session("stat json")->find("\"heavy.svc\":5,"), std::string::npos);
  svc = 7;
  EXPECT_NE(session("stat json change")->find("\"heavy.svc\":2,"), std::string::npos);
  EXPECT_NE(session("stat text")->find("svc                                7"), std::string::npos);
  EXPECT_FALSE(session("stat"));
  EXPECT_FALSE(session("stat text  change"));
}

}  // namespace
}  // namespace armvisor::vmm
