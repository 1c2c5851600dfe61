#include "vmm/host_resources.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "devices/backends/tap_link.h"
#include "devices/ninep/shared_folder.h"
#include "devices/vhost_user/backend.h"

namespace armvisor::vmm {

Status HostResources::open_files() {
  AV_TRY_ASSIGN(flash_, machine::FlashBanks::create(*config_.boot.board, config_.boot.firmware, config_.boot.flash,
                                                    config_.boot.first_blank_bank()));
  return open_dumps();
}

Status HostResources::open_rest(const StopEvent& stop, std::function<void()> quit, machine::SemihostingHost& host) {
  AV_TRY(open_chardevs(stop, std::move(quit)));
  AV_TRY(open_semihosting(host));
  AV_TRY(open_disks(stop));
  AV_TRY(open_links(stop));
  AV_TRY(open_shares());
  AV_TRY(open_memories());
  AV_TRY(open_vsocks());
  AV_TRY(open_backends(stop));
  for (const auto& dump : dumps_) AV_TRY(dump->start());
  return {};
}

Status HostResources::open_dumps() {
  const std::vector<std::string> inputs = machine::input_files(config_.boot);
  for (const machine::DeviceSpec& spec : config_.devices) {
    const auto* const network = std::get_if<machine::NetworkSpec>(&spec);
    if (!network) continue;
    for (const devices::DumpOptions& options : network->dumps) {
      AV_TRY_ASSIGN(auto dump, devices::PacketDump::open(options, inputs));
      const std::lock_guard guard(mutex_);
      dumps_.push_back(std::move(dump));
    }
  }
  return {};
}

Status HostResources::open_chardevs(const StopEvent& stop, std::function<void()> quit) {
  AV_TRY_ASSIGN(auto opened, devices::Chardevs::open(
                                 config_.chardevs,
                                 {.inputs = machine::input_files(config_.boot), .quit = std::move(quit)}, stop.fd()));
  {
    const std::lock_guard guard(mutex_);
    chardevs_ = std::move(opened);
    if (given_up_) chardevs_->give_up();
  }
  return use_chardevs();
}

/// Of several users of one chardev the last has the focus: the serial line, also before semihosting's console, as with
/// QEMU, unless a virtio port shares it.
Status HostResources::use_chardevs() {
  for (const MonitorSpec& spec : config_.monitors) {
    AV_TRY_ASSIGN(devices::Chardev* const line, chardevs_->use(spec.chardev));
    monitor_lines_.push_back(line);
  }
  AV_TRY_ASSIGN(gdb_line_, chardevs_->use(config_.gdb));
  if (config_.semihosting) {
    AV_TRY_ASSIGN(semihosting_line_, chardevs_->use(config_.semihosting->console));
  }
  AV_TRY_ASSIGN(lines_.uart, chardevs_->use(config_.console));
  AV_TRY_ASSIGN(lines_.second_uart, chardevs_->use(config_.second_console));
  for (const machine::DeviceSpec& spec : config_.devices) {
    if (const auto* const card = std::get_if<machine::NetworkSpec>(&spec); card && card->is_user())
      for (const devices::GuestForward& forward : card->network.guest_forwards) {
        if (!forward.is_line()) continue;
        AV_TRY_ASSIGN(devices::Chardev* const line, chardevs_->use(forward.line));
        lines_.forwards.push_back(line);
      }
    const auto* const console = std::get_if<machine::ConsoleSpec>(&spec);
    if (!console) continue;
    for (const machine::PortSpec& port : console->ports) {
      AV_TRY_ASSIGN(devices::Chardev* const line, chardevs_->use(port.chardev));
      lines_.ports.push_back(line);
    }
  }
  return {};
}

Status HostResources::open_semihosting(machine::SemihostingHost& host) {
  if (!config_.semihosting) return {};
  const bool stdin_taken = std::ranges::any_of(
      config_.chardevs, [](const auto& c) { return c.kind == devices::ChardevOptions::Kind::Stdio; });
  AV_TRY_ASSIGN(auto opened,
                machine::Semihosting::create(config_.semihosting->options,
                                             {.line = semihosting_line_, .read_stdin = !stdin_taken}, host));
  const std::lock_guard guard(mutex_);
  semihosting_ = std::move(opened);
  if (given_up_) semihosting_->console().give_up();
  return {};
}

Status HostResources::open_disks(const StopEvent& stop) {
  return machine::for_each_disk(config_.devices, [&](const machine::DiskSpec& disk) -> Status {
    AV_TRY_ASSIGN(auto opened, devices::open_disk(disk, &stop));
    const std::lock_guard guard(mutex_);
    disks_.push_back(std::move(opened));
    return {};
  });
}

Status HostResources::open_links(const StopEvent& stop) {
  for (const machine::DeviceSpec& spec : config_.devices) {
    const auto* const network = std::get_if<machine::NetworkSpec>(&spec);
    if (!network) continue;
    if (network->tap) {
      AV_TRY_ASSIGN(auto tap, devices::TapLink::open(*network->tap, &stop));
      links_.push_back(std::move(tap));
    } else if (network->link) {
      AV_TRY_ASSIGN(auto link, devices::FrameLink::open(*network->link, &stop));
      links_.push_back(std::move(link));
    }
  }
  return {};
}

Status HostResources::open_memories() {
  for (const machine::DeviceSpec& spec : config_.devices) {
    const auto* const memory = std::get_if<machine::SharedMemorySpec>(&spec);
    if (!memory) continue;
    AV_TRY_ASSIGN(auto opened, devices::SharedMemory::open(*memory));
    memories_.push_back(std::move(opened));
  }
  return {};
}

Status HostResources::open_vsocks() {
  for (const machine::DeviceSpec& spec : config_.devices) {
    const auto* const vsock = std::get_if<machine::VsockSpec>(&spec);
    if (!vsock) continue;
    AV_TRY_ASSIGN(auto socket, devices::vsock::HostSocket::create(*vsock));
    vsocks_.push_back(std::move(socket));
  }
  return {};
}

Status HostResources::open_backends(const StopEvent& stop) {
  for (const machine::DeviceSpec& spec : config_.devices) {
    const auto* const device = std::get_if<machine::VhostUserSpec>(&spec);
    if (!device) continue;
    AV_TRY_ASSIGN(auto backend, devices::vhost_user::Backend::create(*device, &stop));
    const std::lock_guard guard(mutex_);
    backends_.push_back(std::move(backend));
  }
  return {};
}

Status HostResources::open_shares() {
  const auto shares = std::ranges::count_if(
      config_.devices, [](const auto& spec) { return std::holds_alternative<machine::ShareSpec>(spec); });
  if (shares == 0) return {};
  const auto limits = devices::ninep::ShareLimits::of_process(static_cast<std::size_t>(shares));
  for (const machine::DeviceSpec& spec : config_.devices) {
    const auto* const share = std::get_if<machine::ShareSpec>(&spec);
    if (!share) continue;
    AV_TRY_ASSIGN(auto folder, devices::ninep::SharedFolder::create(*share, limits));
    shares_.push_back(std::move(folder));
  }
  return {};
}

machine::MachineWorld HostResources::world(devices::Clock& clock, devices::TimerQueue& timers,
                                           machine::MachineHost& host) {
  return {clock,   timers,    *flash_, host,     disks_, links_, dumps_, lines_, semihosting_.get(),
          shares_, memories_, vsocks_, backends_};
}

devices::Chardevs* HostResources::chardevs() {
  const std::lock_guard guard(mutex_);
  return chardevs_.get();
}

/// null: it is not open yet, or there is none.
machine::Semihosting* HostResources::semihosting() {
  const std::lock_guard guard(mutex_);
  return semihosting_.get();
}

u64 HostResources::disk_size(std::size_t disk) {
  const std::lock_guard guard(mutex_);
  return disk < disks_.size() ? disks_[disk]->size() : 0;
}

void HostResources::hurry(bool begin) {
  if (chardevs_) chardevs_->hurry(begin);
  if (semihosting_) semihosting_->hurry(begin);
}

void HostResources::give_up() {
  {
    const std::lock_guard guard(mutex_);
    given_up_ = true;  // what is opened from here on sees it
  }
  if (auto* const all = chardevs()) all->give_up();
  if (auto* const calls = semihosting()) calls->console().give_up();
  const std::lock_guard guard(mutex_);
  for (const auto& dump : dumps_) dump->give_up();
}

void HostResources::machine_ends() {
  const std::lock_guard guard(mutex_);
  for (const auto& disk : disks_) disk->machine_ends();
  for (const auto& backend : backends_) backend->machine_ends();
}

void HostResources::finish_output(bool wait) {
  if (semihosting_) semihosting_->console().finish(wait);
}

void HostResources::drain() {
  if (chardevs_) chardevs_->drain();
  if (semihosting_) semihosting_->console().drain();
  for (const auto& dump : dumps_) dump->drain();
}

void HostResources::stop_chardevs() {
  if (chardevs_) chardevs_->stop();
}

}  // namespace armvisor::vmm
