#include "exec/agent_server.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/host_error.h"
#include "base/thread.h"
#include "base/user_directory.h"
#include "exec/agent_path.h"

namespace armvisor::exec {
namespace {

constexpr std::size_t k_most_leaving = 16;
constexpr int k_retry_ms = 500;  ///< until a program that could not be accepted is looked at again
constexpr std::size_t k_hello_size = sizeof(av_frame) + sizeof(av_hello);

std::vector<u8> frame(u8 type, std::string_view bytes) {
  const av_frame head{type, 0, 0, static_cast<u32>(bytes.size())};
  std::vector<u8> out(sizeof head + bytes.size());
  std::memcpy(out.data(), &head, sizeof head);
  std::ranges::copy(bytes, out.begin() + sizeof head);
  return out;
}

std::string as_json(const CommandDefaults& defaults) {
  const nlohmann::json j = {{"user", defaults.user}, {"folder", defaults.folder}, {"variables", defaults.variables}};
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

class AgentServer::Line final : public devices::Chardev {
 public:
  Line(AgentServer& server, Slot& slot) : server_(server), slot_(slot) {}
  ~Line() override {
    const std::lock_guard lock(server_.mutex_);
    slot_.line = nullptr;
  }
  std::string filename() const override { return "agent"; }
  void stop() override { server_.stop(); }
  void room() override { server_.wake_.wake(); }
  bool user_opened(bool open) override {
    server_.guest_opened(slot_, open);
    return true;  // input is for the process of the guest that had the port when it was sent
  }
  void send(std::vector<u8>& waiting) { hand_over(waiting); }
  void has_room() { tell_writable(); }

 private:
  bool do_offer(std::span<const u8> bytes) override { return server_.from_guest(slot_, bytes); }
  void do_write(std::span<const u8> bytes) override { server_.from_guest(slot_, bytes); }
  AgentServer& server_;
  Slot& slot_;
};

AgentServer::AgentServer(WakeEvent wake, std::vector<u8> greeting)
    : wake_(std::move(wake)), greeting_(std::move(greeting)) {}

Result<std::unique_ptr<AgentServer>> AgentServer::create(const CommandDefaults& defaults) {
  AV_TRY_ASSIGN(WakeEvent wake, WakeEvent::create("agent"));
  return std::unique_ptr<AgentServer>(new AgentServer(std::move(wake), frame(AV_GREETING, as_json(defaults))));
}

AgentServer::~AgentServer() { stop(); }

std::unique_ptr<devices::Chardev> AgentServer::line(u32 number) {
  Slot& slot = slots_[number - 1];
  auto line = std::make_unique<Line>(*this, slot);
  const std::lock_guard lock(mutex_);
  slot.line = line.get();
  return line;
}

Status AgentServer::start(const std::string& name) {
  AV_TRY_ASSIGN(const std::string path, agent_socket_path(name));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ::unlink(path.c_str());  // of a machine of that name that was killed
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), static_cast<int>(k_most_waiting)) != 0)
    return host_error("agent socket " + path + ": expected to listen on it", errno, "check the directory");
  path_ = path;
  struct stat made {};
  if (::lstat(path.c_str(), &made) == 0) inode_ = made.st_ino;
  socket_ = std::move(socket);
  AV_TRY_ASSIGN(thread_, start_quiet_thread(ThreadKind::Session, "agent", [this] { run(); }));
  return {};
}

void AgentServer::stop() {
  stopping_ = true;
  wake_.wake();
  if (thread_.joinable()) thread_.join();
  // Another machine may have the name by now.
  struct stat there {};
  if (socket_ && ::lstat(path_.c_str(), &there) == 0 && there.st_ino == inode_) ::unlink(path_.c_str());
  socket_.reset();
  const std::lock_guard lock(mutex_);
  for (Slot& slot : slots_) {
    flush(slot.peer);
    slot.peer.fd.reset();
    slot.state = Slot::State::Closed;
  }
  for (Peer& peer : leaving_) flush(peer);
  waiting_.clear();
  leaving_.clear();
}

// --- what the guest does, on a vCPU's thread

