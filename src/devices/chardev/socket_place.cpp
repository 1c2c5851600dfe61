#include "devices/chardev/socket_place.h"

#include <netdb.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "base/host_error.h"

namespace armvisor::devices {
namespace {

/// Waits for a connection that is under way. 0, or why there is none.
int finish_connecting(const Fd& socket, int stop_fd) {
  pollfd fds[2] = {{socket.get(), POLLOUT, 0}, {stop_fd, POLLIN, 0}};
  while (::poll(fds, 2, -1) < 0)
    if (errno != EINTR) return errno;
  if (fds[1].revents) return ECANCELED;
  return connection_error(socket.get());
}

}  // namespace

Result<SocketPlace> SocketPlace::find(const std::string& option, const SocketOptions& options) {
  SocketPlace place;
  place.option_ = option;
  place.options_ = options;
  if (!options.server && options.at.family != SocketAddress::Family::Descriptor) {
    AV_TRY_ASSIGN(place.addresses_, find_addresses(option, options.at, SOCK_STREAM, false));
  }
  return place;
}

Error SocketPlace::failed(const char* what, int error) const {
  return host_error(option_ + ": expected to " + what + " " + text(), error, "check the address, and who uses it");
}

Result<Fd> SocketPlace::listen() {
  if (options_.at.family == SocketAddress::Family::Descriptor)
    return take_socket(option_, options_.at, SOCK_STREAM, true);
  AV_TRY_ASSIGN(Fd socket, bind_socket(option_, options_.at, SOCK_STREAM));
  if (::listen(socket.get(), 1) != 0) return failed("listen on", errno);
  if (options_.at.family == SocketAddress::Family::Inet) take_port(socket);
  return socket;
}

void SocketPlace::take_port(const Fd& socket) {
  HostAddress got;
  got.size = sizeof got.storage;
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&got.storage), &got.size) != 0 ||
      ::getnameinfo(got.get(), got.size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return;
  options_.at.host = host;
  options_.at.port = port;
}

Result<Fd> SocketPlace::connect(int stop_fd) const {
  if (options_.at.family == SocketAddress::Family::Descriptor)
    return take_socket(option_, options_.at, SOCK_STREAM, false);
  int error = EINVAL;
  for (const HostAddress& address : addresses_) {
    Fd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return failed("make", errno);
    error = ::connect(socket.get(), address.get(), address.size) == 0 ? 0 : errno;
    if (error == EINPROGRESS) error = finish_connecting(socket, stop_fd);
    if (error == 0) {
      send_at_once(socket.get());
      return socket;
    }
  }
  return failed("connect to", error);
}

void SocketPlace::remove() const {
  if (options_.at.family == SocketAddress::Family::Unix) ::unlink(options_.at.path.c_str());
}

}  // namespace armvisor::devices
