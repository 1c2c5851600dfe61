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

std::vector<Sandbox> sandboxes(const Virtiofsd& program, const Options& options, bool as_root) {
  if (options.sandbox) return {*options.sandbox};
  // The one in Rust enters a user namespace by itself, and only for namespaces.
  if (!as_root && !program.of_qemu) return {Sandbox::Namespace};
  return {Sandbox::Namespace, Sandbox::Chroot};
}

std::vector<std::string> line(const Virtiofsd& program, const Options& options, Sandbox sandbox, bool as_root) {
  const std::string shut_in(name(sandbox));
  if (!program.of_qemu) {
    std::vector<std::string> words = {program.path, "--fd=3", "--shared-dir=" + options.folder, "--sandbox=" + shut_in,
                                      "--xattr"};
    if (options.read_only) words.push_back("--readonly");
    return words;
  }
  std::vector<std::string> words;
  if (!as_root) words = {"unshare", "--user", "--map-root-user"};
  for (const std::string& word : {program.path, std::string("--fd=3"), std::string("-o"), "source=" + options.folder,
                                  std::string("-o"), "sandbox=" + shut_in, std::string("-o"), std::string("xattr")})
    words.push_back(word);
  return words;
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

Result<std::vector<std::vector<std::string>>> virtiofsd_lines(const Virtiofsd& program, const Options& options,
                                                              bool as_root) {
  if (program.of_qemu && options.read_only)
    return Error{ErrorKind::BadArguments, program.path +
                                              ": expected a folder that may be written, since this virtiofsd "
                                              "cannot share one read-only; leave ro out, or share it by 9P"};
  if (program.of_qemu && options.sandbox == Sandbox::None)
    return Error{ErrorKind::BadArguments,
                 program.path +
                     ": expected sandbox=namespace or chroot, found none, which this virtiofsd does not have; "
                     "change it"};
  std::vector<std::vector<std::string>> lines;
  for (const Sandbox sandbox : sandboxes(program, options, as_root))
    lines.push_back(line(program, options, sandbox, as_root));
  return lines;
}

Result<Served> start_virtiofsd(const std::vector<std::string>& words) {
  AV_TRY_ASSIGN(ServedSocket socket, ServedSocket::create());
  AV_TRY_ASSIGN(ChildProcess process,
                ChildProcess::start(words, std::move(socket.listening), "which shares folders by virtio-fs",
                                    words[0] == "unshare" ? "util-linux" : "virtiofsd"));
  return Served{std::move(process), std::move(socket.connected)};
}

}  // namespace armvisor::devices::vhost_user