bool AgentServer::from_guest(Slot& slot, std::span<const u8> bytes) {
  const std::lock_guard lock(mutex_);
  if (slot.state == Slot::State::Greeting) {
    const auto n = std::min(bytes.size(), k_hello_size - slot.hello.size());
    slot.hello.insert(slot.hello.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    // Whatever it says instead of AV_HELLO is for the program to judge.
    if (slot.hello.size() == k_hello_size) slot.state = Slot::State::Ready;
    wake_.wake();
  } else if (slot.state == Slot::State::Busy) {
    if (slot.peer.out.size() + bytes.size() > k_most_output) {
      slot.held_up = true;
      return false;
    }
    slot.peer.out.insert(slot.peer.out.end(), bytes.begin(), bytes.end());
    wake_.wake();
  }
  return true;
}

void AgentServer::guest_opened(Slot& slot, bool open) {
  const std::lock_guard nothing_on_its_way(slot.sending);
  const std::lock_guard lock(mutex_);
  if (slot.peer.fd && leaving_.size() < k_most_leaving) leaving_.push_back(std::move(slot.peer));
  slot.peer = {};
  slot.hello.clear();
  slot.partial.clear();
  slot.to_guest.clear();
  slot.held_up = false;
  slot.state = open ? Slot::State::Greeting : Slot::State::Closed;
  wake_.wake();
}

// --- the server's thread

void AgentServer::run() {
  while (!stopping_) {
    std::vector<pollfd> fds = {{wake_.fd(), POLLIN, 0}};
    bool accepts = false;
    {
      const std::lock_guard lock(mutex_);
      assign();
      accepts = waiting_.size() < k_most_waiting;
      for (const Slot& slot : slots_) {
        if (slot.state != Slot::State::Busy) continue;
        const int events = (slot.to_guest.empty() ? POLLIN : 0) | (slot.peer.out.empty() ? 0 : POLLOUT);
        fds.push_back({slot.peer.fd.get(), static_cast<short>(events), 0});
      }
      for (const Peer& peer : waiting_)
        fds.push_back({peer.fd.get(), static_cast<short>(peer.out.empty() ? POLLIN : POLLIN | POLLOUT), 0});
      for (const Peer& peer : leaving_) fds.push_back({peer.fd.get(), POLLOUT, 0});
    }
    if (accepts) fds.push_back({socket_.get(), POLLIN, 0});
    poll(fds.data(), fds.size(), -1);
    wake_.take();
    if (stopping_) return;
    if (accepts && fds.back().revents) accept();
    for (Slot& slot : slots_) serve(slot);
    const std::lock_guard lock(mutex_);
    std::erase_if(waiting_, [](Peer& peer) {
      u8 any = 0;  // it has nothing to say yet
      const bool quiet = ::recv(peer.fd.get(), &any, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
      return !quiet || !flush(peer);
    });
    std::erase_if(leaving_, [](Peer& peer) { return !flush(peer) || peer.out.empty(); });
  }
}

void AgentServer::accept() {
  Fd fd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) poll(nullptr, 0, k_retry_ms);
  if (!fd || !is_same_user(fd.get())) return;
  const std::lock_guard lock(mutex_);
  waiting_.push_back({std::move(fd), greeting_});
}

/// With mutex_. Who waits longest has the next port.
void AgentServer::assign() {
  for (Slot& slot : slots_) {
    if (waiting_.empty()) return;
    if (slot.state != Slot::State::Ready) continue;
    slot.state = Slot::State::Busy;
    slot.peer = std::move(waiting_.front());
    waiting_.pop_front();
    slot.peer.out.insert(slot.peer.out.end(), slot.hello.begin(), slot.hello.end());
    slot.hello.clear();
  }
}

/// What goes to the guest takes locks of its port, in which what comes from there takes mutex_.
void AgentServer::serve(Slot& slot) {
  std::unique_lock sending(slot.sending);
  std::vector<u8> to_guest;
  Line* line = nullptr;
  bool held_up = false;
  {
    const std::lock_guard lock(mutex_);
    if (slot.state == Slot::State::Busy && !flush(slot.peer)) hang_up(slot);
    if (slot.state == Slot::State::Busy && slot.to_guest.empty()) read_peer(slot);
    if (slot.state == Slot::State::Busy && is_gone(slot.peer)) hang_up(slot);
    line = slot.line;
    to_guest.swap(slot.to_guest);
    held_up = slot.peer.out.size() < k_most_output / 2 && std::exchange(slot.held_up, false);
  }
  if (!line) return;
  if (!to_guest.empty()) line->send(to_guest);
  if (!to_guest.empty()) {
    const std::lock_guard lock(mutex_);
    slot.to_guest.swap(to_guest);
  }
  sending.unlock();
  if (held_up) line->has_room();
}

/// What it said before is not waited for.
bool AgentServer::is_gone(const Peer& peer) {
  pollfd fd{peer.fd.get(), 0, 0};
  return poll(&fd, 1, 0) == 1 && (fd.revents & (POLLHUP | POLLERR));
}

/// With mutex_. Up to a frame.
void AgentServer::read_peer(Slot& slot) {
  const auto wanted = [&slot] {
    av_frame head{};
    if (slot.partial.size() < sizeof head) return sizeof head;
    std::memcpy(&head, slot.partial.data(), sizeof head);
    return sizeof head + head.length;
  };
  for (;;) {
    const std::size_t at = slot.partial.size(), more = wanted() - at;
    if (at + more > sizeof(av_frame) + AV_FRAME_MOST) return hang_up(slot);
    if (more > 0) {
      slot.partial.resize(at + more);
      const ssize_t n = ::recv(slot.peer.fd.get(), slot.partial.data() + at, more, MSG_DONTWAIT);
      slot.partial.resize(at + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (n <= 0) return hang_up(slot);
    }
    if (slot.partial.size() < sizeof(av_frame) || slot.partial.size() < wanted()) continue;
    slot.to_guest.swap(slot.partial);
    slot.partial.clear();
    return wake_.wake();  // there may be more
  }
}

/// With mutex_.
void AgentServer::hang_up(Slot& slot) {
  slot.state = Slot::State::Hung;
  slot.peer = {};
  slot.partial.clear();
  const std::vector<u8> told = frame(AV_HANGUP, {});
  slot.to_guest.insert(slot.to_guest.end(), told.begin(), told.end());
  wake_.wake();
}

/// False: nobody reads it any more.
bool AgentServer::flush(Peer& peer) {
  while (!peer.out.empty()) {
    const ssize_t n = ::send(peer.fd.get(), peer.out.data(), peer.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    peer.out.erase(peer.out.begin(), peer.out.begin() + n);
  }
  return true;
}

}  // namespace armvisor::exec
