#include "devices/backends/socket_address.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/host_error.h"
#include "base/types.h"

namespace armvisor::devices {
namespace {

Result<std::vector<HostAddress>> unix_address(const std::string& option, const std::string& path) {
  HostAddress address;
  auto* const name = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.empty() || path.size() >= sizeof name->sun_path)
    return Error{ErrorKind::BadArguments, option + ": expected a path of 1 to " +
                                              std::to_string(sizeof name->sun_path - 1) + " bytes, found '" + path +
                                              "'; change it"};
  name->sun_family = AF_UNIX;
  std::memcpy(name->sun_path, path.c_str(), path.size() + 1);
  address.size = sizeof *name;
  return std::vector{address};
}

/// What has nothing in it: a socket that somebody left, or a file that mktemp made to have the name.
void remove_empty(const std::string& path) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) return;
  if (S_ISSOCK(status.st_mode) || (S_ISREG(status.st_mode) && status.st_size == 0)) ::unlink(path.c_str());
}

}  // namespace

std::string SocketAddress::text() const {
  if (family == Family::Unix) return path;
  if (family == Family::Descriptor) return "descriptor " + std::to_string(fd);
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

bool HostAddress::is_multicast() const {
  return family() == AF_INET && IN_MULTICAST(ntohl(reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr.s_addr));
}

std::optional<SocketAddress> split_host_and_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  SocketAddress address;
  address.family = SocketAddress::Family::Inet;
  address.host = host;
  address.port = text.substr(colon + 1);
  return address;
}

std::optional<SocketAddress> parse_host_and_port(std::string_view text) {
  auto address = split_host_and_port(text);
  if (!address) return std::nullopt;
  u16 port = 0;
  const char* const end = address->port.data() + address->port.size();
  const auto [at, error] = std::from_chars(address->port.data(), end, port);
  if (error != std::errc{} || at != end) return std::nullopt;
  address->port = std::to_string(port);
  return address;
}

void send_at_once(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int connection_error(int socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

bool is_accept_limit(int error) { return error != EAGAIN && (is_host_limit(error) || error == ENOBUFS); }

bool is_multicast_text(const std::string& host) {
  in_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 && IN_MULTICAST(ntohl(address.s_addr));
}

bool is_datagram_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM;
}

Result<std::vector<HostAddress>> find_addresses(const std::string& option, const SocketAddress& address, int type,
                                                bool passive) {
  if (address.family == SocketAddress::Family::Unix) return unix_address(option, address.path);
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = type;
  hints.ai_flags = passive ? AI_PASSIVE : 0;
  hints.ai_family = address.ipv4 && address.ipv6 ? AF_UNSPEC : address.ipv6 ? AF_INET6 : AF_INET;
  const auto text = [](const std::string& s) { return s.empty() ? nullptr : s.c_str(); };
  const int error = ::getaddrinfo(text(address.host), text(address.port), &hints, &found);
  if (error != 0)
    return Error{ErrorKind::BadArguments, option + ": expected an address, found '" + address.text() +
                                              "': " + ::gai_strerror(error) + "; check it"};
  std::vector<HostAddress> addresses;
  for (const addrinfo* at = found; at; at = at->ai_next) {
    HostAddress& a = addresses.emplace_back();
    std::memcpy(&a.storage, at->ai_addr, at->ai_addrlen);
    a.size = at->ai_addrlen;
  }
  ::freeaddrinfo(found);
  return addresses;
}

Result<Fd> bind_socket(const std::string& option, const SocketAddress& address, int type) {
  AV_TRY_ASSIGN(const auto addresses, find_addresses(option, address, type, true));
  int error = 0;
  for (const HostAddress& at : addresses) {
    Fd socket(::socket(at.family(), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    if (socket && at.family() == AF_UNIX) remove_empty(address.path);
    if (socket && at.family() != AF_UNIX) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (socket && ::bind(socket.get(), at.get(), at.size) == 0) return socket;
    error = errno;
  }
  return host_error(option + ": expected to bind a socket to " + address.text(), error,
                    "check the address, and who uses it");
}

Result<Fd> take_socket(const std::string& option, const SocketAddress& address, int type, bool listening) {
  int found = 0, listens = 0;
  socklen_t size = sizeof found;
  if (::getsockopt(address.fd, SOL_SOCKET, SO_TYPE, &found, &size) != 0 || found != type ||
      (type == SOCK_STREAM &&
       (::getsockopt(address.fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || (listens != 0) != listening)))
    return Error{ErrorKind::BadArguments, option + ": expected " +
                                              (type == SOCK_DGRAM ? "a datagram socket"
                                               : listening        ? "a stream socket that listens"
                                                                  : "a stream socket that is connected") +
                                              " as descriptor " + std::to_string(address.fd) + "; hand one over"};
  ::fcntl(address.fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(address.fd, F_SETFL, ::fcntl(address.fd, F_GETFL) | O_NONBLOCK);
  return Fd(address.fd);
}

}  // namespace armvisor::devices
