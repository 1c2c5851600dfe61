// What narrowed threads may do: each case is in a process of its own, since nothing of it can be taken off.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "base/sandbox/sandbox.h"
#include "base/sandbox_support.h"
#include "base/thread.h"

namespace armvisor {
namespace {

constexpr int k_forbidden = 77, k_not_narrowed = 78, k_failed = 79;

void end(Sandbox::End why) { _exit(why == Sandbox::End::ForbiddenCall ? k_forbidden : k_not_narrowed); }

struct Seen {
  int status = -1;
  std::string said;
};

/// Of a thread of that kind which does `what`; the process ends with what that returns.
Seen in_thread(ThreadKind kind, const std::function<int()>& what, std::vector<Sandbox::Rule> rules = {}) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    if (!Sandbox::begin({.rules = std::move(rules), .duties = {}, .errands = {}, .end = end})) _exit(k_failed);
    auto thread = start_quiet_thread(kind, "subject", [&what] { _exit(what()); });
    if (!thread) _exit(k_failed);
    thread->join();
    _exit(k_failed);
  }
  close(ends[1]);
  Seen seen;
  char bytes[512];
  for (ssize_t n; (n = read(ends[0], bytes, sizeof bytes)) > 0;) seen.said.append(bytes, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  seen.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return seen;
}

constexpr ThreadKind k_kinds[] = {
#define KIND(name, text, what) ThreadKind::name,
#define DUTY(name, text, what)
#include "base/sandbox/thread_kinds.inc"
#undef DUTY
#undef KIND
};
constexpr const char* k_names[] = {
#define KIND(name, text, what) text,
#define DUTY(name, text, what)
#include "base/sandbox/thread_kinds.inc"
#undef DUTY
#undef KIND
};

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Sandbox::k_built_in || !sandbox_support().seccomp) GTEST_SKIP() << "this build or host has no sandbox";
    folder_ = std::filesystem::temp_directory_path() / ("sandbox-test-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_ / "in");
    std::ofstream(folder_ / "in" / "file") << "inside";
    std::ofstream(folder_ / "out") << "outside";
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  std::filesystem::path folder_;
};

TEST_F(SandboxTest, AForbiddenCallOfAnyKindOfThreadEndsTheProcessAndSaysWhich) {
  for (std::size_t n = 0; n < std::size(k_kinds); ++n) {
    const Seen seen = in_thread(k_kinds[n], [] {
      execl("/bin/true", "true", nullptr);
      return 0;
    });
    EXPECT_EQ(seen.status, k_forbidden) << k_names[n];
    EXPECT_NE(seen.said.find("of the kind '" + std::string(k_names[n]) + "'"), std::string::npos) << seen.said;
    EXPECT_NE(seen.said.find("execve"), std::string::npos) << seen.said;
  }
}

TEST_F(SandboxTest, NoThreadStartsAProcessOrLooksIntoOne) {
  const std::function<int()> calls[] = {
      [] { return fork() == 0 ? 0 : 0; },
      [] { return static_cast<int>(syscall(SYS_ptrace, 0, 0, 0, 0)); },
      [] { return static_cast<int>(syscall(SYS_unshare, CLONE_NEWUSER)); },
      [] { return static_cast<int>(syscall(SYS_mount, nullptr, nullptr, nullptr, 0, nullptr)); },
      [] { return static_cast<int>(syscall(SYS_io_uring_setup, 1, nullptr)); },
      [] { return static_cast<int>(syscall(SYS_kill, 1, 0)); },
      [] { return static_cast<int>(syscall(SYS_tgkill, 1, 1, 0)); },
  };
  for (const ThreadKind kind : {ThreadKind::Vcpu, ThreadKind::Share, ThreadKind::Network | ThreadKind::Internet})
    for (const auto& call : calls) EXPECT_EQ(in_thread(kind, call).status, k_forbidden);
}

TEST_F(SandboxTest, NoThreadMakesMemoryExecutable) {
  for (const ThreadKind kind : k_kinds) {
    EXPECT_EQ(in_thread(kind,
                        [] {
                          mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                          return 0;
                        })
                  .status,
              k_forbidden);
    EXPECT_EQ(in_thread(kind,
                        [] {
                          void* const p =
                              mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                          mprotect(p, 4096, PROT_READ | PROT_EXEC);
                          return 0;
                        })
                  .status,
              k_forbidden);
  }
}

TEST_F(SandboxTest, WhatLibrariesAskForOnSeldomWaysIsRefusedAndGoesOn) {
  for (const ThreadKind kind : {ThreadKind::Vcpu, ThreadKind::Disk, ThreadKind::Outlet, ThreadKind::EventLoop}) {
    const Seen seen = in_thread(kind, [] {
      if (open("/proc/sys/vm/overcommit_memory", O_RDONLY) >= 0 || errno != EACCES) return 1;
      if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EACCES) return 2;
      std::vector<void*> all;  // past malloc's limits, and back
      for (int n = 0; n < 64; ++n) all.push_back(std::malloc(1 << 20));
      for (void* const p : all) std::free(p);
      std::thread([] { std::free(std::malloc(100)); }).join();
      return 0;
    });
    EXPECT_EQ(seen.status, 0) << seen.said;
  }
}

TEST_F(SandboxTest, AbortIsStillAnAbort) {
  const Seen seen = in_thread(ThreadKind::Vcpu, []() -> int { std::abort(); });
  EXPECT_EQ(seen.status, -SIGABRT) << seen.said;
}

