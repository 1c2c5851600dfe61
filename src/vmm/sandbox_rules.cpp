#include "vmm/sandbox_rules.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <variant>

#include "base/log.h"
#include "base/sandbox/sandbox.h"
#include "base/write_all.h"
#include "devices/backends/tap_link.h"
#include "devices/switch/switch_link.h"
#include "devices/switch/switch_place.h"
#include "machine/loader.h"
#include "vmm/control_path.h"
#include "vmm/screenshot.h"

namespace armvisor::vmm {
namespace {

using devices::ChardevOptions;
using devices::SocketAddress;
namespace fs = std::filesystem;

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

std::string temporary_folder() {
  const char* const set = std::getenv("TMPDIR");
  return set && *set ? set : "/tmp";
}

class Needs {
 public:
  explicit Needs(const VmConfig& config) : config_(config) {}

  Sandbox::Options collect() && {
    for (const machine::DeviceSpec& spec : config_.devices) std::visit([this](const auto& one) { add(one); }, spec);
    for (const ChardevOptions& chardev : config_.chardevs) add(chardev);
    for (const std::string& path : config_.sandbox.outputs) may_be_fifo(path);
    for (const std::string& path : config_.sandbox.removed) removed(path);
    if (!config_.name.empty())
      if (const auto directory = open_control_directory())
        rule(ThreadKind::Removes, directory->path, FileRights::Remove);
    if (config_.semihosting && config_.semihosting->options.folder)
      rule(ThreadKind::Files, *config_.semihosting->options.folder, FileRights::Change);
    if (config_.jit.perf_map) rule(ThreadKind::Names, "/tmp", FileRights::Change);
    options_.end = config_.sandbox.end;
    return std::move(options_);
  }

 private:
  void rule(ThreadKind who, const std::string& path, FileRights rights) {
    if (!path.empty()) options_.rules.push_back({who, {path, rights}});
  }
  void removed(const std::string& path) {
    if (!path.empty()) rule(ThreadKind::Removes, folder_of(path), FileRights::Remove);
  }
  void removed(const SocketAddress& address) {
    if (address.family == SocketAddress::Family::Unix) removed(address.path);
  }
  /// One that nobody reads when the machine starts is opened later.
  void may_be_fifo(const std::string& path) {
    struct stat st {};
    if (!path.empty() && ::stat(path.c_str(), &st) == 0 && S_ISFIFO(st.st_mode))
      rule(ThreadKind::Names, path, FileRights::Write);
  }
  void errand(std::string name, std::function<Result<Fd>(const std::string&, Fd)> run) {
    if (std::ranges::none_of(options_.errands, [&name](const Errand& one) { return one.name == name; }))
      options_.errands.push_back({std::move(name), std::move(run)});
  }

