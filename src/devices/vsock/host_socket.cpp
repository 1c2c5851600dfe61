#include "devices/vsock/host_socket.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/host_error.h"
#include "base/sandbox/sandbox.h"
#include "devices/backends/socket_address.h"

namespace armvisor::devices::vsock {
namespace {

constexpr std::size_t k_longest_path = sizeof(sockaddr_un::sun_path) - sizeof "_4294967295";
constexpr u64 k_first_cid = 3, k_last_cid = 0xffff'fffe;
constexpr int k_waiting_clients = 128;

Error bad(std::string message) { return Error{ErrorKind::BadArguments, std::move(message)}; }

}  // namespace

Status check_cid(u64 cid) {
  if (cid >= k_first_cid && cid <= k_last_cid) return {};
  return bad(fmt::format("expected a guest's CID from {} to {}, found {}; change it", k_first_cid, k_last_cid, cid));
}

Status check_path(std::string_view path) {
  if (!path.empty() && path.size() <= k_longest_path) return {};
  return bad(fmt::format("expected the path of a Unix socket, of 1 to {} characters, found '{}'; change it",
                         k_longest_path, path));
}

Result<Options> parse_option(std::string_view text) {
  Options options;
  const std::string_view whole = text;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (word.starts_with("cid=")) {
      const std::string_view number = word.substr(4);
      const char* const end = number.data() + number.size();
      const auto [at, error] = std::from_chars(number.data(), end, options.cid);
      if (error != std::errc{} || at != end)
        return bad(fmt::format("expected cid=NUMBER, found '{}'; change it", word));
    } else if (word.starts_with("path=") && options.path.empty()) {
      options.path = word.substr(5);
    } else {
      return bad(fmt::format("expected [cid=N,]path=SOCKET, found '{}'; change it", whole));
    }
  }
  AV_TRY(check_cid(options.cid));
  AV_TRY(check_path(options.path));
  return options;
}

Result<std::shared_ptr<HostSocket>> HostSocket::create(Options options) {
  SocketAddress address;
  address.family = SocketAddress::Family::Unix;
  address.path = options.path;
  AV_TRY_ASSIGN(Fd socket, bind_socket("--vsock", address, SOCK_STREAM));
  if (::listen(socket.get(), k_waiting_clients) != 0)
    return host_error("--vsock: expected to listen on " + address.text(), errno, "check the path, and who uses it");
  return std::shared_ptr<HostSocket>(new HostSocket(std::move(options), std::move(socket)));
}

HostSocket::~HostSocket() { ::unlink(options_.path.c_str()); }

std::string errand_name(const std::string& path) { return "vsock " + path; }

Fd HostSocket::connect(u32 port) const {
  auto connected = Sandbox::ask(errand_name(options_.path), std::to_string(port));
  if (!connected) return connect_to_port(options_.path, port);
  return *connected ? std::move(**connected) : Fd();
}

Fd connect_to_port(const std::string& socket_path, u32 port) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("{}_{}", socket_path, port);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return socket;
}

}  // namespace armvisor::devices::vsock
