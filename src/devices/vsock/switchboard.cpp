#include "devices/vsock/switchboard.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/host_error.h"

namespace armvisor::devices::vsock {
namespace {

// Ports of the host's ends of connections that the host asks for, where no program listens for the guest's.
constexpr u32 k_first_host_port = 1u << 30, k_last_host_port = (1u << 31) - 1;

std::size_t most_connections() {
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return Switchboard::k_most_connections;
  return std::min<std::size_t>(Switchboard::k_most_connections, descriptors.rlim_cur / 4);
}

}  // namespace

Result<std::unique_ptr<Switchboard>> Switchboard::create(std::shared_ptr<HostSocket> host) {
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return host_error("vsock: expected an epoll descriptor", errno, "end other programs");
  return std::unique_ptr<Switchboard>(new Switchboard(std::move(host), std::move(epoll)));
}

Switchboard::Switchboard(std::shared_ptr<HostSocket> host, Fd epoll)
    : host_(std::move(host)), epoll_(std::move(epoll)), most_(most_connections()), next_host_port_(k_first_host_port) {}

bool Switchboard::watch(int socket, Id id) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = id;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket, &event) == 0;
}

void Switchboard::open() {
  if (std::exchange(open_, true)) return;
  watch(host_->listening(), 0);
  accept_ = Accept::Now;
}

void Switchboard::close() {
  if (std::exchange(open_, false)) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, host_->listening(), nullptr);
  accept_ = Accept::WhenTold;
  greetings_.clear();
  lines_.clear();
  ports_.clear();
  waiting_.clear();
  replies_.clear();
}

void Switchboard::look() {
  if (accept_ == Accept::Now || accept_ == Accept::Later) accept();
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), events.size(), 0);
  for (int n = 0; n < count; ++n) {
    const Id id = events[n].data.u64;
    if (id == 0) {
      accept();
    } else if (greetings_.contains(id)) {
      greet(id);
    } else if (const auto line = lines_.find(id); line != lines_.end()) {
      line->second.connection.socket_ready(events[n].events);
      changed(id);
    }
  }
}

// --- clients of the host

