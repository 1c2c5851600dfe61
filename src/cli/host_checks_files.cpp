// Programs, devices and folders that machines may need.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/temporary_file.h"
#include "base/types.h"
#include "base/user_directory.h"
#include "cli/host_checks.h"
#include "exec/cache_folder.h"
#include "exec/fetch_kernel.h"

namespace armvisor::cli {
namespace {

constexpr u64 k_enough_room = u64{1} << 30;

/// Looked for in $PATH, then where Debian has programs of administrators; empty: it is nowhere.
std::string find_program(const std::string& name, const std::vector<std::string>& more) {
  const char* const path = std::getenv("PATH");
  std::vector<std::string> folders;
  for (std::string_view left = path ? path : ""; !left.empty();) {
    const std::size_t colon = std::min(left.find(':'), left.size());
    if (colon > 0) folders.emplace_back(left.substr(0, colon));
    left.remove_prefix(std::min(colon + 1, left.size()));
  }
  folders.insert(folders.end(), more.begin(), more.end());
  for (const std::string& folder : folders) {
    const std::string file = folder + "/" + name;
    struct stat s {};
    if (::stat(file.c_str(), &s) == 0 && S_ISREG(s.st_mode) && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

Finding program(const std::string& name, const std::vector<std::string>& more = {}) {
  const std::string file = find_program(name, more);
  return {!file.empty(), file.empty() ? "not found in PATH" : file};
}

}  // namespace

namespace probes {

Finding program_qemu_nbd() { return program("qemu-nbd"); }
Finding program_nbdkit() { return program("nbdkit"); }
Finding program_passt() { return program("passt"); }
Finding program_virtiofsd() { return program("virtiofsd", {"/usr/libexec", "/usr/lib", "/usr/lib/qemu"}); }
Finding program_bridge_helper() {
  const std::string file = find_program("qemu-bridge-helper", {"/usr/lib/qemu"});
  if (file.empty()) return {false, "not found in PATH or /usr/lib/qemu"};
  const bool allows = ::access("/etc/qemu/bridge.conf", F_OK) == 0;
  return {allows, allows ? file : file + ", but there is no /etc/qemu/bridge.conf"};
}
Finding program_vde_switch() { return program("vde_switch"); }

Finding fetch_programs() {
  std::string missing;
  for (const char* const name : {"sh", "apt-get", "gpgv", "dpkg-deb", "depmod", "modprobe"})
    if (find_program(name, {"/usr/sbin", "/sbin"}).empty())
      missing += (missing.empty() ? "" : ", ") + std::string(name);
  return {missing.empty(), missing.empty() ? "there" : "not found: " + missing};
}

Finding shared_memory_folder() {
  const bool usable = ::access("/dev/shm", W_OK | X_OK) == 0;
  return {usable, usable ? "can be written to" : std::strerror(errno)};
}

Finding tun() {
  const Fd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  return {static_cast<bool>(fd), fd ? "can be opened" : std::strerror(errno)};
}

Finding fetched_kernel() {
  const auto folder = exec::fetched_kernel();
  return {folder.has_value(), folder ? "there" : "none"};
}

Finding cache() {
  const std::string folder = exec::own_cache_folder("kernels");
  if (!folder.empty() && ::access(folder.c_str(), W_OK) == 0) return {true, user_cache_directory() + "/armvisor"};
  const std::string caches = user_cache_directory();
  return {false, caches.empty() ? "neither HOME nor XDG_CACHE_HOME is set"
                                : caches + "/armvisor cannot be made, or others can write to it"};
}

Finding sockets() {
  const auto folder = UserDirectory::open("sockets");
  return {static_cast<bool>(folder), folder ? folder->path : folder.error().message};
}

Finding temporary() {
  const auto file = temporary_file("doctor", "for disks with ,snapshot");
  if (!file) return {false, file.error().message};
  struct statvfs room {};
  if (::fstatvfs(file->get(), &room) != 0) return {false, std::strerror(errno)};
  const u64 free = u64{room.f_bavail} * room.f_frsize;
  return {free >= k_enough_room, fmt::format("{} MiB free", free >> 20)};
}

Finding terminal() {
  winsize size{};
  const bool there = ::isatty(STDIN_FILENO) && ::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0;
  return {there, there ? fmt::format("{} columns, {} rows", size.ws_col, size.ws_row) : "standard input is none"};
}

}  // namespace probes
}  // namespace armvisor::cli
