#include "devices/backends/slirp_network.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <libslirp.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/host_error.h"
#include "base/log_once.h"
#include "devices/frame_bytes.h"

namespace armvisor::devices {
namespace {

constexpr std::size_t k_udp_checksum = 6;  ///< its offset in the header

in_addr network_order(u32 address) { return {htonl(address)}; }

in6_addr network_order(const IpAddress& address) {
  in6_addr a;
  put_ipv6(std::span(a.s6_addr), 0, address);
  return a;
}

/// A socket's address of either version of IP.
struct SocketName {
  sockaddr_storage storage{};
  socklen_t size;

  SocketName(const IpAddress& address, u16 port)
      : size(address.is_ipv4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)) {
    if (address.is_ipv4()) {
      auto& in = reinterpret_cast<sockaddr_in&>(storage);
      in.sin_family = AF_INET;
      in.sin_port = htons(port);
      in.sin_addr = network_order(address.ipv4());
    } else {
      auto& in = reinterpret_cast<sockaddr_in6&>(storage);
      in.sin6_family = AF_INET6;
      in.sin6_port = htons(port);
      in.sin6_addr = network_order(address);
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

int forward_flags(const HostForward& f) {
  return (f.udp ? SLIRP_HOSTFWD_UDP : 0) | (f.host_address.is_ipv4() ? 0 : SLIRP_HOSTFWD_V6ONLY);
}

/// libslirp's way to say that there is none.
const char* text_or_null(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

s64 now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return s64{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

short poll_events(int slirp_events) {
  short events = 0;
  if (slirp_events & SLIRP_POLL_IN) events |= POLLIN;
  if (slirp_events & SLIRP_POLL_OUT) events |= POLLOUT;
  if (slirp_events & SLIRP_POLL_PRI) events |= POLLPRI;
  if (slirp_events & SLIRP_POLL_ERR) events |= POLLERR;
  if (slirp_events & SLIRP_POLL_HUP) events |= POLLHUP;
  return events;
}

int slirp_events(short events) {
  int result = 0;
  if (events & POLLIN) result |= SLIRP_POLL_IN;
  if (events & POLLOUT) result |= SLIRP_POLL_OUT;
  if (events & POLLPRI) result |= SLIRP_POLL_PRI;
  if (events & POLLERR) result |= SLIRP_POLL_ERR;
  if (events & POLLHUP) result |= SLIRP_POLL_HUP;
  return result;
}

bool is_unix_socket(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  return ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0 && name.ss_family == AF_UNIX;
}

/// A reply to a DHCP client whose checksum computes to 0. It is sent as 0xffff (RFC 768), but busybox's udhcpc compares
/// it with the 0 that it computes and drops the reply, and all that follow to the same xid.
bool is_dhcp_reply_that_clients_drop(std::span<const u8> frame, const GuestPacket& p) {
  constexpr u16 k_dhcp_client = 68;
  return p.kind == GuestPacket::Kind::Udp && p.destination.is_ipv4() && p.destination_port == k_dhcp_client &&
         get16(frame, k_ethernet_header + p.header_bytes + k_udp_checksum) == 0xffff;
}

/// Set on a thread while libslirp may start a program there.
thread_local bool t_starts_programs = false;

/// Programs of guestfwd= begin with signals as a shell has them: networks' threads have all blocked, and the process
/// ignores SIGPIPE. libslirp has no call for it, so it is done where it forks.
void give_programs_usual_signals() {
  [[maybe_unused]] static const int k_once = ::pthread_atfork(nullptr, nullptr, [] {
    if (!t_starts_programs) return;
    ::signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  });
}

}  // namespace

/// What libslirp calls; `opaque` is the SlirpNetwork.
struct SlirpNetwork::Callbacks {
  static SlirpNetwork& self(void* opaque) { return *static_cast<SlirpNetwork*>(opaque); }

  static ssize_t send_packet(const void* data, size_t size, void* opaque) {
    const std::span<const u8> frame(static_cast<const u8*>(data), size);
    const GuestPacket p = parse_guest_packet(frame);
    if (p.kind == GuestPacket::Kind::Tcp) self(opaque).flows_.answered(p);
    if (p.kind == GuestPacket::Kind::Udp) self(opaque).flows_.used(NetworkFlows::key_to_guest(p), now_ms());
    NetworkClient* const client = self(opaque).client();
    if (client && is_dhcp_reply_that_clients_drop(frame, p)) {
      std::vector<u8> unchecked(frame.begin(), frame.end());  // as RFC 768 allows
      put16(unchecked, k_ethernet_header + p.header_bytes + k_udp_checksum, 0);
      client->receive(unchecked);
    } else if (client) {
      client->receive(frame);
    }
    return static_cast<ssize_t>(size);
  }
  static void guest_error(const char* message, void*) { AV_LOG_ONCE(Debug, "network: %s", message); }
  static s64 clock_get_ns(void* opaque) {
    return now_ns() + static_cast<s64>(self(opaque).clock_ahead_ms_) * 1'000'000;
  }
  static void* timer_new(SlirpTimerCb callback, void* callback_opaque, void* opaque) {
    return &self(opaque).timers_.emplace_back(Timer{callback, callback_opaque, -1});
  }
  static void timer_free(void* timer, void* opaque) {
    self(opaque).timers_.remove_if([timer](const Timer& t) { return &t == timer; });
  }
  static void timer_mod(void* timer, s64 deadline_ms, void*) { static_cast<Timer*>(timer)->deadline_ms = deadline_ms; }
  // Of sockets that could not be made libslirp says -1.
  static void register_poll_fd(int fd, void* opaque) {
    if (fd >= 0) self(opaque).opened(fd);
  }
  static void unregister_poll_fd(int fd, void* opaque) {
    self(opaque).flows_.closed(fd);
    self(opaque).forward_accepts_.erase(fd);
  }
  static void notify(void* opaque) { self(opaque).wake(); }

  static int add_poll(int fd, int events, void* opaque) {
    SlirpNetwork& network = self(opaque);
    const bool waits = network.accept_again_ms_ && network.accepts(fd);
    network.polled_.push_back({fd, waits ? short{0} : poll_events(events), 0});
    return static_cast<int>(network.polled_.size() - 1);
  }
  static int get_revents(int index, void* opaque) {
    SlirpNetwork& network = self(opaque);
    const pollfd& p = network.polled_[static_cast<std::size_t>(index)];
    if ((p.revents & POLLIN) && network.accepts(p.fd) && !network.take_connection()) return 0;
    return slirp_events(p.revents);
  }

  static const SlirpCb& table() {
    static const SlirpCb k_table = [] {
      SlirpCb t = {};
      t.send_packet = send_packet;
      t.guest_error = guest_error;
      t.clock_get_ns = clock_get_ns;
      t.timer_new = timer_new;
      t.timer_free = timer_free;
      t.timer_mod = timer_mod;
      t.register_poll_fd = register_poll_fd;
      t.unregister_poll_fd = unregister_poll_fd;
      t.notify = notify;
      return t;
    }();
    return k_table;
  }
};

u64 SlirpNetwork::now_ms() { return static_cast<u64>(now_ns() / 1'000'000); }

Result<std::unique_ptr<SlirpNetwork>> SlirpNetwork::create(const UserNetworkOptions& options,
                                                           std::span<Chardev* const> lines) {
  AV_TRY_ASSIGN(WakeEvent event, make_event());
  std::unique_ptr<SlirpNetwork> network(new SlirpNetwork(std::move(event), options));
  AV_TRY(network->open(options, lines));
  return network;
}

Status SlirpNetwork::open(const UserNetworkOptions& options, std::span<Chardev* const> lines) {
  SlirpConfig config = {};
  config.version = 1;
  config.restricted = options.restricted;
  config.disable_host_loopback = !options.host_loopback;
  config.in_enabled = options.ipv4;
  config.vnetwork = network_order(options.network);
  config.vnetmask = network_order(options.netmask);
  config.vhost = network_order(options.host);
  config.vdhcp_start = network_order(options.first_lease);
  config.vnameserver = network_order(options.name_server);
  config.in6_enabled = options.ipv6;
  config.vprefix_addr6 = network_order(options.network6);
  config.vprefix_len = static_cast<u8>(options.network6_bits);
  config.vhost6 = network_order(options.host6);
  config.vnameserver6 = network_order(options.name_server6);
  config.vhostname = text_or_null(options.host_name);
  config.vdomainname = text_or_null(options.domain);
  config.bootfile = text_or_null(options.boot_file);
  config.tftp_path = text_or_null(options.tftp_folder);
  config.tftp_server_name = text_or_null(options.tftp_server);
  std::vector<const char*> search;
  for (const std::string& domain : options.search_domains) search.push_back(domain.c_str());
  search.push_back(nullptr);
  if (search.size() > 1) config.vdnssearch = search.data();
  slirp_ = slirp_new(&config, &Callbacks::table(), this);
  if (!slirp_) return Error{ErrorKind::HostResource, "network: libslirp could not be set up"};
  for (const HostForward& f : options.forwards) AV_TRY(forward(f));
  for (const GuestForward& f : options.guest_forwards) AV_TRY(forward(f, lines));
  return {};
}

Status SlirpNetwork::check(const HostForward& f) const {
  if (!f.guest_address.is_ipv4()) {
    if (!options_.ipv6 || f.guest_address.is_unspecified())
      return Error{ErrorKind::BadArguments,
                   "hostfwd: expected the guest's address, as the guest has IPv6 ones of its "
                   "own making, and ipv6=on; name it, as [fec0::15]:22"};
    return {};
  }
  if (!options_.ipv4)
    return Error{ErrorKind::BadArguments,
                 "hostfwd: expected an address of the guest that it has, found an IPv4 one with ipv4=off; name an IPv6 "
                 "one, as [fec0::15]:22"};
  if ((f.guest_address.ipv4() & options_.netmask) == options_.network) return {};
  return Error{ErrorKind::BadArguments, "hostfwd: the guest address " + ip_text(f.guest_address) +
                                            " is not in the guest's network " + ipv4_text(options_.network) +
                                            ", mask " + ipv4_text(options_.netmask)};
}

Status SlirpNetwork::forward(const HostForward& f) {
  AV_TRY(check(f));
  const SocketName host(f.host_address, f.host_port), guest(f.guest_address, f.guest_port);
  errno = 0;
  if (slirp_add_hostxfwd(slirp_, host.get(), host.size, guest.get(), guest.size, forward_flags(f)) == 0) {
    forwards_.push_back(f);
    return {};
  }
  const int error = errno;
  const std::string port = fmt::format("{} port {}{} of the host", f.udp ? "UDP" : "TCP", f.host_port,
                                       f.host_address.is_unspecified() ? "" : " of " + ip_text(f.host_address));
  if (error == EADDRINUSE)
    return Error{ErrorKind::HostResource, "hostfwd: " + port + " is in use already; choose another one"};
  return host_error("hostfwd: expected to open " + port, error, "choose another one");
}

Status SlirpNetwork::forward(const GuestForward& f, std::span<Chardev* const> lines) {
  if (!options_.ipv4)
    return Error{ErrorKind::BadArguments, "guestfwd: expected IPv4, in which it is, found ipv4=off; leave one out"};
  in_addr address = network_order(f.address);
  int result = 0;
  if (f.command.empty()) {
    AV_TRY_ASSIGN(auto line,
                  GuestLine::create(guest_lines_.size() < lines.size() ? lines[guest_lines_.size()] : nullptr));
    result = slirp_add_unix(slirp_, line->path().c_str(), &address, f.port);
    guest_lines_.push_back(std::move(line));
  } else {
    give_programs_usual_signals();
    result = slirp_add_exec(slirp_, f.command.c_str(), &address, f.port);
  }
  if (result == 0) {
    forwarded_.emplace_back(ntohl(address.s_addr), f.port);
    return {};
  }
  return Error{
      ErrorKind::BadArguments,
      fmt::format("guestfwd: expected an address of the network {}, mask {}, that neither the host nor another "
                  "guestfwd has, found {}:{}; change it",
                  ipv4_text(options_.network), ipv4_text(options_.netmask), ipv4_text(f.address), f.port)};
}

SlirpNetwork::~SlirpNetwork() {
  stop();
  if (slirp_) slirp_cleanup(slirp_);
}

Status SlirpNetwork::change_forward(const HostForward& forward, bool add) {
  Change change{.forward = forward, .add = add};
  std::unique_lock lock(changes_mutex_);
  if (!takes_changes_) return Error{ErrorKind::BadInput, "hostfwd: expected a network that runs; try again"};
  changes_.push_back(&change);
  wake();
  changed_.wait(lock, [&change] { return change.done; });
  return std::move(change.result);
}

void SlirpNetwork::make_changes(bool last) {
  const std::lock_guard lock(changes_mutex_);
  for (Change* const change : std::exchange(changes_, {})) {
    const HostForward& f = change->forward;
    const SocketName host(f.host_address, f.host_port);
    if (change->add)
      change->result = this->forward(f);
    else if (slirp_remove_hostxfwd(slirp_, host.get(), host.size, forward_flags(f)) == 0)
      std::erase_if(forwards_, [&f](const HostForward& other) { return other.same_port(f); });
    else
      change->result = Error{ErrorKind::BadInput, "hostfwd: expected a port that is forwarded; check it"};
    forward_accepts_.clear();  // descriptors may be others now
    change->done = true;
  }
  takes_changes_ = !last;
  changed_.notify_all();
}

void SlirpNetwork::send(std::span<const u8> frame) {
  GuestPacket p = parse_guest_packet(frame);
  if (p.kind == GuestPacket::Kind::Fragment) {
    frame = fragments_.add(frame, p, now_ms());
    p = parse_guest_packet(frame);
  }
  if (!admit(p, frame.size())) return;
  // What an IPv6 packet has behind its end, libslirp would take for data.
  if (p.packet_bytes) frame = frame.first(k_ethernet_header + p.packet_bytes);
  input(frame, p);
}

void SlirpNetwork::run() {
  t_starts_programs = true;
  while (!stopping()) {
    make_changes(false);
    const bool more = client()->transmit_pending();
    if (accept_again_ms_ && now_ms() >= accept_again_ms_) {
      close_ended_streams();
      accept_again_ms_ = 0;
    }
    wait(more);
    run_timers();
    client()->received_all();
  }
  make_changes(true);
  if (!guest_lines_.empty()) finish_lines();
}

/// What libslirp has told the guest has arrived goes on to the lines, as long as these take some of it.
void SlirpNetwork::finish_lines() {
  for (;;) {
    polled_.clear();
    u32 timeout = 0;
    slirp_pollfds_fill(slirp_, &timeout, Callbacks::add_poll, this);
    bool has_some = false;
    for (pollfd& p : polled_) {
      p.events &= POLLOUT;
      if (!p.events || !is_unix_socket(p.fd)) p.fd = -1;
      has_some |= p.fd >= 0;
    }
    if (!has_some || poll(polled_.data(), polled_.size(), GuestLine::k_patience_ms) <= 0) return;
    slirp_pollfds_poll(slirp_, 0, Callbacks::get_revents, this);
  }
}

void SlirpNetwork::wait(bool more_to_send) {
  polled_.assign(1, {event(), POLLIN, 0});
  u32 timeout = more_to_send ? 0 : 0xffffffff;
  if (const s64 deadline = next_deadline_ms(); deadline >= 0)
    timeout = static_cast<u32>(std::clamp<s64>(deadline - static_cast<s64>(now_ms()), 0, timeout));
  if (accept_again_ms_)
    timeout = std::min(timeout, static_cast<u32>(accept_again_ms_ - std::min(now_ms(), accept_again_ms_)));
  slirp_pollfds_fill(slirp_, &timeout, Callbacks::add_poll, this);
  const int limit = timeout > 0x7fffffff ? -1 : static_cast<int>(timeout);
  const int ready = poll(polled_.data(), polled_.size(), limit);
  if (ready > 0 && polled_[0].revents) take_event();
  slirp_pollfds_poll(slirp_, ready < 0, Callbacks::get_revents, this);
}

s64 SlirpNetwork::next_deadline_ms() const {
  s64 first = -1;
  for (const Timer& t : timers_)
    if (t.deadline_ms >= 0 && (first < 0 || t.deadline_ms < first)) first = t.deadline_ms;
  return first;
}

void SlirpNetwork::run_timers() {
  const s64 now = static_cast<s64>(now_ms());
  for (Timer& t : timers_) {
    if (t.deadline_ms < 0 || t.deadline_ms > now) continue;
    t.deadline_ms = -1;
    t.callback(t.opaque);
  }
}

}  // namespace armvisor::devices
