#include "vmm/control_client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/host_error.h"
#include "vmm/control_path.h"

namespace armvisor::vmm {
namespace {

constexpr std::size_t k_max_header = 32, k_max_answer = 64u << 20;
constexpr timeval k_patience{10, 0};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

Result<ControlClient> ControlClient::connect(const std::string& name) {
  AV_TRY_ASSIGN(const ControlDirectory directory, open_control_directory());
  AV_TRY_ASSIGN(const std::string path, control_socket_path(directory, name));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return host_error("machine '" + name + "': expected a socket", errno, "end other programs");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const std::string there = joined(machine_names(directory));
    return Error{ErrorKind::BadArguments, "expected a running machine called '" + name + "', the host says: " +
                                              std::strerror(errno) + "; start one with 'armvisor run --name " + name +
                                              "'" + (there.empty() ? "" : " (there are sockets of: " + there + ")")};
  }
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &k_patience, sizeof k_patience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &k_patience, sizeof k_patience);
  return ControlClient(name, std::move(fd));
}

Error ControlClient::gone() const {
  return Error{ErrorKind::HostResource,
               "machine '" + name_ + "': expected an answer, found none; it has ended or hangs"};
}

bool ControlClient::receive(std::string& out, std::size_t size) {
  char bytes[4096];
  while (out.size() < size) {
    const ssize_t n = ::recv(fd_.get(), bytes, std::min(sizeof bytes, size - out.size()), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    out.append(bytes, static_cast<std::size_t>(n));
  }
  return true;
}

Result<std::string> ControlClient::ask(const std::string& request) {
  const std::string line = request + "\n";
  if (::send(fd_.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) return gone();
  std::string header;
  while (!header.ends_with('\n'))
    if (header.size() == k_max_header || !receive(header, header.size() + 1)) return gone();
  const bool ok = header.starts_with("ok ");
  const std::size_t digits = ok ? 3 : 6;
  std::size_t size = 0;
  if (!ok && !header.starts_with("error ")) return gone();
  const auto [end, error] = std::from_chars(header.data() + digits, header.data() + header.size() - 1, size);
  if (error != std::errc() || *end != '\n' || size > k_max_answer) return gone();
  std::string text;
  if (!receive(text, size)) return gone();
  if (!ok) return Error{ErrorKind::BadArguments, "machine '" + name_ + "': " + text};
  return text;
}

}  // namespace armvisor::vmm
