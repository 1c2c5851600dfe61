#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "machine/semihosting/semihosting.h"

namespace armvisor::machine {
namespace {

namespace fs = std::filesystem;

constexpr u32 k_ram = 0x4000'0000, k_ram_size = 2u << 20, k_block = k_ram + 0x1000, k_text = k_ram + 0x2000,
              k_data = k_ram + 0x10000;
constexpr u32 k_failed = ~0u;
enum Operation : u32 {
#define CALL(name, number, parameters, help) k##name = number,
#include "machine/semihosting/calls.inc"
#undef CALL
};

struct Host final : SemihostingHost {
  HypercallHost::Time host_time() override { return {5'000'000'000, 7'000'000'000}; }
  void program_exit(u32 s) override { status = s; }
  void sleep_in_call(u32 vcpu) override { asleep |= 1u << vcpu; }
  void wake_in_call(u32 vcpu) override { asleep &= ~(1u << vcpu); }
  std::optional<u32> status;
  std::atomic<u32> asleep{0};
};

/// A line that the test types on, and whose reader may take nothing.
class Line final : public devices::Chardev {
 public:
  std::string filename() const override { return "line"; }
  std::size_t type(std::string_view text) { return give({reinterpret_cast<const u8*>(text.data()), text.size()}); }
  void make_room() {
    full = false;
    tell_writable();
  }
  std::string written;
  std::atomic<bool> full{false}, asked{false};

 private:
  bool do_offer(std::span<const u8> bytes) override {
    asked = true;
    if (full) return false;
    written.append(bytes.begin(), bytes.end());
    return true;
  }
  void do_write(std::span<const u8> bytes) override { written.append(bytes.begin(), bytes.end()); }
};

/// RAM by the tables in force.
class Memory final : public engine::CallMemory, private arm::WalkMemory {
 public:
  Memory(const arm::CpuState& s, GuestRam& ram) : s_(s), ram_(ram) {}
  bool access(u32 va, u32 size, arm::Access access, const Touch& touch) override {
    if (before_access) before_access();
    EXPECT_LE((va & k_page_mask) + size, k_page_size);
    arm::Translation found;
    if (arm::translate(s_, *this, va, access, s_.privileged(), found) || !ram_.contains(found.pa, size)) return false;
    touch({ram_.host(found.pa), size});
    return true;
  }
  std::function<void()> before_access;

 private:
  bool read32(GuestPa pa, u32& value) override { return ram_.read(pa, {reinterpret_cast<u8*>(&value), 4}); }
  bool read64(GuestPa pa, u64& value) override { return ram_.read(pa, {reinterpret_cast<u8*>(&value), 8}); }
  const arm::CpuState& s_;
  GuestRam& ram_;
};

class SemihostingTest : public testing::Test {
 protected:
  SemihostingTest() {
    fs::create_directory(folder_ / "inside");
    std::ofstream(outer_ / "secret") << "secret";
    std::ofstream(folder_ / "inside" / "file") << "content";
    start({.folder = folder_.string()});
  }
  ~SemihostingTest() override {
    calls_.reset();
    fs::remove_all(outer_);
  }

  void start(const SemihostingOptions& options) {
    auto made = Semihosting::create(options, {.line = &line_, .read_stdin = false}, host_);
    ASSERT_TRUE(made) << made.error().message;
    calls_ = *std::move(made);
    calls_->restart(plan_, ram_);
  }
  /// R0, or nothing: the call is to be made again.
  std::optional<u32> call(u32 operation, u32 parameter) {
    s_.r[0] = operation;
    s_.r[1] = parameter;
    if (calls_->call(s_, 3, memory_)) return s_.r[0];
    EXPECT_EQ(s_.r[0], operation);
    EXPECT_EQ(s_.r[1], parameter);
    return std::nullopt;
  }
  std::optional<u32> call(u32 operation, std::initializer_list<u32> words) {
    u32 at = k_block;
    for (const u32 word : words) put(std::exchange(at, at + 4), word);
    return call(operation, k_block);
  }
  void put(u32 at, u32 word) { ASSERT_TRUE(ram_.write(GuestPa(at), {reinterpret_cast<u8*>(&word), 4})); }
  u32 put_text(const std::string& text, u32 at = k_text) {
    EXPECT_TRUE(ram_.write(GuestPa(at), {reinterpret_cast<const u8*>(text.c_str()), text.size() + 1}));
    return static_cast<u32>(text.size());
  }
  std::optional<u32> open(const std::string& name, u32 mode) {
    const u32 length = put_text(name);
    return call(kOpen, {k_text, mode, length});
  }
  u32 error() { return *call(kErrno, 0); }
  std::optional<u32> remove(const std::string& name) {
    const u32 length = put_text(name);
    return call(kRemove, {k_text, length});
  }
  std::optional<u32> rename(const std::string& from, const std::string& to) {
    const u32 a = put_text(from), b = put_text(to, k_text + 0x1000);
    return call(kRename, {k_text, a, k_text + 0x1000, b});
  }

