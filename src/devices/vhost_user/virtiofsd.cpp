#include "devices/vhost_user/virtiofsd.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

namespace armvisor::devices::vhost_user {
namespace {

// Where distributions have them; the path says which of the two it is.
constexpr const char* k_of_rust[] = {"/usr/libexec/virtiofsd", "/usr/lib/virtiofsd"};
constexpr const char* k_of_qemu = "/usr/lib/qemu/virtiofsd";
constexpr const char* k_variable = "ARMVISOR_VIRTIOFSD";

constexpr std::string_view k_advice = "check the folder, or share it by 9P (fs=9p)";
constexpr std::string_view k_advice_on_maps =
    "this virtiofsd needs Debian's package uidmap and a range of the user's in /etc/subuid and /etc/subgid; see to "
    "these, "
    "or share the folder by 9P (fs=9p)";

std::vector<Sandbox> sandboxes(const Virtiofsd& program, const Options& options, Starter starter) {
  if (options.sandbox) return {*options.sandbox};
  // The one in Rust enters a user namespace by itself, and only for namespaces.
  if (!starter.root && !program.of_qemu) return {Sandbox::Namespace};
  return {Sandbox::Namespace, Sandbox::Chroot};
}

Launch launch_of_rust(const Virtiofsd& program, const Options& options, Sandbox sandbox) {
  Launch launch{.words = {program.path, "--fd=3", "--shared-dir=" + options.folder,
                          "--sandbox=" + std::string(name(sandbox)), "--xattr"},
                .advice = k_advice};
  if (options.read_only) launch.words.push_back("--readonly");
  return launch;
}

Launch launch_of_qemu(const Virtiofsd& program, const Options& options, Sandbox sandbox, Starter starter) {
  Launch launch;
  launch.advice = k_advice;
  if (!starter.root) launch.words = {"unshare", "--user", "--map-root-user"};
  if (!starter.root && starter.groups) {
    launch.words.push_back("--map-auto");
    launch.privileges = ChildProcess::Privileges::OfItsFile;
    launch.advice = k_advice_on_maps;
  }
  for (const std::string& word :
       {program.path, std::string("--fd=3"), std::string("-o"), "source=" + options.folder, std::string("-o"),
        "sandbox=" + std::string(name(sandbox)), std::string("-o"), std::string("xattr")})
    launch.words.push_back(word);
  return launch;
}

/// A link of the old name may lead to the new program.
Virtiofsd of_path(const char* path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  return {path, (error ? std::filesystem::path(path) : real).parent_path().filename() == "qemu"};
}

}  // namespace

Result<Virtiofsd> find_virtiofsd() {
  if (const char* const named = std::getenv(k_variable); named && *named) return of_path(named);
  for (const char* path : k_of_rust)
    if (::access(path, X_OK) == 0) return Virtiofsd{path, false};
  if (::access(k_of_qemu, X_OK) == 0) return of_path(k_of_qemu);
  return Error{
      ErrorKind::HostResource,
      "expected the program virtiofsd, which shares folders by virtio-fs, found none in /usr/libexec, /usr/lib "
      "and /usr/lib/qemu; install it (Debian's package virtiofsd, in Debian 12 qemu-system-common), name it "
      "with ARMVISOR_VIRTIOFSD=PATH, or share the folder by 9P (fs=9p)"};
}

Starter Starter::ours() { return {.root = ::geteuid() == 0, .groups = ::getgroups(0, nullptr) > 0}; }

Result<std::vector<Launch>> virtiofsd_launches(const Virtiofsd& program, const Options& options, Starter starter) {
  if (program.of_qemu && options.read_only)
    return Error{ErrorKind::BadArguments, program.path +
                                              ": expected a folder that may be written, since this virtiofsd "
                                              "cannot share one read-only; leave ro out, or share it by 9P"};
  if (program.of_qemu && options.sandbox == Sandbox::None)
    return Error{ErrorKind::BadArguments,
                 program.path +
                     ": expected sandbox=namespace or chroot, found none, which this virtiofsd does not have; "
                     "change it"};
  std::vector<Launch> launches;
  for (const Sandbox sandbox : sandboxes(program, options, starter))
    launches.push_back(program.of_qemu ? launch_of_qemu(program, options, sandbox, starter)
                                       : launch_of_rust(program, options, sandbox));
  return launches;
}

Result<Served> start_virtiofsd(const Launch& launch) {
  AV_TRY_ASSIGN(ServedSocket socket, ServedSocket::create());
  AV_TRY_ASSIGN(ChildProcess process,
                ChildProcess::start(launch.words, std::move(socket.listening), "which shares folders by virtio-fs",
                                    launch.words[0] == "unshare" ? "util-linux" : "virtiofsd", launch.privileges));
  return Served{std::move(process), std::move(socket.connected)};
}

}  // namespace armvisor::devices::vhost_user
