#include "base/sandbox/errands.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/host_error.h"
#include "base/types.h"

namespace armvisor {
namespace {

/// What goes in one packet: a number (which errand; of an answer 0, or 1 + the kind of its error), and text.
struct Packet {
  u32 number = 0;
  std::string text{};
  Fd file{};
};

constexpr std::size_t k_most_text = Errand::k_longest_argument;

union Control {
  cmsghdr head;
  std::array<char, CMSG_SPACE(sizeof(int))> bytes;
};

bool send_packet(int socket, u32 number, std::string_view text, int file) {
  text = text.substr(0, k_most_text);
  iovec parts[2] = {{&number, sizeof number}, {const_cast<char*>(text.data()), text.size()}};
  Control control{};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (file >= 0) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof file);
    std::memcpy(CMSG_DATA(&control.head), &file, sizeof file);
  }
  ssize_t n;
  do n = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(sizeof number + text.size());
}

/// Nothing: the other end is gone, or what came is no packet.
std::optional<Packet> receive_packet(int socket) {
  Packet packet;
  packet.text.resize(k_most_text);
  iovec parts[2] = {{&packet.number, sizeof packet.number}, {packet.text.data(), packet.text.size()}};
  Control control{};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t n;
  do n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  const cmsghdr* const head = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
      head->cmsg_len == CMSG_LEN(sizeof(int))) {
    int file = -1;
    std::memcpy(&file, CMSG_DATA(head), sizeof file);
    packet.file = Fd(file);
  }
  if (n < static_cast<ssize_t>(sizeof packet.number) || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
    return std::nullopt;
  packet.text.resize(static_cast<std::size_t>(n) - sizeof packet.number);
  return packet;
}

/// The other process, until this one is gone.
[[noreturn]] void serve(int socket, const std::vector<Errand>& errands) {
  while (auto request = receive_packet(socket)) {
    if (request->number >= errands.size()) break;
    const auto result = errands[request->number].run(request->text, std::move(request->file));
    const u32 number = result ? 0 : 1 + static_cast<u32>(result.error().kind);
    if (!send_packet(socket, number, result ? std::string_view() : result.error().message, result ? result->get() : -1))
      break;
  }
  ::_exit(0);
}

/// It keeps nothing of the machine's but the socket.
void leave_machine(Fd& socket, bool speaks, pid_t parent) {
  ::prctl(PR_SET_NAME, "armvisor-errand");
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  ::dup2(null.get(), STDIN_FILENO);
  if (!speaks) {
    ::dup2(null.get(), STDOUT_FILENO);
    ::dup2(null.get(), STDERR_FILENO);
  }
  null.reset();
  constexpr int k_place = 3;
  if (socket.get() != k_place) {
    ::dup3(socket.get(), k_place, O_CLOEXEC);
    socket = Fd(k_place);
  }
  ::close_range(k_place + 1, ~0u, 0);
}

}  // namespace

Result<Errands> Errands::start(std::vector<Errand> errands, bool speaks) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return host_error("sandbox: expected a pair of sockets", errno, "end other programs");
  Fd ours(ends[0]), theirs(ends[1]);
  const pid_t self = ::getpid();
  const pid_t id = ::fork();
  if (id < 0) return host_error("sandbox: expected a second process", errno, "end other programs");
  if (id == 0) {
    leave_machine(theirs, speaks, self);
    serve(theirs.get(), errands);
  }
  std::vector<std::string> names;
  for (Errand& errand : errands) names.push_back(std::move(errand.name));
  return Errands(std::move(names), std::move(ours));
}

bool Errands::has(std::string_view name) const { return std::ranges::find(names_, name) != names_.end(); }

Result<Fd> Errands::ask(std::string_view name, std::string_view argument, int file) {
  const Error lost{ErrorKind::HostResource, "sandbox: expected the machine's second process to do '" +
                                                std::string(name) +
                                                "', found that it has gone; start the machine anew"};
  if (argument.size() > k_most_text)
    return Error{ErrorKind::BadArguments, "sandbox: expected at most 4096 bytes for '" + std::string(name) + "'"};
  const auto number = static_cast<u32>(std::ranges::find(names_, name) - names_.begin());
  const std::lock_guard guard(mutex_);
  if (!send_packet(socket_.get(), number, argument, file)) return lost;
  auto answer = receive_packet(socket_.get());
  if (!answer || answer->number > 1 + static_cast<u32>(ErrorKind::Internal)) return lost;
  if (answer->number == 0) return std::move(answer->file);
  return Error{static_cast<ErrorKind>(answer->number - 1), std::move(answer->text)};
}

}  // namespace armvisor
