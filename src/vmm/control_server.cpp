#include "vmm/control_server.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <cerrno>
#include <cstring>

#include "base/host_error.h"
#include "vmm/control_path.h"

namespace armvisor::vmm {
namespace {

constexpr std::size_t k_max_clients = 8, k_max_line = 256;
/// Until clients that could not be accepted are looked at again, if none leaves before.
constexpr u64 k_pause_ns = 1'000'000'000;

u64 now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
}

/// A descriptor that does nothing but take a place.
Fd place_holder(const Fd& any) { return Fd(::fcntl(any.get(), F_DUPFD_CLOEXEC, 0)); }

Error failed(const std::string& path, const char* what) {
  return host_error("control socket " + path + ": expected to " + what, errno, "check the directory");
}

/// Whether somebody listens there; a socket file outlives a process that was killed.
bool in_use(const Fd& probe, const sockaddr_un& address) {
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
  return errno != ECONNREFUSED && errno != ENOENT;
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::open(const std::string& name, machine::EventLoop& loop,
                                                           std::function<Session()> make_session) {
  AV_TRY_ASSIGN(const ControlDirectory directory, open_control_directory());
  AV_TRY_ASSIGN(const std::string path, control_socket_path(directory, name));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket || !probe) return failed(path, "make it");
  // The lock makes one of looking, removing and binding; it ends with the directory's descriptor.
  if (::flock(directory.fd.get(), LOCK_EX) != 0) return failed(path, "lock its directory");
  if (in_use(probe, address))
    return Error{ErrorKind::HostResource,
                 "--name: expected a name that no running machine has, found '" + name + "' in use; choose another"};
  ::unlink(path.c_str());
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), k_max_clients) != 0)
    return failed(path, "listen on it");
  return std::unique_ptr<ControlServer>(new ControlServer(path, std::move(socket), loop, std::move(make_session)));
}

ControlServer::ControlServer(std::string path, Fd socket, machine::EventLoop& loop,
                             std::function<Session()> make_session)
    : path_(std::move(path)),
      socket_(std::move(socket)),
      reserve_(place_holder(socket_)),
      loop_(loop),
      make_session_(std::move(make_session)) {
  retry_ = loop_.add([this] { resume(); });
  watch_ = loop_.watch(socket_.get(), EPOLLIN, [this](u32) { accept(); });
}

ControlServer::~ControlServer() {
  ::unlink(path_.c_str());
  {
    const std::lock_guard guard(mutex_);
    closing_ = true;  // callbacks leave clients_ alone from now on
  }
  loop_.remove(retry_);
  loop_.unwatch(watch_);
  for (const auto& client : clients_) loop_.unwatch(client.first);
}

void ControlServer::accept() {
  const std::lock_guard guard(mutex_);
  if (closing_) return;
  Fd fd = accept_one();
  if (!fd || clients_.size() == k_max_clients || !is_same_user(fd.get())) return;
  const auto id_of = std::make_shared<machine::EventLoop::WatchId>(0);  // known only after watch()
  *id_of = loop_.watch(fd.get(), EPOLLIN, [this, id_of](u32) { serve(*id_of); });
  clients_[*id_of] = Client{std::move(fd), make_session_(), {}, {}, 0};
}

/// The next client. Without a descriptor for it, it would stay where it is and be announced again and again: so the
/// socket is not looked at for a while.
Fd ControlServer::accept_one() {
  const auto take = [this] { return Fd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)); };
  Fd fd = take();
  if (!fd && errno == EMFILE && reserve_) {
    reserve_.reset();
    fd = take();
  }
  if (!fd && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) pause();
  return fd;
}

void ControlServer::pause() {
  loop_.modify(watch_, 0);
  loop_.arm(retry_, now_ns() + k_pause_ns);
}

void ControlServer::resume() {
  const std::lock_guard guard(mutex_);
  if (closing_) return;
  if (!reserve_) reserve_ = place_holder(socket_);
  loop_.modify(watch_, EPOLLIN);
}

void ControlServer::serve(machine::EventLoop::WatchId id) {
  const std::lock_guard guard(mutex_);
  if (closing_) return;
  const auto at = clients_.find(id);
  if (at == clients_.end()) return;
  Client& client = at->second;
  if ((client.out.empty() ? receive(client) : true) && send(client)) {
    // While an answer waits for its reader, nothing more is read.
    loop_.modify(id, client.out.empty() ? EPOLLIN : EPOLLOUT);
    return;
  }
  loop_.unwatch(id);
  clients_.erase(at);
  if (!reserve_) reserve_ = place_holder(socket_);
  loop_.modify(watch_, EPOLLIN);
}

/// False: the client is gone, or does not keep to the protocol.
bool ControlServer::receive(Client& client) {
  char bytes[k_max_line];
  const ssize_t n = ::recv(client.fd.get(), bytes, sizeof bytes, 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  client.in.append(bytes, static_cast<std::size_t>(n));
  return answer(client);
}

/// Answers the next request that is there, if any.
bool ControlServer::answer(Client& client) {
  const std::size_t end = client.in.find('\n');
  if (end == client.in.npos) return client.in.size() <= k_max_line;
  const Result<std::string> result = client.session(client.in.substr(0, end));
  client.in.erase(0, end + 1);
  const std::string& text = result ? *result : result.error().message;
  client.out = fmt::format("{} {}\n{}", result ? "ok" : "error", text.size(), text);
  client.sent = 0;
  return true;
}

bool ControlServer::send(Client& client) {
  while (!client.out.empty()) {
    const ssize_t n =
        ::send(client.fd.get(), client.out.data() + client.sent, client.out.size() - client.sent, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    client.sent += static_cast<std::size_t>(n);
    if (client.sent < client.out.size()) continue;
    client.out = {};
    if (!answer(client)) return false;
  }
  return true;
}

}  // namespace armvisor::vmm
