// Switches between machines of one user: ends that come and go, read nothing, or break the rules. The process that is
// the switch is this program.
#include <dirent.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/user_directory.h"
#include "devices/backends/frame_link.h"
#include "devices/switch/switch_hub.h"
#include "devices/switch/switch_link.h"

namespace armvisor::devices {
namespace {

using Bytes = std::vector<u8>;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr MacAddress k_all = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

MacAddress mac(u8 n) { return {0x52, 0x54, 0, 0, 0, n}; }

Bytes frame(const MacAddress& to, const MacAddress& from, u8 mark, std::size_t size = 60) {
  Bytes f(size, mark);
  std::copy(to.begin(), to.end(), f.begin());
  std::copy(from.begin(), from.end(), f.begin() + 6);
  f[12] = 0x88;  // for experiments (IEEE 802)
  f[13] = 0xb5;
  return f;
}

/// What is not there in this time is a failure, not a test that hangs.
template <class F>
bool within_a_minute(F done) {
  for (const auto end = Clock::now() + std::chrono::minutes(1); Clock::now() < end;)
    if (done()) return true;
  return false;
}

// --- addresses

TEST(MacTable, KnowsWhereAnAddressWasSeenLast) {
  MacTable table;
  EXPECT_EQ(table.find(mac(1), 0), std::nullopt);
  table.learn(mac(1), 5, 1000);
  EXPECT_EQ(table.find(mac(1), 1000), 5u);
  table.learn(mac(1), 6, 2000);
  EXPECT_EQ(table.find(mac(1), 2000), 6u) << "it has moved";
  EXPECT_EQ(table.find(mac(1), 2000 + MacTable::k_life_ms), 6u);
  EXPECT_EQ(table.find(mac(1), 2001 + MacTable::k_life_ms), std::nullopt) << "it is forgotten";
  table.learn(mac(1), 6, 400'000);
  table.learn(mac(2), 7, 400'000);
  table.forget(6);
  EXPECT_EQ(table.find(mac(1), 400'000), std::nullopt);
  EXPECT_EQ(table.find(mac(2), 400'000), 7u);
  table.learn(k_all, 7, 400'000);
  EXPECT_EQ(table.find(k_all, 400'000), std::nullopt) << "that of a group is nobody's";
}

TEST(MacTable, APortThatClaimsManyAddressesCostsBoundedMemoryAndNobodyElse) {
  MacTable table;
  table.learn(mac(1), 1, 0);
  for (u32 n = 0; n < 100'000; ++n)
    table.learn({2, 0, 0, static_cast<u8>(n >> 16), static_cast<u8>(n >> 8), static_cast<u8>(n)}, 2, n / 100);
  EXPECT_EQ(table.size(), 1u + MacTable::k_most_of_port);
  EXPECT_EQ(table.find(mac(1), 1000), 1u);
  table.learn(mac(3), 3, 1000);
  EXPECT_EQ(table.find(mac(3), 1000), 3u);
  table.learn(mac(4), 2, 2000 + MacTable::k_life_ms);
  EXPECT_EQ(table.find(mac(4), 2000 + MacTable::k_life_ms), 2u) << "old ones make room";
}

// --- switches

/// A machine's end.
class End {
 public:
  explicit End(const std::string& name, bool nat = false) {
    auto link = FrameLink::open(
        {.option = "test", .kind = FrameLinkOptions::Kind::Switch, .switch_name = name, .switch_nat = nat});
    if (!link) throw std::runtime_error(link.error().message);
    link_ = *std::move(link);
  }
  void send(const Bytes& f) {
    link_->send(f);
    link_->sent_all();
  }
  /// Takes what comes for a short time.
  void pump() {
    const FrameLink::Wait wait = link_->wait();
    pollfd p{wait.fd, wait.events, 0};
    ::poll(&p, 1, wait.timeout_ms < 0 ? 20 : std::min(wait.timeout_ms, 20));
    link_->serve([this](std::span<const u8> f) { came.emplace_back(f.begin(), f.end()); });
  }
  bool has(const Bytes& f) const { return std::ranges::find(came, f) != came.end(); }
  bool waits_for(const Bytes& f) {
    return within_a_minute([&] {
      pump();
      return has(f);
    });
  }
  /// How long it waits before it looks for a switch again; -1 while it has one.
  int pause_ms() { return link_->wait().fd < 0 ? link_->wait().timeout_ms : -1; }
  std::vector<Bytes> came;

 private:
  std::shared_ptr<FrameLink> link_;
};

/// Returns when frames of `from` reach `to`: then the switch knows both.
void meet(End& from, const MacAddress& address, End& to) {
  const Bytes hello = frame(k_all, address, 0xaa);
  EXPECT_TRUE(within_a_minute([&] {
    from.pump();  // it may have to join again
    from.send(hello);
    to.pump();
    return to.has(hello);
  }));
}

/// The processes that are the switch of this name.
std::vector<pid_t> switches(const std::string& name) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline");
    std::string words;
    std::getline(file, words);  // it throws nothing, as an iterator would, when the process ends between open and read
    if (words.ends_with(std::string("switch\0", 7) + name + '\0')) found.push_back(std::stoi(entry.path().filename()));
  }
  return found;
}

/// The CPU time that a process has had, in ticks of sysconf(_SC_CLK_TCK).
long cpu_ticks(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  long user = 0, system = 0;
  fields >> user >> system;
  return user + system;
}

rlim_t descriptors(pid_t process) {
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(process) + "/fd");
  return static_cast<rlim_t>(std::distance(begin(all), end(all)));
}

class SwitchTest : public testing::Test {
 protected:
  SwitchTest() {
    char name[] = "/tmp/switch_test.XXXXXX";
    runtime_ = mkdtemp(name);
    ::setenv("XDG_RUNTIME_DIR", runtime_.c_str(), 1);
    name_ = "test-" + std::to_string(::getpid());
  }
  ~SwitchTest() override {
    EXPECT_TRUE(within_a_minute([this] {
      std::error_code none;
      return switches(name_).empty() && std::filesystem::is_empty(runtime_ + "/armvisor", none);
    })) << "nothing is left behind";
    std::filesystem::remove_all(runtime_);
  }
  std::string runtime_, name_;
};

TEST_F(SwitchTest, FramesGoToWhoeverHasTheirAddressAndElseToAll) {
  End a(name_), b(name_), c(name_);
  meet(a, mac(1), b);
  meet(b, mac(2), c);
  meet(c, mac(3), a);
  meet(a, mac(1), c);  // what is for all comes to c as well, once it has joined
  a.send(frame(mac(2), mac(1), 1));
  EXPECT_TRUE(b.waits_for(frame(mac(2), mac(1), 1)));
  a.send(frame(mac(9), mac(1), 2, 1514));
  EXPECT_TRUE(b.waits_for(frame(mac(9), mac(1), 2, 1514))) << "nobody is known to have it";
  EXPECT_TRUE(c.waits_for(frame(mac(9), mac(1), 2, 1514)));
  EXPECT_FALSE(c.has(frame(mac(2), mac(1), 1)));
  a.pump();
  EXPECT_FALSE(a.has(frame(mac(9), mac(1), 2, 1514))) << "never back to who sent it";
  EXPECT_EQ(switches(name_).size(), 1u);
}

TEST_F(SwitchTest, MachinesComeAndGoInAnyOrder) {
  auto a = std::make_unique<End>(name_);
  End b(name_);
  meet(*a, mac(1), b);
  a.reset();  // that started the switch
  {
    End c(name_);
    meet(b, mac(2), c);
    meet(c, mac(3), b);
  }
  End d(name_);
  meet(d, mac(4), b);
  EXPECT_EQ(switches(name_).size(), 1u);
}

TEST_F(SwitchTest, OneThatStartsWhileTheLastLeavesHasASwitch) {
  for (int i = 0; i < 30; ++i) {
    { const End last(name_); }
    End a(name_), b(name_);
    meet(a, mac(1), b);
  }
}

TEST_F(SwitchTest, WhenTheSwitchIsKilledMachinesStartAnother) {
  End a(name_), b(name_);
  meet(a, mac(1), b);
  const auto before = switches(name_);
  ASSERT_EQ(before.size(), 1u);
  ::kill(before[0], SIGKILL);
  ASSERT_TRUE(within_a_minute([&] { return switches(name_) != before; }));
  b.came.clear();
  meet(a, mac(1), b);
  EXPECT_EQ(switches(name_).size(), 1u);
}

TEST_F(SwitchTest, ASwitchThatFailsAtOnceIsStartedEverMoreSeldom) {
  const auto program = std::exchange(SwitchPlace::program, {"/bin/false"});
  End a(name_);
  EXPECT_TRUE(within_a_minute([&] {
    a.pump();
    return a.pause_ms() > 200;
  }));
  SwitchPlace::program = program;
  End b(name_);
  meet(a, mac(1), b);
}

TEST_F(SwitchTest, ASwitchThatEndsLeavesTheSocketOfAnotherAlone) {
  auto a = std::make_unique<End>(name_);
  const std::string socket = runtime_ + "/armvisor/" + name_ + ".switch";
  const auto first = switches(name_);
  // The first one has looked at its socket when it carries frames.
  auto other = std::make_unique<End>(name_);
  meet(*a, mac(1), *other);
  ASSERT_TRUE(std::filesystem::remove(socket));  // as one who clears /tmp
  End b(name_);
  ASSERT_EQ(switches(name_).size(), first.size() + 1);
  a.reset();
  other.reset();
  EXPECT_TRUE(within_a_minute([&] { return switches(name_).size() == 1; }));
  ASSERT_TRUE(std::filesystem::exists(socket));
  End c(name_);
  meet(b, mac(2), c);
  EXPECT_EQ(switches(name_).size(), 1u);
}

TEST_F(SwitchTest, WithoutDescriptorsForMoreMachinesItSleepsUntilThereAreSome) {
  End a(name_), b(name_);
  meet(a, mac(1), b);
  const auto processes = switches(name_);
  ASSERT_EQ(processes.size(), 1u);
  const pid_t process = processes[0];
  rlimit usual{};
  ASSERT_EQ(::prlimit(process, RLIMIT_NOFILE, nullptr, &usual), 0);
  const rlimit none_left{descriptors(process), usual.rlim_max};
  ASSERT_EQ(::prlimit(process, RLIMIT_NOFILE, &none_left, nullptr), 0);
  End c(name_);
  b.came.clear();
  meet(a, mac(1), b);
  const long before = cpu_ticks(process);
  ::usleep(1'500'000);  // time in which one that does not sleep shows
  EXPECT_LT(cpu_ticks(process) - before, ::sysconf(_SC_CLK_TCK) / 4);
  EXPECT_EQ(descriptors(process), none_left.rlim_cur) << "the third one waits";
  ASSERT_EQ(::prlimit(process, RLIMIT_NOFILE, &usual, nullptr), 0);
  meet(c, mac(3), a);
}

TEST_F(SwitchTest, AMachineThatReadsNothingStopsNobody) {
  auto place = SwitchPlace::find(name_);
  ASSERT_TRUE(place);
  auto deaf = place->join();
  ASSERT_TRUE(deaf);
  End a(name_), b(name_);
  meet(a, mac(1), b);
  meet(b, mac(2), a);
  for (u8 i = 0; i < 100; ++i) {  // 100 rounds of 64 KB: many times what the switch keeps for one
    for (int k = 0; k < 43; ++k) a.send(frame(k_all, mac(1), i, 1514));
    b.pump();
    a.send(frame(mac(2), mac(1), i, 100));
    ASSERT_TRUE(b.waits_for(frame(mac(2), mac(1), i, 100))) << int{i};
    b.came.clear();
  }
}

TEST_F(SwitchTest, AMachineThatBreaksTheRulesLosesItsOwnConnection) {
  auto place = SwitchPlace::find(name_);
  ASSERT_TRUE(place);
  auto bad = place->join();
  ASSERT_TRUE(bad);
  End a(name_), b(name_);
  const Bytes wrong(4, 0xff);
  ASSERT_EQ(::send(bad->get(), wrong.data(), wrong.size(), MSG_NOSIGNAL), 4);
  pollfd p{bad->get(), POLLIN, 0};
  ASSERT_EQ(::poll(&p, 1, 60'000), 1);
  u8 byte;
  EXPECT_EQ(::recv(bad->get(), &byte, 1, 0), 0);
  a.send(Bytes(13, 1));  // shorter than any frame
  a.send(Bytes(0));
  meet(a, mac(1), b);
}

TEST_F(SwitchTest, TheUserModeNetworkIsAMember) {
  End a(name_, true), b(name_);
  meet(a, mac(1), b);
  // Who has 10.0.2.2? An ARP request of b's, who did not ask for the network.
  Bytes ask = frame(k_all, mac(2), 0, 42);
  const Bytes body = {0x08, 0x06, 0, 1, 8,  0, 6, 4, 0, 1, 0x52, 0x54, 0, 0, 0,
                      2,    10,   0, 2, 20, 0, 0, 0, 0, 0, 0,    10,   0, 2, 2};
  std::copy(body.begin(), body.end(), ask.begin() + 12);
  const auto answered = [&b] {
    return std::ranges::any_of(b.came, [](const Bytes& f) {
      return f.size() >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 2 && f[31] == 2 && f[28] == 10;
    });
  };
  EXPECT_TRUE(within_a_minute([&] {
    b.send(ask);
    b.pump();
    return answered();
  }));
}

TEST_F(SwitchTest, OthersMayNotEnter) {
  { const End a(name_); }
  ASSERT_EQ(::chmod((runtime_ + "/armvisor").c_str(), 0755), 0);
  EXPECT_FALSE(SwitchPlace::find(name_));
  ASSERT_EQ(::chmod((runtime_ + "/armvisor").c_str(), 0700), 0);
  EXPECT_TRUE(SwitchPlace::find(name_));
  for (const char* name : {"", "../x", "a/b", ".hidden", "a-name-that-is-longer-than-32-letters"})
    EXPECT_FALSE(SwitchPlace::find(name)) << name;
}

TEST_F(SwitchTest, ARelativeRuntimeDirectoryIsNone) {
  ::setenv("XDG_RUNTIME_DIR", "a/b", 1);
  const auto directory = UserDirectory::open("test");
  ASSERT_TRUE(directory) << directory.error().message;
  EXPECT_EQ(directory->path, "/tmp/armvisor-" + std::to_string(::geteuid()));
  ::setenv("XDG_RUNTIME_DIR", runtime_.c_str(), 1);
  EXPECT_TRUE(SwitchPlace::find(name_));
}

TEST_F(SwitchTest, AProgramThatCannotBeStartedIsAnErrorAndLeavesNothing) {
  const auto program = std::exchange(SwitchPlace::program, {"/nonexistent/armvisor", "switch"});
  auto place = SwitchPlace::find(name_);
  ASSERT_TRUE(place);
  EXPECT_FALSE(place->join());
  EXPECT_FALSE(std::filesystem::exists(place->path()));
  SwitchPlace::program = program;
}

}  // namespace
}  // namespace armvisor::devices

int main(int count, char** words) {
  if (count == 3 && std::string(words[1]) == "switch") return armvisor::devices::run_switch(words[2], 3) ? 0 : 1;
  testing::InitGoogleTest(&count, words);
  return RUN_ALL_TESTS();
}