void Switchboard::accept() {
  accept_ = Accept::WhenTold;
  while (open_) {
    if (lines_.size() >= most_ && !make_room()) {
      accept_ = Accept::WithRoom;
      return;
    }
    Fd socket(::accept4(host_->listening(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) {
      if (errno != EAGAIN) accept_ = Accept::Later;  // the host has no descriptor
      return;
    }
    if (greetings_.size() == k_most_greetings) greetings_.erase(greetings_.begin());
    const Id id = next_id_++;
    if (!watch(socket.get(), id)) continue;
    greetings_.emplace(id, std::move(socket));
  }
}

void Switchboard::greet(Id id) {
  const auto at = greetings_.find(id);
  bool over = false;
  const auto port = read_greeting(at->second.get(), over);
  if (!port && !over) return;
  Fd socket = std::move(at->second);
  greetings_.erase(at);
  if (!port) return;
  Ports ports{next_host_port_, *port};
  while (ports_.contains(ports)) ports.host = ports.host == k_last_host_port ? k_first_host_port : ports.host + 1;
  next_host_port_ = ports.host == k_last_host_port ? k_first_host_port : ports.host + 1;
  // It is watched anew: what came in the meantime is told again.
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket.get(), nullptr);
  add(ports, std::move(socket), Connection::MadeBy::Host);
}

/// "CONNECT PORT\n", of which no byte more is taken. Nothing: it is not there yet, or `over`: it will not be.
std::optional<u32> Switchboard::read_greeting(int socket, bool& over) const {
  std::array<char, k_longest_greeting> bytes;
  const ssize_t n = ::recv(socket, bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return std::nullopt;
  over = true;
  if (n <= 0) return std::nullopt;
  const std::string_view said(bytes.data(), static_cast<std::size_t>(n));
  const std::size_t end = said.find('\n');
  if (end == std::string_view::npos) {
    over = said.size() == bytes.size();
    return std::nullopt;
  }
  constexpr std::string_view k_connect = "CONNECT ";
  std::string_view number = said.substr(0, end);
  if (!number.starts_with(k_connect)) return std::nullopt;
  number.remove_prefix(k_connect.size());
  u32 port = 0;
  const auto [at, error] = std::from_chars(number.data(), number.data() + number.size(), port);
  if (error != std::errc{} || at != number.data() + number.size()) return std::nullopt;
  if (::recv(socket, bytes.data(), end + 1, MSG_DONTWAIT) != static_cast<ssize_t>(end + 1)) return std::nullopt;
  return port;
}

// --- connections

/// Those go first of which one side is done. False: there is none.
bool Switchboard::make_room() {
  const auto over = std::ranges::find_if(lines_, [](const auto& line) {
    return line.second.connection.guest_is_done() || line.second.connection.host_is_done();
  });
  if (over == lines_.end()) return false;
  const Ports ports = over->second.connection.ports();
  if (!over->second.connection.guest_is_done()) {
    if (!has_room()) return false;
    reset_reply(ports);
  }
  forget(over->first);
  return true;
}

bool Switchboard::add(Ports ports, Fd socket, Connection::MadeBy by) {
  if (lines_.size() >= most_ && !make_room()) return false;
  const Id id = next_id_++;
  if (!watch(socket.get(), id)) return false;
  lines_.emplace(id, Line(Connection(ports, std::move(socket), by)));
  ports_.emplace(ports, id);
  changed(id);
  return true;
}

/// After anything that may have given it a packet, or ended it.
void Switchboard::changed(Id id) {
  Line& line = lines_.at(id);
  const Connection& c = line.connection;
  if (c.is_given_up()) {
    reset_reply(c.ports());
    return forget(id);
  }
  if (c.guest_is_done()) {
    release_ports(id);
    if (c.host_is_done()) forget(id);
    return;
  }
  if (!line.is_waiting && c.has_packet()) {
    line.is_waiting = true;
    waiting_.push_back(id);
  }
}

void Switchboard::release_ports(Id id) {
  const auto at = ports_.find(lines_.at(id).connection.ports());
  if (at != ports_.end() && at->second == id) ports_.erase(at);
}

void Switchboard::forget(Id id) {
  release_ports(id);
  std::erase(waiting_, id);
  lines_.erase(id);
  if (accept_ == Accept::WithRoom) accept_ = Accept::Now;
}

void Switchboard::reset_reply(Ports ports) { replies_.push_back(ports); }

// --- from the guest

bool Switchboard::take(const Header& header, std::span<const iovec> data) {
  if (header.src_cid != cid() || header.dst_cid != k_host_cid) return false;
  const Ports ports{header.dst_port, header.src_port};
  const auto at = ports_.find(ports);
  if (header.type != k_type_stream || (at == ports_.end() && header.op != Op::Request)) {
    if (header.op != Op::Reset) reset_reply(ports);
  } else if (at == ports_.end()) {
    request(header);
  } else {
    packet_of(at->second, header, data);
  }
  return true;
}

void Switchboard::request(const Header& header) {
  const Ports ports{header.dst_port, header.src_port};
  Fd socket;
  if (lines_.size() < most_ || make_room()) socket = host_->connect(ports.host);
  if (!socket || !add(ports, std::move(socket), Connection::MadeBy::Guest)) return reset_reply(ports);
  lines_.at(ports_.at(ports)).connection.set_credit(header);
}

void Switchboard::packet_of(Id id, const Header& header, std::span<const iovec> data) {
  Connection& c = lines_.at(id).connection;
  c.set_credit(header);
  bool keeps = true;
  switch (header.op) {
    case Op::Response: keeps = c.answered(); break;
    case Op::ReadWrite: keeps = c.send(data, header.len); break;
    case Op::CreditUpdate: break;
    case Op::CreditRequest: c.asked_for_credit(); break;
    case Op::Shutdown:
      c.guest_ends(header.flags);
      if (c.guest_is_done()) reset_reply(c.ports());  // 5.10.6.5: by which the guest knows that both are done
      break;
    case Op::Reset: return forget(id);
    default: keeps = false; break;
  }
  if (keeps) return changed(id);
  reset_reply(c.ports());
  forget(id);
}

// --- to the guest

std::optional<Header> Switchboard::packet(std::span<const iovec> room) {
  std::optional<Header> found;
  if (!replies_.empty()) {
    found.emplace();
    found->op = Op::Reset;
    found->src_port = replies_.front().host;
    found->dst_port = replies_.front().guest;
    replies_.pop_front();
  } else {
    const Id id = waiting_.front();
    waiting_.pop_front();
    const auto line = lines_.find(id);
    if (line == lines_.end()) return std::nullopt;
    line->second.is_waiting = false;
    if (line->second.connection.guest_is_done()) return std::nullopt;
    found = line->second.connection.packet(room);
    changed(id);
  }
  if (!found) return std::nullopt;
  found->src_cid = k_host_cid;
  found->dst_cid = cid();
  return found;
}

}  // namespace armvisor::devices::vsock
