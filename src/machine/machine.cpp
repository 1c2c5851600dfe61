#include "machine/machine.h"

#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/net.h"
#include "devices/virtio/rng.h"
#include "machine/memory_map.h"

namespace armvisor::machine {

Machine::Machine(GuestRam ram, u32 vcpus, const MachineWorld& world)
    : world_(world),
      ram_(std::move(ram)),
      counter_(world.clock),
      gic_(vcpus, [this](u32 vcpu, bool level) { irq_changed(vcpu, level); }) {}

Machine::~Machine() { world_.flash.reset(nullptr); }

Result<std::unique_ptr<Machine>> Machine::create(const BootPlan& plan, const BootConfig& config,
                                                 const EngineFactory& factory, MachineParts parts,
                                                 const MachineWorld& world) {
  AV_TRY_ASSIGN(GuestRam ram, GuestRam::create(k_ram_base, config.ram_size));
  std::unique_ptr<Machine> machine(new Machine(std::move(ram), config.vcpus, world));
  AV_TRY(machine->make_engine(factory, config.vcpus));
  for (u32 i = 0; i < config.vcpus; ++i)
    machine->timers_.push_back(std::make_unique<Timers>(machine->counter_, world.timers, machine->gic_, i));
  AV_TRY(machine->add_board_devices());
  AV_TRY(machine->add_virtio(std::move(parts)));
  AV_TRY(machine->start(plan, config.vcpus));
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

// --- the board: one line per device

Status Machine::add_board_devices() {
  uart_ = std::make_unique<devices::Pl011>(gic_.spi(k_uart_spi), [this](std::span<const u8> bytes) {
    world_.host.console_output(ConsolePort::Uart, bytes);
  });
  uart_->set_space_callback([this] { world_.host.console_room(ConsolePort::Uart); });
  rtc_ = std::make_unique<devices::Pl031>(gic_.spi(k_rtc_spi), world_.clock, world_.timers);
  AV_TRY(bus_.add(k_flash0_base, k_flash_size, world_.flash.bank(0)));
  AV_TRY(bus_.add(k_flash1_base, k_flash_size, world_.flash.bank(1)));
  AV_TRY(bus_.add(k_gic_dist_base, k_gic_dist_size, gic_distributor_));
  AV_TRY(bus_.add(k_gic_cpu_base, k_gic_cpu_size, gic_cpu_));
  AV_TRY(bus_.add(k_uart_base, k_uart_size, *uart_));
  return bus_.add(k_rtc_base, k_rtc_size, *rtc_);
}

Status Machine::add_virtio(MachineParts parts) {
  for (auto& disk : parts.disks) {
    AV_TRY_ASSIGN(auto device,
                  devices::virtio::Block::create(std::move(disk), {.serial = {}, .in_place = parts.io.in_place}));
    AV_TRY(add_transport(std::move(device)));
  }
  for (auto& network : parts.networks) {
    AV_TRY_ASSIGN(auto device, devices::virtio::Net::create(std::move(network.backend), network.mac, parts.io));
    AV_TRY(add_transport(std::move(device)));
  }
  AV_TRY(add_transport(std::make_unique<devices::virtio::Rng>()));
  if (parts.virtio_console) AV_TRY(add_virtio_console());
  return add_empty_slots();
}

Status Machine::add_virtio_console() {
  auto console = std::make_unique<devices::virtio::Console>(
      [this](std::span<const u8> bytes) { world_.host.console_output(ConsolePort::Virtio, bytes); });
  console->on_room([this] { world_.host.console_room(ConsolePort::Virtio); });
  virtio_console_ = console.get();
  return add_transport(std::move(console));
}

Status Machine::add_transport(std::unique_ptr<devices::virtio::Device> device) {
  const auto slot = static_cast<u32>(transports_.size());
  if (slot == k_virtio_count)
    return Error{ErrorKind::BadArguments, "virtio devices: expected at most " + std::to_string(k_virtio_count - 1) +
                                              " disks, networks and consoles together, found more; leave some out"};
  std::string label = std::string(device->name()) + " in slot " + std::to_string(slot);
  transports_.push_back(std::make_unique<devices::virtio::MmioTransport>(
      std::move(device), ram_, gic_.spi(k_virtio_spi + slot), devices::virtio::MmioVersion::Modern, std::move(label)));
  return bus_.add(k_virtio_base + slot * k_virtio_size, k_virtio_size, *transports_.back());
}

Status Machine::add_empty_slots() {
  const u64 first = transports_.size();
  if (first == k_virtio_count) return {};
  return bus_.add(k_virtio_base + first * k_virtio_size, (k_virtio_count - first) * k_virtio_size, empty_slots_);
}

Status Machine::start(const BootPlan& plan, u32 vcpus) {
  if (!apply(plan, ram_)) return Error{ErrorKind::Internal, "an image was planned to lie outside RAM"};
  for (u32 i = 0; i < vcpus; ++i) {
    arm::CpuState s = arm::reset_state(i, vcpus);
    if (i == 0) start_state(plan, s);
    engine_->vcpu(i).state() = s;
    engine_->vcpu(i).state_changed();
  }
  return {};
}

// --- wires

void Machine::irq_changed(u32 vcpu, bool level) {
  engine_->vcpu(vcpu).set_line(engine::k_line_irq, level);
  if (level) world_.host.vcpu_input(vcpu);
}

bool Machine::hypercall(arm::CpuState& s, u32 vcpu, bool, u32) {
  if (!hypercalls::call(s, vcpu, engine_->vcpu(vcpu), world_.host)) psci_call(s, vcpu, world_.host);
  return true;
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