  static fs::path make_outer() {
    std::string name = (fs::temp_directory_path() / "semihosting-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    fs::create_directory(fs::path(name) / "folder");
    return name;
  }

  const fs::path outer_ = make_outer(), folder_ = outer_ / "folder";
  Host host_;
  Line line_;
  GuestRam ram_ = *GuestRam::create(GuestPa(k_ram), k_ram_size);
  BootPlan plan_;
  arm::CpuState s_ = arm::reset_state(0, 1);
  Memory memory_{s_, ram_};
  std::unique_ptr<Semihosting> calls_;
};

TEST_F(SemihostingTest, FilesOfTheFolderAreFoundByAnyNameThatStaysInside) {
  for (const std::string& name : {std::string("inside/file"), std::string("./inside/../inside//file"),
                                  (folder_ / "inside/file").string(), folder_.string() + "//inside/file"}) {
    const auto handle = open(name, 0);
    ASSERT_NE(handle, k_failed) << name << ": " << std::strerror(static_cast<int>(error()));
    EXPECT_EQ(call(kFlen, {*handle}), 7u);
    EXPECT_EQ(call(kClose, {*handle}), 0u);
  }
}

TEST_F(SemihostingTest, NoNameLeadsOutOfTheFolder) {
  fs::create_symlink("../secret", folder_ / "link");
  fs::create_symlink(outer_, folder_ / "way");
  fs::create_symlink("/", folder_ / "root");
  for (const std::string& name :
       {std::string("../secret"), std::string("inside/../../secret"), (outer_ / "secret").string(), std::string("link"),
        std::string("way/secret"), "root" + (outer_ / "secret").string(), folder_.string() + "/../secret",
        folder_.string() + "x/../secret", std::string("/etc/passwd"), std::string("/"), std::string("/proc/self/mem"),
        std::string("..")}) {
    for (const u32 mode : {0u, 2u, 4u, 10u}) {
      EXPECT_EQ(open(name, mode), k_failed) << name;
      EXPECT_NE(error(), 0u);
    }
    if (name == "link") continue;  // which is inside itself
    EXPECT_EQ(remove(name), k_failed) << name;
    EXPECT_EQ(rename(name, "mine"), k_failed) << name;
    EXPECT_EQ(rename("inside/file", name + "/x"), k_failed) << name;
  }
  EXPECT_EQ(fs::file_size(outer_ / "secret"), 6u);
  EXPECT_FALSE(fs::exists(folder_ / "mine"));
  EXPECT_EQ(remove("link"), 0u);
  EXPECT_EQ(std::distance(fs::directory_iterator(outer_), fs::directory_iterator()), 2);
}

TEST_F(SemihostingTest, WithoutAFolderThereAreNoFiles) {
  start({});
  EXPECT_EQ(open("inside/file", 0), k_failed);
  EXPECT_EQ(error(), u32{EACCES});
  EXPECT_EQ(remove("inside/file"), k_failed);
  EXPECT_EQ(rename("inside/file", "x"), k_failed);
  EXPECT_NE(open(":tt", 4), k_failed);
}

TEST_F(SemihostingTest, WhatIsNoRegularFileIsNotOpened) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  const Fd reader(::open((folder_ / "fifo").c_str(), O_RDONLY | O_NONBLOCK));
  for (const u32 mode : {0u, 2u, 4u, 8u}) EXPECT_EQ(open("fifo", mode), k_failed);
  EXPECT_EQ(error(), u32{EACCES});
  pollfd p{reader.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&p, 1, 0), 0) << "POLLHUP: there was a writer";
  EXPECT_EQ(open("inside", 0), k_failed);
  EXPECT_EQ(error(), u32{EISDIR});
  EXPECT_EQ(open("", 0), k_failed);
}

TEST_F(SemihostingTest, FilesOfTheKernelAreNotOpened) {
  start({.folder = "/proc/self"});
  EXPECT_EQ(open("status", 0), k_failed);
  EXPECT_EQ(error(), u32{EACCES});
}

TEST_F(SemihostingTest, FilesAreMadeAndEmptiedAlsoByALinksName) {
  fs::create_symlink("made", folder_ / "link");
  const u32 made = *open("link", 4);
  ASSERT_NE(made, k_failed);
  EXPECT_TRUE(fs::is_regular_file(folder_ / "made"));
  put_text("abc", k_data);
  EXPECT_EQ(call(kWrite, {made, k_data, 3}), 0u);
  EXPECT_EQ(fs::file_size(folder_ / "made"), 3u);
  EXPECT_NE(open("link", 8), k_failed);
  EXPECT_EQ(fs::file_size(folder_ / "made"), 3u);
  EXPECT_NE(open("link", 4), k_failed);
  EXPECT_EQ(fs::file_size(folder_ / "made"), 0u);
}

TEST_F(SemihostingTest, HandlesAreBoundedAndComeBack) {
  u32 most = 0;
  while (open("inside/file", 0) != k_failed) ASSERT_LE(++most, 1000u);
  EXPECT_EQ(most, Semihosting::k_most_handles - 1);
  EXPECT_EQ(error(), u32{EMFILE});
  EXPECT_EQ(call(kClose, {5}), 0u);
  EXPECT_EQ(open("inside/file", 0), 5u);
  calls_->restart(plan_, ram_);
  EXPECT_EQ(call(kFlen, {5}), k_failed);
  EXPECT_EQ(open("inside/file", 0), 1u);
}

TEST_F(SemihostingTest, PointersToNothingAreErrors) {
  for (const u32 bad : {0u, 0x900'0000u, k_ram - 2, k_ram + k_ram_size - 2, 0xffff'fffeu})
    for (u32 operation = 0; operation < 0x40; ++operation) {
      (void)call(operation, bad);  // nothing is touched; most are errors
      EXPECT_FALSE(operation == kOpen && s_.r[0] != k_failed);
    }
  const u32 file = *open("inside/file", 2);
  EXPECT_EQ(call(kRead, {file, 0, 7}), 7u);
  EXPECT_EQ(call(kWrite, {file, k_ram + k_ram_size - 3, 7}), 7u);
  EXPECT_EQ(call(kWrite, {file, 0, ~0u}), ~0u);
  EXPECT_EQ(call(kOpen, {k_text, 0, ~0u}), k_failed);
  EXPECT_EQ(error(), u32{ENAMETOOLONG});
  EXPECT_EQ(call(kSystem, {k_text, 5}), k_failed);
  EXPECT_EQ(call(0x99, 0u), k_failed);
}

TEST_F(SemihostingTest, AStringWithoutAnEndIsCut) {
  const std::vector<u8> letters(k_ram_size - (k_data - k_ram), 'x');
  ASSERT_TRUE(ram_.write(GuestPa(k_data), letters));
  call(kWrite0, k_data);
  EXPECT_EQ(line_.written.size(), Semihosting::k_most_string);
}

TEST_F(SemihostingTest, AVcpuThatReadsTheConsoleSleepsUntilSomethingIsTyped) {
  EXPECT_EQ(call(kReadc, 0u), std::nullopt);
  EXPECT_EQ(host_.asleep, 1u << 3);
  EXPECT_EQ(line_.type("ab"), 2u);
  EXPECT_EQ(host_.asleep, 0u);
  EXPECT_EQ(call(kReadc, 0u), u32{'a'});
  EXPECT_EQ(call(kReadc, 0u), u32{'b'});
  EXPECT_EQ(call(kReadc, 0u), std::nullopt);
  const std::string much(10'000, 'x');
  EXPECT_EQ(line_.type(much), semihosting::ConsoleInput::k_most_waiting);
}

TEST_F(SemihostingTest, OutputThatNobodyTakesIsHeldBackInBoundsAndKeepsNoVcpuThatIsToStop) {
  line_.full = true;
  calls_->console().hurry(true);
  put_text(std::string(4000, 'y'), k_data);
  for (int n = 0; n < 100; ++n) call(kWrite0, k_data);  // returns each time
  EXPECT_EQ(line_.written, "");
  calls_->console().hurry(false);
  line_.make_room();
  EXPECT_GT(line_.written.size(), 60'000u);
  EXPECT_LE(line_.written.size(), semihosting::ConsoleOutput::k_most_held);
}

TEST_F(SemihostingTest, ALongTransferEndsWhenVcpusAreToStopAndOthersComeLater) {
  const u32 file = *open("made", 6);
  u32 pages = 0;
  memory_.before_access = [&] {
    if (++pages == 1000) calls_->hurry(true);
  };
  s_.cp15.ttbr0 = k_ram + 0x4000;
  s_.cp15.dacr = 1;
  for (u32 n = 0; n < 4096; ++n) put(k_ram + 0x4000 + n * 4, (k_ram + (n % 2 << 20)) | 3u << 10 | 2);
  s_.cp15.sctlr |= 1;
  // Each MiB of the address space is one of the two of RAM.
  const u32 left = *call(kWrite, {file, 0x5000'0000, 0x4000'0000});
  EXPECT_GE(0x4000'0000 - left, Semihosting::k_whole);
  EXPECT_LT(0x4000'0000 - left, 8u << 20);
  EXPECT_EQ(call(kTime, 0u), std::nullopt);
  calls_->hurry(false);
  EXPECT_EQ(call(kTime, 0u), 7u);
}

TEST_F(SemihostingTest, OtherCallsGoOnWhileOneWaitsForItsReader) {
  line_.full = true;
  put_text("waits", k_data);
  std::thread writer([this] {
    arm::CpuState s = s_;
    Memory memory(s, ram_);
    s.r[0] = kWrite0;
    s.r[1] = k_data;
    EXPECT_TRUE(calls_->call(s, 1, memory));
  });
  while (!line_.asked) std::this_thread::yield();
  EXPECT_EQ(call(kTime, 0u), 7u);
  line_.make_room();
  writer.join();
  EXPECT_EQ(line_.written, "waits");
}

TEST_F(SemihostingTest, NamesEndWithAZeroAndThoseOfNoFileHaveAnyLength) {
  put_text(":tt");
  EXPECT_NE(call(kOpen, {k_text, 4, 0}), k_failed);
  EXPECT_NE(call(kOpen, {k_text, 4, 100}), k_failed);
  put_text("inside/file");
  EXPECT_EQ(call(kOpen, {k_text, 0, 6}), k_failed);
  EXPECT_EQ(error(), u32{EINVAL});
  EXPECT_EQ(call(kRemove, {k_text, 6}), k_failed);
  EXPECT_EQ(error(), u32{EINVAL});
}

TEST_F(SemihostingTest, ThatStandardStreamsAreNoFilesIsSeenByTheirLength) {
  for (const u32 mode : {0u, 4u, 8u}) {
    struct stat st {};
    ASSERT_EQ(::fstat(static_cast<int>(mode / 4), &st), 0);
    EXPECT_EQ(call(kFlen, {*open(":tt", mode)}), static_cast<u32>(st.st_size));
  }
}

TEST_F(SemihostingTest, TheProgramsStatus) {
  call(kExit, 0x20026u);
  EXPECT_EQ(host_.status, 0u);
  call(kExit, 0x20023u);
  EXPECT_EQ(host_.status, 1u);
  call(kExitExtended, {0x20026, 0x1ff});
  EXPECT_EQ(host_.status, 0xffu);
  call(kExitExtended, {0x20023, 0});
  EXPECT_EQ(host_.status, 1u);
}

TEST_F(SemihostingTest, HeapAndStackAreInTheLargestPartOfRamThatIsFree) {
  plan_.segments.push_back({GuestPa(k_ram + 0x1000), std::vector<u8>(16), 0x2000});
  plan_.segments.push_back({GuestPa(k_ram + 0x180000), std::vector<u8>(16), 16});
  calls_->restart(plan_, ram_);
  EXPECT_EQ(call(kHeapinfo, {k_data}), 0u);
  u32 words[4];
  ASSERT_TRUE(ram_.read(GuestPa(k_data), {reinterpret_cast<u8*>(words), sizeof words}));
  EXPECT_EQ(words[0], k_ram + 0x3000);
  EXPECT_EQ(words[1], k_ram + 0x180000);
  EXPECT_EQ(words[2], words[1]);
  EXPECT_EQ(words[3], words[0]);
}

TEST_F(SemihostingTest, TheCommandLineOfAKernel) {
  EXPECT_EQ(kernel_command_line("k.elf", "a  b "), "k.elf a b");
  EXPECT_EQ(kernel_command_line("", "a"), "");
  EXPECT_EQ(joined({"one", "two words"}), "one two words");
}

TEST_F(SemihostingTest, UserModeSeesWhatItMaySee) {
  // A section of the first MiB of RAM for PL1 alone, the second for both (B3.5.1, B3.7.1).
  const u32 table = k_ram + 0x4000;
  const u32 first = k_ram | 1u << 10 | 2, second = (k_ram + 0x100000) | 3u << 10 | 2;
  put(table + (k_ram >> 20) * 4 % 0x4000, first);
  put(table + ((k_ram >> 20) + 1) * 4 % 0x4000, second);
  s_.cp15.ttbr0 = table;
  s_.cp15.dacr = 1;
  s_.cp15.sctlr |= 1;
  EXPECT_EQ(call(kHeapinfo, {k_ram + 0x100000}), 0u);
  s_.psr = (s_.psr & ~arm::k_psr_mode) | arm::k_mode_usr;
  EXPECT_EQ(call(kHeapinfo, k_block), k_failed);
  EXPECT_EQ(error(), u32{EFAULT});
  put(k_ram + 0x100010, k_ram + 0x100000);
  EXPECT_EQ(call(kHeapinfo, k_ram + 0x100010), 0u);
  put(k_ram + 0x100010, k_ram + 0x8000);  // writes to what is PL1's
  EXPECT_EQ(call(kHeapinfo, k_ram + 0x100010), k_failed);
}

}  // namespace
}  // namespace armvisor::machine