  void add(const ChardevOptions& chardev) {
    may_be_fifo(chardev.log_file);
    if (chardev.kind == ChardevOptions::Kind::File || chardev.kind == ChardevOptions::Kind::Pipe)
      may_be_fifo(chardev.path);
    if (chardev.kind == ChardevOptions::Kind::Socket && chardev.socket.server) removed(chardev.socket.at);
    removed(chardev.local);
  }
  void add(const machine::ShareSpec& share) {
    const bool devices = share.model == devices::ninep::SecurityModel::Passthrough;
    const FileRights all = devices ? FileRights::ChangeDevices : FileRights::Change;
    rule(ThreadKind::Share, share.path, share.read_only ? FileRights::Read : all);
  }
  void add(const machine::VsockSpec& vsock) {
    removed(vsock.path);
    errand(devices::vsock::errand_name(vsock.path), [path = vsock.path](const std::string& text, Fd) -> Result<Fd> {
      u32 port = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
      if (error != std::errc() || end != text.data() + text.size())
        return Error{ErrorKind::Internal, "vsock: expected a port, found something else"};
      Fd socket = devices::vsock::connect_to_port(path, port);
      if (!socket) return Error{ErrorKind::HostResource, "vsock: nobody listens there"};
      return socket;
    });
  }
  void add(const machine::GpuSpec&) {
    if (config_.monitors.empty()) return;
    errand(k_screenshot_errand, [inputs = machine::input_files(config_.boot)](const std::string& path, Fd picture) {
      return write_screenshot(path, std::move(picture), inputs);
    });
  }
  void add(const machine::NetworkSpec& network) {
    for (const devices::DumpOptions& dump : network.dumps) may_be_fifo(dump.path);
    if (network.tap)
      add(*network.tap);
    else if (network.link)
      add(*network.link);
    else if (!network.unplugged)
      add(network.network);
  }
  void add(const devices::TapOptions& tap) {
    if (tap.down_script.empty()) return;
    options_.errands_speak = true;
    errand(devices::TapLink::down_errand(tap.down_script),
           [script = tap.down_script](const std::string& interface, Fd) -> Result<Fd> {
             const bool is_name = !interface.empty() && interface.size() < 16 && !interface.starts_with('-') &&
                                  interface.find_first_of("/ \t\n\0") == std::string::npos;
             if (!is_name) return Error{ErrorKind::Internal, "tap: expected an interface, found something else"};
             AV_TRY(devices::TapLink::run_down_script(script, interface));
             return Fd();
           });
  }
  void add(const devices::FrameLinkOptions& link) {
    removed(link.local);
    if (link.kind == devices::FrameLinkOptions::Kind::Switch)
      errand(devices::SwitchLink::errand_name(link.switch_name),
             [name = link.switch_name](const std::string&, Fd) -> Result<Fd> {
               AV_TRY_ASSIGN(devices::SwitchPlace place, devices::SwitchPlace::find(name));
               return place.join();
             });
    if (link.kind == devices::FrameLinkOptions::Kind::Vde) {  // libvdeplug's socket is in one of these
      rule(ThreadKind::Removes, link.vde.place, FileRights::Remove);
      rule(ThreadKind::Removes, "/tmp", FileRights::Remove);
    }
  }
  /// libslirp reads the first whenever it has changed, which mostly means that another file has its name.
  void add(const devices::UserNetworkOptions& network) {
    std::error_code error;
    rule(ThreadKind::Names, folder_of(fs::canonical("/etc/resolv.conf", error).string()), FileRights::Read);
    rule(ThreadKind::Names, network.tftp_folder, FileRights::Read);
    if (std::ranges::any_of(network.guest_forwards, &devices::GuestForward::is_line))
      rule(ThreadKind::Passing, temporary_folder(), FileRights::Pass);
  }
  template <class Other>
  void add(const Other&) {}

  const VmConfig& config_;
  Sandbox::Options options_;
};

/// What the machine is to do that no narrowed process can; empty: nothing.
std::string_view obstacle(const VmConfig& config) {
  for (const machine::DeviceSpec& spec : config.devices) {
    const auto* const network = std::get_if<machine::NetworkSpec>(&spec);
    if (!network) continue;
    if (network->is_user() && !std::ranges::all_of(network->network.guest_forwards, &devices::GuestForward::is_line))
      return "guestfwd= starts programs while the machine runs";
    const auto& link = network->link;
    if (link && link->kind == devices::FrameLinkOptions::Kind::Vde &&
        link->vde.place.find("://") != std::string::npos && !link->vde.place.starts_with("vde://"))
      return "the name of the VDE network has a program or a library behind it";
  }
  return {};
}

}  // namespace

Status begin_sandbox(const VmConfig& config) {
  if (config.sandbox.mode == SandboxMode::Off) return {};
  std::string_view why_not = obstacle(config);
  if (why_not.empty() && !Sandbox::k_built_in) why_not = "this build has a sanitizer in it";
  if (why_not.empty() && !Sandbox::available()) why_not = "this host has no lists of system calls (seccomp)";
  if (why_not.empty()) return Sandbox::begin(Needs(config).collect());
  if (config.sandbox.mode == SandboxMode::On)
    return Error{
        ErrorKind::HostResource,
        fmt::format("--sandbox on: expected to narrow the process, found that {}; say --sandbox off", why_not)};
  if (Sandbox::k_built_in) AV_LOG(Warn, "there is no sandbox around the guest: %s", std::string(why_not).c_str());
  return {};
}

}  // namespace armvisor::vmm
