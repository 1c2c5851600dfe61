// Programs that serve this process.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <string>

#include "base/child_process.h"

namespace armvisor {
namespace {

Result<ChildProcess> shell(const std::string& commands, Fd socket = Fd()) {
  return ChildProcess::start({"sh", "-c", commands}, std::move(socket), "which runs tests", "dash");
}

TEST(ChildProcess, SaysAndEnds) {
  auto child = shell("echo words >&2; echo nowhere; exit 3");
  ASSERT_TRUE(child);
  const int status = child->end(60'000);
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_EQ(describe_status(status), "ended with status 3");
  EXPECT_EQ(child->take_messages(), "words\n");
  EXPECT_EQ(child->take_messages(), "");
  EXPECT_EQ(child->end(0), status) << "it can be asked again";
}

TEST(ChildProcess, OneThatGoesOnIsKilled) {
  auto child = shell("exec sleep 1000");
  ASSERT_TRUE(child);
  EXPECT_FALSE(child->ended());
  const int status = child->end(0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_NE(describe_status(status).find("signal 9"), std::string::npos);
}

TEST(ChildProcess, OneThatTalksWithoutEndIsNotHeldUpNorKept) {
  auto child =
      shell("i=0; while [ $i -lt 5000 ]; do echo line $i of many that nobody reads >&2; i=$((i+1)); done; exit 0");
  ASSERT_TRUE(child);
  EXPECT_TRUE(WIFEXITED(child->end(60'000)));
  EXPECT_LE(child->take_messages().size(), 4096u);
}

/// It goes on by itself: nobody's child, in a session of its own, with no descriptor of ours but its socket.
TEST(ChildProcess, OneThatIsDetachedIsNobodysChild) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const Fd own(ends[0]), leaked(::open("/dev/null", O_RDONLY));
  ASSERT_TRUE(
      start_detached({"/bin/sh", "-c", "exec >&3; echo $PPID; pwd; ls /proc/$$/fd"}, Fd(ends[1]), "which runs tests"));
  std::string said;
  char part[200];
  for (ssize_t n; (n = ::recv(own.get(), part, sizeof part, 0)) > 0;) said.append(part, static_cast<std::size_t>(n));
  const std::size_t first = said.find('\n');
  EXPECT_NE(said.substr(0, first), std::to_string(::getpid()));
  EXPECT_EQ(said.substr(first), "\n/\n0\n1\n2\n3\n");
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
  EXPECT_FALSE(start_detached({"/nonexistent/program"}, Fd(), "which is not there"));
}

TEST(ChildProcess, AProgramThatIsNotThereNamesItsPackage) {
  const auto child = ChildProcess::start({"armvisor-no-such-program"}, Fd(), "which is not there", "some-package");
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().kind, ErrorKind::HostResource);
  EXPECT_NE(child.error().message.find("some-package"), std::string::npos);
  EXPECT_FALSE(ChildProcess::start({"/"}, Fd(), "which is a folder", "some-package"));
}

// sd_listen_fds(3), and nothing beside it; signals as a program expects them.
TEST(ChildProcess, GetsItsSocketAndNothingElse) {
  const Fd leaked(::open("/dev/null", O_RDONLY));  // without close-on-exec
  sigset_t all, old;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &old);
  auto socket = ServedSocket::create();
  ASSERT_TRUE(socket);
  auto child = shell(
      "[ $$ = $LISTEN_PID ] && [ $LISTEN_FDS = 1 ] && [ -S /proc/self/fd/3 ] || exit 1;"
      "exec >&2; ls /proc/$$/fd; exec grep SigBlk /proc/self/status",
      std::move(socket->listening));
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
  ASSERT_TRUE(child);
  EXPECT_EQ(child->end(60'000), 0);
  EXPECT_EQ(child->take_messages(), "0\n1\n2\n3\nSigBlk:\t0000000000000000\n");
}

// Who reads from a server that ended is told so, whether it had taken the connection or not.
TEST(ChildProcess, AConnectionEndsWithTheServer) {
  auto socket = ServedSocket::create();
  ASSERT_TRUE(socket);
  auto child = shell("exit 0", std::move(socket->listening));
  ASSERT_TRUE(child);
  char byte;
  EXPECT_LE(::recv(socket->connected.get(), &byte, 1, 0), 0);
}

}  // namespace
}  // namespace armvisor
