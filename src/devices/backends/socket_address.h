#pragma once
// Where a socket is on the host, as options say it, and the addresses that this means.
#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace armvisor::devices {

struct SocketAddress {
  enum class Family { None, Inet, Unix, Descriptor };
  Family family = Family::None;
  std::string host;  ///< empty: any address for one that listens, else the host itself
  std::string port;
  bool ipv4 = true, ipv6 = true;
  std::string path;  ///< of a Unix socket
  int fd = -1;       ///< an open socket, which whoever opens the address owns from then on
  std::string text() const;
};

/// An address as the kernel takes it.
struct HostAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  bool is_multicast() const;  ///< of IPv4
};

/// What the address means: names are looked up, which may take a while. At least one. `option` is for messages; `type`
/// is SOCK_STREAM or SOCK_DGRAM; `passive`: to be bound. Family: Inet or Unix.
Result<std::vector<HostAddress>> find_addresses(const std::string& option, const SocketAddress& address, int type,
                                                bool passive);

/// [HOST]:PORT, with brackets around an IPv6 address. The port may be any text.
std::optional<SocketAddress> split_host_and_port(std::string_view text);
/// Likewise, but the port is a number.
std::optional<SocketAddress> parse_host_and_port(std::string_view text);

/// Whether it is an IPv4 address, as numbers, of a multicast group.
bool is_multicast_text(const std::string& host);
bool is_datagram_socket(int fd);

/// What is sent goes at once, not when there is enough for a packet. (Fails for a Unix socket, which delays nothing.)
void send_at_once(int socket);
/// Why connecting failed, once that is over; 0: it did not.
int connection_error(int socket);
/// Whether errno of accept(2) says that the host had nothing left for who comes, who is to wait for a while.
bool is_accept_limit(int error);

/// Binds a new socket that does not wait. A socket or an empty file that has a Unix
/// socket's name already is replaced.
Result<Fd> bind_socket(const std::string& option, const SocketAddress& address, int type);

/// The descriptor of an address, made one that does not wait; an error if it is no socket of `type`, or is one that
/// listens though it should not, or the reverse.
Result<Fd> take_socket(const std::string& option, const SocketAddress& address, int type, bool listening);

}  // namespace armvisor::devices
