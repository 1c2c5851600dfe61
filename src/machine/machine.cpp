#include "machine/machine.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "devices/backends/link_network.h"
#include "devices/backends/network_options.h"
#include "devices/backends/no_network.h"
#include "devices/backends/slirp_network.h"
#include "devices/ethernet/e1000.h"
#include "devices/i6300esb.h"
#include "devices/pci/ivshmem.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/net.h"
#include "devices/virtio/ninep.h"
#include "devices/virtio/rng.h"
#include "devices/virtio/vhost_user.h"
#include "devices/virtio/vsock.h"
#include "machine/semihosting/semihosting.h"

namespace armvisor::machine {
namespace {

/// What a guest has of its RAM that says that it has given pages; it may say anything.
u64 left_of(u64 ram, u32 pages) { return ram - std::min(ram, u64{pages} << k_page_bits); }

/// Those of devices that were given none: one after the other.
std::vector<Seat> seats_of(const MachineOptions& options) {
  if (!options.seats.empty()) return options.seats;
  std::vector<Seat> seats(options.devices.size());
  for (u32 n = 0; n < seats.size(); ++n) seats[n].slot = n;
  return seats;
}

/// Seats are made up by the program itself, so a device in the place of another is its mistake.
Status check_places(const Board& board, const std::vector<Seat>& seats) {
  using devices::pci::HostBridge;
  std::set<std::tuple<Seat::Bus, u32, u32>> taken;
  for (const Seat& seat : seats) {
    const bool pci = seat.bus == Seat::Bus::Pci;
    const Placement* const slots = board.find(pci ? DeviceKind::PciHost : DeviceKind::VirtioMmio);
    const u32 count = !slots ? 0 : pci ? HostBridge::k_slots : slots->count;
    const bool has_place = seat.slot < count && (pci ? seat.slot > 0 && seat.function < HostBridge::k_functions : true);
    if (!has_place || !taken.insert({seat.bus, seat.slot, pci ? seat.function : 0}).second)
      return Error{ErrorKind::Internal, "virtio devices were given slots that they cannot have"};
  }
  return {};
}

/// Before anything is opened.
Status check_seats(const Board& board, const MachineOptions& options) {
  const Placement* const slots = board.find(DeviceKind::VirtioMmio);
  const std::size_t most = slots ? slots->count : 0, devices = options.devices.size();
  if (options.seats.empty() && devices > most)
    return Error{ErrorKind::BadArguments,
                 fmt::format("virtio devices: expected at most {} disks, networks, shares, consoles, "
                             "vsocks and entropy sources together, found {}; leave some out",
                             most, devices)};
  if (!options.seats.empty() && options.seats.size() != devices)
    return Error{ErrorKind::Internal, "virtio devices and their slots differ in number"};
  return check_places(board, seats_of(options));
}

}  // namespace

Machine::Machine(GuestRam ram, u32 vcpus, const BootPlan& plan, MachineOptions options, const MachineWorld& world)
    : options_(std::move(options)),
      world_(world),
      ram_(std::move(ram)),
      counter_(world.clock),
      gic_(vcpus, [this](u32 vcpu, bool level) { irq_changed(vcpu, level); }),
      items_(plan.items) {}

Machine::~Machine() { world_.flash.reset(nullptr); }

Result<std::unique_ptr<Machine>> Machine::create(const BootPlan& plan, const BootConfig& config, MachineOptions options,
                                                 const EngineFactory& factory, const MachineWorld& world) {
  AV_TRY(check_seats(*config.board, options));
  AV_TRY_ASSIGN(GuestRam ram, GuestRam::create(config.board->ram.base, config.ram_size));
  std::unique_ptr<Machine> machine(new Machine(std::move(ram), config.vcpus, plan, std::move(options), world));
  AV_TRY(machine->make_engine(factory, config.vcpus));
  AV_TRY(machine->make_devices());
  for (const Placement& placement : config.board->devices) AV_TRY(machine->make(placement));
  AV_TRY(machine->start(plan, config));
  return machine;
}

Status Machine::make_engine(const EngineFactory& factory, u32 vcpus) {
  engine::EngineConfig config;
  config.vcpus = vcpus;
  config.ram = &ram_;
  config.port = this;
  AV_TRY_ASSIGN(engine_, factory(config));
  world_.flash.reset([this](GuestPa base, u64 size) { engine_->rom_changed(base, size); });
  return {};
}

// --- the board's devices

Status Machine::make(const Placement& placement) {
  switch (placement.kind) {
#define DEVICE(kind, type, regions, interrupts, make) \
  case DeviceKind::kind:                              \
    return make(placement);
#include "machine/devices.inc"
#undef DEVICE
  }
  return {};
}

/// A device for each region.
Status Machine::map(const Placement& placement, std::initializer_list<devices::MmioDevice*> devices) {
  const auto regions = placement.first.used();
  if (regions.size() != devices.size()) return Error{ErrorKind::Internal, "a board gives a device too few regions"};
  for (std::size_t n = 0; n < regions.size(); ++n) AV_TRY(bus_.add(regions[n], *devices.begin()[n]));
  return {};
}

Status Machine::add_gic(const Placement& placement) {
  if (!placement.first.spi) return map(placement, {&gic_distributor_, &gic_cpu_});
  messages_ = std::make_unique<devices::GicV2m>(gic_, *placement.first.spi);
  message_address_ = placement.first.regions[2].base + devices::GicV2m::k_message_offset;
  return map(placement, {&gic_distributor_, &gic_cpu_, messages_.get()});
}

Status Machine::add_timers(const Placement&) {
  for (u32 i = 0; i < engine_->vcpu_count(); ++i)
    timers_.push_back(std::make_unique<Timers>(counter_, world_.timers, gic_, i));
  return {};
}

Status Machine::add_uart(const Placement& placement, devices::Chardev* line, std::unique_ptr<devices::Pl011>& uart) {
  uart = std::make_unique<devices::Pl011>(gic_.spi(*placement.first.spi), line);
  return map(placement, {uart.get()});
}

Status Machine::add_rtc(const Placement& placement) {
  rtc_ = std::make_unique<devices::Pl031>(gic_.spi(*placement.first.spi), world_.clock, world_.timers);
  return map(placement, {rtc_.get()});
}

Status Machine::add_gpio(const Placement& placement) {
  gpio_ = std::make_unique<devices::Pl061>(gic_.spi(*placement.first.spi));
  return map(placement, {gpio_.get()});
}

Status Machine::add_power_key(const Placement&) {
  if (!gpio_) return Error{ErrorKind::Internal, "a board has a key and no GPIO controller before it"};
  power_key_ = std::make_unique<devices::PowerKey>(*gpio_, world_.clock, world_.timers);
  return {};
}

Status Machine::add_flash(const Placement& placement) {
  const auto regions = placement.first.used();
  for (std::size_t n = 0; n < regions.size(); ++n) AV_TRY(bus_.add(regions[n], world_.flash.bank(n)));
  return {};
}

Status Machine::add_fw_cfg(const Placement& placement) {
  fw_cfg_ = std::make_unique<devices::FwCfg>(items_, ram_);
  return map(placement, {fw_cfg_.get()});
}

// --- virtio: what was asked for in its slots, nothing in the others

/// In the order in which they were asked for, whatever they are on: disks and addresses of cards are counted.
Status Machine::make_devices() {
  for (const DeviceSpec& spec : options_.devices) {
    AV_TRY_ASSIGN(auto device, std::visit([this](const auto& s) { return make_device(s); }, spec));
    devices_.push_back(std::move(device));
  }
  return {};
}

Status Machine::add_virtio(const Placement& slots) {
  std::vector<bool> filled(slots.count);
  const std::vector<Seat> seats = seats_of(options_);
  for (std::size_t i = 0; i < seats.size(); ++i) {
    if (seats[i].bus != Seat::Bus::Mmio) continue;
    if (!devices_[i].device) return Error{ErrorKind::Internal, "a device of PCI was given a slot of virtio-mmio"};
    AV_TRY(add_transport(slots, seats[i].slot, std::move(devices_[i].device)));
    filled[seats[i].slot] = true;
  }
  for (u32 slot = 0; slot < slots.count; ++slot)
    if (!filled[slot]) AV_TRY(bus_.add(slots.site(slot).regions[0], empty_slots_));
  return {};
}

/// Regions of a PCI host bridge: configuration, memory, I/O ports, perhaps memory at 64-bit addresses.
Status Machine::add_pci(const Placement& placement) {
  const auto& [config, memory, ports, high] = placement.first.regions;
  const u32 spi = *placement.first.spi;
  pci_ = std::make_unique<devices::pci::HostBridge>(devices::pci::HostBridge::Wiring{
      .memory = memory,
      .ports = ports,
      .high = high,
      .lines = {&gic_.spi(spi), &gic_.spi(spi + 1), &gic_.spi(spi + 2), &gic_.spi(spi + 3)},
      .add_region = [this](u64 size, devices::MmioDevice& device) -> devices::MovableRegion& {
        return bus_.add_movable(size, device);
      }});
  pci_config_ = config.base;
  AV_TRY(bus_.add(config, *pci_));
  AV_TRY(bus_.add_window(memory, pci_memory_));
  AV_TRY(bus_.add_window(ports, pci_ports_));
  if (high.size) AV_TRY(bus_.add_window(high, pci_high_));
  const std::vector<Seat> seats = seats_of(options_);
  for (std::size_t i = 0; i < seats.size(); ++i)
    if (seats[i].bus == Seat::Bus::Pci) AV_TRY(add_function(seats[i], std::move(devices_[i])));
  return {};
}

Machine::MadeDevice Machine::make_device(const DiskSpec& spec) {
  if (disks_ == world_.disks.size()) return Error{ErrorKind::Internal, "a machine was given too few disks"};
  AV_TRY_ASSIGN(auto device, devices::virtio::Block::create(world_.disks[disks_++],
                                                            {.serial = spec.serial,
                                                             .in_place = options_.io.in_place,
                                                             .write_through = devices::writes_through(spec.cache),
                                                             .unmap = spec.unmap}));
  return MadeDevice(std::move(device));
}

Machine::MadeDevice Machine::make_device(const ScsiSpec& spec) {
  std::vector<devices::virtio::Scsi::Place> places;
  for (const ScsiSpec::Unit& unit : spec.units) {
    if (disks_ == world_.disks.size()) return Error{ErrorKind::Internal, "a machine was given too few disks"};
    const devices::scsi::UnitOptions options{.cd_rom = unit.cd_rom,
                                             .serial = unit.disk.serial,
                                             .name = unit.name,
                                             .write_through = devices::writes_through(unit.disk.cache),
                                             .unmap = unit.disk.unmap};
    places.push_back({unit.address, std::make_unique<devices::scsi::Unit>(world_.disks[disks_++], options)});
  }
  AV_TRY_ASSIGN(auto device, devices::virtio::Scsi::create(std::move(places)));
  return MadeDevice(std::move(device));
}

Machine::MadeDevice Machine::make_device(const NetworkSpec& spec) {
  std::unique_ptr<devices::NetworkBackend> network = std::make_unique<devices::NoNetwork>();
  devices::IoOptions io = options_.io;
  user_networks_.push_back(nullptr);
  if (spec.tap || spec.link) {
    if (links_ == world_.links.size()) return Error{ErrorKind::Internal, "a machine was given too few links"};
    AV_TRY_ASSIGN(network, devices::LinkNetwork::create(world_.links[links_++]));
    io.large_send = false;  // who is at the other end may know no larger frames
  } else if (!spec.unplugged) {
    const auto lines = std::ranges::count_if(spec.network.guest_forwards, &devices::GuestForward::is_line);
    if (static_cast<std::size_t>(lines) > world_.lines.forwards.size() - forwards_)
      return Error{ErrorKind::Internal, "a machine was given too few lines"};
    AV_TRY_ASSIGN(auto user, devices::SlirpNetwork::create(spec.network,
                                                           std::span(world_.lines.forwards).subspan(forwards_, lines)));
    forwards_ += static_cast<u32>(lines);
    user_networks_.back() = user.get();
    network = std::move(user);
  }
  if (!spec.dumps.empty()) {
    if (world_.dumps.size() - dumps_ < spec.dumps.size())
      return Error{ErrorKind::Internal, "a machine was given too few dumps"};
    const auto own = world_.dumps.subspan(dumps_, spec.dumps.size());
    dumps_ += static_cast<u32>(own.size());
    network = std::make_unique<devices::DumpedNetwork>(
        std::move(network), std::vector<std::shared_ptr<devices::PacketDump>>(own.begin(), own.end()));
  }
  const auto mac = spec.network.mac.value_or(devices::default_mac(networks_++));
  if (spec.card == NetworkSpec::Card::E1000) return MadeDevice(Card{std::move(network), mac});
  AV_TRY_ASSIGN(auto device, devices::virtio::Net::create(std::move(network), mac, io));
  return MadeDevice(std::move(device));
}

Machine::MadeDevice Machine::make_device(const EntropySpec&) {
  return MadeDevice(std::make_unique<devices::virtio::Rng>());
}

Machine::MadeDevice Machine::make_device(const ConsoleSpec& spec) {
  std::vector<devices::virtio::ConsolePort> ports;
  for (const PortSpec& port : spec.ports) {
    devices::Chardev* const line = ports_ < world_.lines.ports.size() ? world_.lines.ports[ports_] : nullptr;
    ports.push_back({.line = line, .console = port.console, .name = port.name, .number = port.number});
    ++ports_;
  }
  if (spec.multiport) return MadeDevice(std::make_unique<devices::virtio::Console>(std::move(ports)));
  return MadeDevice(std::make_unique<devices::virtio::Console>(ports.empty() ? nullptr : ports[0].line));
}

Machine::MadeDevice Machine::make_device(const ShareSpec&) {
  if (shares_ == world_.shares.size()) return Error{ErrorKind::Internal, "a machine was given too few shares"};
  AV_TRY_ASSIGN(auto device, devices::virtio::NineP::create(world_.shares[shares_++]));
  return MadeDevice(std::move(device));
}

/// QEMU has one at most.
Machine::MadeDevice Machine::make_device(const BalloonSpec& spec) {
  if (balloon_) return Error{ErrorKind::Internal, "a machine was given two balloons"};
  auto device = std::make_unique<devices::virtio::Balloon>(
      spec, [this](u32 pages) { world_.host.balloon_changed(left_of(ram_.size(), pages)); });
  balloon_ = device.get();
  return MadeDevice(std::move(device));
}

std::optional<u64> Machine::balloon() const {
  return balloon_ ? std::optional(left_of(ram_.size(), balloon_->given())) : std::nullopt;
}

void Machine::set_balloon(u64 bytes) {
  if (balloon_) balloon_->ask_for(balloon_pages(ram_.size(), bytes));
}

Machine::MadeDevice Machine::make_device(const EduSpec& spec) {
  return MadeDevice(MakeFunction([this, mask = spec.dma_mask](const devices::pci::Wires& wires) {
    return std::make_unique<devices::pci::Edu>(ram_, wires, mask);
  }));
}

Machine::MadeDevice Machine::make_device(const SharedMemorySpec&) {
  if (memories_ == world_.memories.size()) return Error{ErrorKind::Internal, "a machine was given too little memory"};
  return MadeDevice(MakeFunction([memory = world_.memories[memories_++]](const devices::pci::Wires& wires) {
    return std::make_unique<devices::pci::Ivshmem>(memory, wires);
  }));
}

Machine::MadeDevice Machine::make_device(const GpuSpec& spec) {
  AV_TRY_ASSIGN(auto device, devices::virtio::Gpu::create(spec));
  if (!gpu_) gpu_ = device.get();
  return MadeDevice(std::move(device));
}

std::optional<devices::virtio::Picture> Machine::picture() const {
  return gpu_ ? std::optional(gpu_->picture()) : std::nullopt;
}

Machine::MadeDevice Machine::make_device(const VsockSpec&) {
  if (vsocks_ == world_.vsocks.size()) return Error{ErrorKind::Internal, "a machine was given too few vsocks"};
  AV_TRY_ASSIGN(auto device, devices::virtio::Vsock::create(world_.vsocks[vsocks_++]));
  return MadeDevice(std::move(device));
}

Machine::MadeDevice Machine::make_device(const VhostUserSpec&) {
  if (backends_ == world_.backends.size())
    return Error{ErrorKind::Internal, "a machine was given too few programs for its devices"};
  AV_TRY_ASSIGN(auto device, devices::virtio::VhostUser::create(world_.backends[backends_++]));
  return MadeDevice(std::move(device));
}

Status Machine::add_transport(const Placement& slots, u32 slot, std::unique_ptr<devices::virtio::Device> device) {
  using devices::virtio::MmioVersion;
  const devices::Site site = slots.site(slot);
  std::string label = fmt::format("{} in slot {}", device->name(), slot);
  transports_.push_back(std::make_unique<devices::virtio::MmioTransport>(
      std::move(device), ram_, gic_.spi(*site.spi), options_.legacy_virtio ? MmioVersion::Legacy : MmioVersion::Modern,
      std::move(label)));
  return bus_.add(site.regions[0], *transports_.back());
}

Status Machine::add_function(const Seat& seat, Made made) {
  const devices::pci::Wires wires{pci_->intx(seat.slot, seat.function), *this};
  std::unique_ptr<devices::pci::Function> function;
  if (made.device) {
    std::string label = fmt::format("{} in PCI slot {}", made.device->name(), seat.slot);
    function = std::make_unique<devices::virtio::PciTransport>(std::move(made.device), ram_, wires, seat.form,
                                                               std::move(label));
  } else if (made.watchdog) {
    function = std::make_unique<devices::I6300esb>(wires.intx, world_.clock, world_.timers,
                                                   [this] { world_.host.watchdog_expired(); });
  } else if (made.pvpanic) {
    function = std::make_unique<devices::Pvpanic>(
        wires.intx, made.pvpanic->events, [this](devices::GuestEvent event) { world_.host.guest_event(event); });
  } else if (made.function) {
    function = made.function(wires);
  } else {
    AV_TRY_ASSIGN(function,
                  devices::e1000::Controller::create(std::move(made.card.network), made.card.mac, ram_, wires.intx));
  }
  if (seat.multifunction) function->config().set(devices::pci::HeaderType, 1, devices::pci::k_multifunction);
  pci_->plug(seat.slot, seat.function, *function);
  functions_.push_back(std::move(function));
  return {};
}

Status Machine::start(const BootPlan& plan, const BootConfig& config) {
  if (!apply(plan, ram_)) return Error{ErrorKind::Internal, "an image was planned to lie outside RAM"};
  if (world_.semihosting) world_.semihosting->restart(plan, ram_);
  for (u32 i = 0; i < config.vcpus; ++i) {
    arm::CpuState s = arm::reset_state(i, config.vcpus, config.cpu.value_or(arm::CpuModel::CortexA15));
    if (i == 0) start_state(plan, s);
    engine_->vcpu(i).state() = s;
    engine_->vcpu(i).state_changed();
  }
  return {};
}

// --- wires

/// A device's write to the GIC's frame is an interrupt. To RAM it is a write; elsewhere it goes nowhere.
void Machine::message(GuestPa address, u32 data) {
  if (messages_ && address == message_address_) return messages_->message(data);
  (void)ram_.write(address, {reinterpret_cast<const u8*>(&data), sizeof data});
}

void Machine::irq_changed(u32 vcpu, bool level) {
  engine_->vcpu(vcpu).set_line(engine::k_line_irq, level);
  if (level) world_.host.vcpu_input(vcpu);
}

bool Machine::hypercall(arm::CpuState& s, u32 vcpu, bool, u32) {
  if (!hypercalls::call(s, vcpu, engine_->vcpu(vcpu), world_.host)) psci_call(s, vcpu, world_.host);
  return true;
}

bool Machine::semihosting(arm::CpuState& s, u32 vcpu, engine::CallMemory& memory) {
  return world_.semihosting->call(s, vcpu, memory);
}

measure::Snapshot Machine::stats() const {
  measure::Snapshot out = engine_->stats();
  out.devices = bus_.stats();
  return out;
}

void Machine::timer_changed(u32 vcpu, const arm::CpuState& s, bool virtual_timer) {
  if (virtual_timer)
    timers_[vcpu]->virtual_.changed(s.cp15.cntv_ctl, s.cp15.cntv_cval);
  else
    timers_[vcpu]->physical.changed(s.cp15.cntp_ctl, s.cp15.cntp_cval);
}

void Machine::send_event() {
  for (u32 i = 0; i < engine_->vcpu_count(); ++i) engine_->vcpu(i).set_event();
  world_.host.send_event();
}

}  // namespace armvisor::machine