TEST_F(SandboxTest, FilesOutsideOfAShareAreOutOfReachByName) {
  if (sandbox_support().landlock < 2) GTEST_SKIP() << "this host has no Landlock, or an old one";
  const std::string inside = folder_ / "in" / "file", outside = folder_ / "out", in = folder_ / "in";
  const std::vector<Sandbox::Rule> writable = {{ThreadKind::Share, {in, FileRights::Change}}};
  const Seen seen = in_thread(
      ThreadKind::Share,
      [&] {
        if (open(inside.c_str(), O_RDWR) < 0) return 1;
        if (open(outside.c_str(), O_RDONLY) >= 0 || errno != EACCES) return 2;
        if (open((in + "/new").c_str(), O_CREAT | O_WRONLY, 0600) < 0) return 3;
        if (renameat(AT_FDCWD, (in + "/new").c_str(), AT_FDCWD, (folder_ / "new").c_str()) == 0) return 4;
        return 0;
      },
      writable);
  EXPECT_EQ(seen.status, 0) << seen.said;
  const std::vector<Sandbox::Rule> readable = {{ThreadKind::Share, {in, FileRights::Read}}};
  const Seen reader = in_thread(
      ThreadKind::Share,
      [&] {
        if (open(inside.c_str(), O_RDONLY) < 0) return 1;
        return open(inside.c_str(), O_WRONLY) >= 0 ? 2 : 0;
      },
      readable);
  EXPECT_EQ(reader.status, 0) << reader.said;
  EXPECT_EQ(in_thread(
                ThreadKind::Vcpu, [&] { return open(inside.c_str(), O_RDONLY) >= 0; }, writable)
                .status,
            0);
}

TEST_F(SandboxTest, OnlyWhoConnectsHasSocketsAndOnlyOfItsFamily) {
  const auto makes = [](int family) { return [family] { return socket(family, SOCK_STREAM, 0) >= 0 ? 0 : 1; }; };
  EXPECT_EQ(in_thread(ThreadKind::Network | ThreadKind::Internet, makes(AF_INET)).status, 0);
  // What libraries try beside these fails, and anything else ends the process.
  EXPECT_EQ(in_thread(ThreadKind::Network | ThreadKind::Internet, makes(AF_UNIX)).status, 1);
  EXPECT_EQ(in_thread(ThreadKind::Network | ThreadKind::Internet, makes(AF_NETLINK)).status, 1);
  EXPECT_EQ(in_thread(ThreadKind::Network | ThreadKind::Internet, makes(AF_PACKET)).status, k_forbidden);
  EXPECT_EQ(in_thread(ThreadKind::Network, makes(AF_INET)).status, 1);
  EXPECT_EQ(in_thread(ThreadKind::Line | ThreadKind::Sockets, makes(AF_UNIX)).status, 0);
}

TEST_F(SandboxTest, AServerIsEndedWithTheProcessesThatItStarted) {
  const pid_t narrowed = fork();
  if (narrowed == 0) {
    const pid_t server = fork();
    if (server == 0) {
      setpgid(0, 0);
      for (;;) pause();
    }
    setpgid(server, server);
    const auto calls = CallList::create(ThreadKind::Disk, std::array{server});
    if (!calls || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || calls->put_on() != 0) _exit(2);
    if (kill(-server, SIGKILL) != 0) _exit(3);
    int status = 0;
    _exit(waitpid(server, &status, 0) == server && WIFSIGNALED(status) ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(waitpid(narrowed, &status, 0), narrowed);
  EXPECT_EQ(status, 0);
}

TEST_F(SandboxTest, TheMainThreadHasNoMoreThanItsThreads) {
  const pid_t child = fork();
  if (child == 0) {
    if (!Sandbox::begin({.rules = {}, .duties = {}, .errands = {}, .end = end})) _exit(k_failed);
    if (!Sandbox::current()->narrow_main()) _exit(k_failed);
    auto thread = start_quiet_thread(ThreadKind::Disk, "later", [] {});
    if (!thread) _exit(k_failed);
    thread->join();
    execl("/bin/true", "true", nullptr);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), k_forbidden);
}

TEST_F(SandboxTest, AThreadThatWasMadeOtherwiseHasWhatItsMakerHas) {
  const Seen seen = in_thread(ThreadKind::Vcpu, [] {
    int status = 0;
    std::thread([&status] {  // not by base/thread.h
      std::ifstream self("/proc/thread-self/status");
      status = self ? 1 : 0;  // it has the list of who made it: no files
    })
        .join();
    return status;
  });
  EXPECT_EQ(seen.status, 0) << seen.said;
}

TEST_F(SandboxTest, ErrandsAreDoneByAnotherProcessAndNothingElseIs) {
  auto errands = Errands::start({{"who",
                                  [](const std::string& argument, Fd file) -> Result<Fd> {
                                    if (argument != "x") return Error{ErrorKind::BadInput, "expected x"};
                                    const std::string id = std::to_string(getpid());
                                    if (write(file.get(), id.data(), id.size()) < 0) return Fd();
                                    return file;
                                  }}},
                                false);
  ASSERT_TRUE(errands);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const auto back = errands->ask("who", "x", ends[1]);
  ASSERT_TRUE(back);
  EXPECT_TRUE(*back);
  char bytes[32] = {};
  EXPECT_GT(read(ends[0], bytes, sizeof bytes - 1), 0);
  EXPECT_NE(std::stoi(bytes), getpid());
  const auto refused = errands->ask("who", "y");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "expected x");
  EXPECT_FALSE(errands->has("what"));
  EXPECT_FALSE(errands->ask("what", ""));  // a number that is no errand's: it ends
  EXPECT_FALSE(errands->ask("who", "x"));
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace armvisor
