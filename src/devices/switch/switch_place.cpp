#include "devices/switch/switch_place.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/child_process.h"
#include "base/host_error.h"

namespace armvisor::devices {
namespace {

constexpr int k_backlog = 64;
constexpr const char* k_ending = ".switch";

/// The lock on the directory, for as long as it lives.
class DirectoryLock {
 public:
  DirectoryLock(const UserDirectory& directory, int how) : fd_(directory.fd.get()) {
    while (!(held_ = ::flock(fd_, how) == 0) && errno == EINTR) {
    }
  }
  ~DirectoryLock() {
    if (held_) ::flock(fd_, LOCK_UN);
  }
  explicit operator bool() const { return held_; }

 private:
  int fd_;
  bool held_ = false;
};

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Fd make_socket() { return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

}  // namespace

std::vector<std::string> SwitchPlace::program = {"/proc/self/exe", "switch"};

SwitchPlace::SwitchPlace(UserDirectory directory, std::string name)
    : directory_(std::move(directory)),
      name_(std::move(name)),
      path_(fmt::format("{}/{}{}", directory_.path, name_, k_ending)) {}

Result<SwitchPlace> SwitchPlace::find(const std::string& name) {
  AV_TRY(check_plain_name("name of a switch", name));
  AV_TRY_ASSIGN(UserDirectory directory, UserDirectory::open("switch"));
  SwitchPlace place(std::move(directory), name);
  if (place.path_.size() >= sizeof sockaddr_un::sun_path)
    return Error{ErrorKind::HostResource,
                 fmt::format("switch: expected a path shorter than {} bytes, found {}; set XDG_RUNTIME_DIR to a "
                             "shorter one",
                             sizeof sockaddr_un::sun_path, place.path_)};
  return place;
}

Fd SwitchPlace::connect() const {
  Fd socket = make_socket();
  const sockaddr_un address = address_of(path_);
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return socket;
}

Result<Fd> SwitchPlace::join() {
  const DirectoryLock lock(directory_, LOCK_EX | LOCK_NB);
  if (!lock) return Fd();
  Fd socket = connect();
  if (!socket && (errno == ECONNREFUSED || errno == ENOENT)) return start();
  if (!socket && errno == EAGAIN) return Fd();
  if (!socket) return host_error("switch: expected to connect to " + path_, errno, "check the directory");
  if (!is_same_user(socket.get()))
    return Error{ErrorKind::HostResource, "switch: expected a switch of this user, found another's; remove " + path_};
  return socket;
}

/// The socket listens before the process is there, so one may connect at once.
Result<Fd> SwitchPlace::start() {
  Fd listening = make_socket();
  const sockaddr_un address = address_of(path_);
  ::unlink(path_.c_str());
  if (!listening || ::bind(listening.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listening.get(), k_backlog) != 0)
    return host_error("switch: expected to listen on " + path_, errno, "check the directory");
  own_socket();
  Fd socket = connect();
  if (!socket) return host_error("switch: expected to connect to " + path_, errno, "check the directory");
  std::vector<std::string> words = program;
  words.push_back(name_);
  if (Status started = start_detached(words, std::move(listening), "which carries frames between machines"); !started) {
    remove_own();
    return started.take_error();
  }
  return socket;
}

bool SwitchPlace::leave(const std::function<bool()>& anybody) {
  const DirectoryLock lock(directory_, LOCK_EX);
  if (anybody()) return false;
  remove_own();
  return true;
}

std::optional<SwitchPlace::File> SwitchPlace::socket_there() const {
  struct stat s {};
  const std::string file = name_ + k_ending;
  if (::fstatat(directory_.fd.get(), file.c_str(), &s, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISSOCK(s.st_mode)) return {};
  return File{s.st_dev, s.st_ino};
}

/// The directory's lock is held.
void SwitchPlace::remove_own() {
  if (own_ && socket_there() == own_) ::unlinkat(directory_.fd.get(), (name_ + k_ending).c_str(), 0);
}

}  // namespace armvisor::devices
