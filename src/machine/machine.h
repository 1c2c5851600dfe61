#pragma once
// A machine: RAM, devices and an engine, wired as the board says. It owns them all; threads and the program's life are
// the owner's business.
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "devices/arch_timer.h"
#include "devices/backends/disk.h"
#include "devices/backends/network.h"
#include "devices/fw_cfg.h"
#include "devices/gic.h"
#include "devices/gic_v2m.h"
#include "devices/inspection.h"
#include "devices/io_options.h"
#include "devices/pci/host_bridge.h"
#include "devices/pl011.h"
#include "devices/pl031.h"
#include "devices/power_key.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/console.h"
#include "devices/virtio/mmio.h"
#include "engine/engine.h"
#include "machine/adapters.h"
#include "machine/board.h"
#include "machine/bus.h"
#include "machine/device_spec.h"
#include "machine/flash_banks.h"
#include "machine/hypercalls.h"
#include "machine/loader.h"
#include "machine/psci.h"
#include "memory/guest_ram.h"

namespace armvisor::devices {
class SlirpNetwork;
namespace ninep {
class SharedFolder;
}
namespace vhost_user {
class Backend;
}
namespace vsock {
class HostSocket;
}
}  // namespace armvisor::devices

namespace armvisor::machine {

class Semihosting;

/// What the machine asks of its owner.
class MachineHost : public PowerControl, public HypercallHost {
 public:
  virtual void vcpu_input(u32 index) = 0;       ///< (any thread) an interrupt input of a vCPU went high: wake it
  virtual void send_event() = 0;                ///< (any thread) SEV: wake those that wait for an event
  virtual void balloon_changed(u64 bytes) = 0;  ///< likewise: how much RAM the guest has left itself
  virtual void watchdog_expired() = 0;          ///< on the event loop's thread; must not wait for vCPUs
  virtual void guest_event(devices::GuestEvent event) = 0;  ///< on a vCPU's thread; must not wait for vCPUs

 protected:
  ~MachineHost() = default;
};

/// What a machine is to have beside its board's own devices.
struct MachineOptions {
  std::vector<DeviceSpec> devices;
  std::vector<Seat> seats{};   ///< of the devices, each its own; empty: slots 0, 1, 2... of virtio-mmio
  bool legacy_virtio = false;  ///< transports of virtio-mmio have the registers of virtio 1.2 section 4.2.4
  devices::IoOptions io{};
};

/// The host's ends of the machine's lines; null: nobody is there.
struct MachineLines {
  devices::Chardev* uart = nullptr;
  devices::Chardev* second_uart = nullptr;
  std::vector<devices::Chardev*> ports{};     ///< of all ConsoleSpecs, in their order
  std::vector<devices::Chardev*> forwards{};  ///< of all NetworkSpecs' guest_forwards without a command, in their order
};

/// What it borrows.
struct MachineWorld {
  devices::Clock& clock;
  devices::TimerQueue& timers;
  FlashBanks& flash;
  MachineHost& host;
  std::span<const std::shared_ptr<devices::DiskBackend>> disks = {};  ///< a disk for each, as for_each_disk has them
  /// A link for each NetworkSpec that has one, or a tap interface, in their order.
  std::span<const std::shared_ptr<devices::FrameLink>> links = {};
  std::span<const std::shared_ptr<devices::PacketDump>> dumps = {};  ///< likewise, for each of NetworkSpec::dumps
  MachineLines lines = {};
  Semihosting* semihosting = nullptr;                                          ///< null: there is none
  std::span<const std::shared_ptr<devices::ninep::SharedFolder>> shares = {};  ///< for each ShareSpec, in their order
  std::span<const std::shared_ptr<devices::SharedMemory>> memories = {};       ///< likewise, for each SharedMemorySpec
  std::span<const std::shared_ptr<devices::vsock::HostSocket>> vsocks = {};    ///< for each VsockSpec, likewise
  std::span<const std::shared_ptr<devices::vhost_user::Backend>> backends = {};  ///< for each VhostUserSpec, likewise
};

class Machine final : private engine::MachinePort, private devices::pci::MessageSink {
 public:
  using EngineFactory = std::function<Result<std::unique_ptr<engine::Engine>>(const engine::EngineConfig&)>;

  /// The plan applied: vCPU 0 is ready to run, the others are in reset.
  static Result<std::unique_ptr<Machine>> create(const BootPlan& plan, const BootConfig& config, MachineOptions options,
                                                 const EngineFactory& factory, const MachineWorld& world);
  ~Machine();

  engine::Engine& engine() { return *engine_; }
  GuestRam& ram() { return ram_; }
  Bus& bus() { return bus_; }
  /// (any thread) What was counted since the machine was made, but for Snapshot::ns.
  measure::Snapshot stats() const;
  /// The user network of the NetworkSpec at that place among all of them; null: it has none.
  devices::SlirpNetwork* user_network(std::size_t place) { return user_networks_.at(place); }
  /// How much RAM the guest has left itself, in bytes; nothing: there is no balloon.
  std::optional<u64> balloon() const;
  void set_balloon(u64 bytes);  ///< asks it to leave itself so much
  /// When no vCPU runs any more: output that is held back is sent; `wait`: however slow the reader is.
  void finish_output(bool wait) {
    for (const auto& uart : {uart_.get(), second_uart_.get()})
      if (uart) uart->finish(wait);
  }
  /// (any thread) A timer of a vCPU's will raise its interrupt.
  bool timer_armed(u32 vcpu) { return timers_[vcpu]->physical.armed() || timers_[vcpu]->virtual_.armed(); }
  /// (any thread) What is on the PCI bus, and in physical memory. What a vCPU is stuck in is left out.
  std::vector<devices::PciFunctionInfo> pci_functions();
  std::vector<devices::MappedRegion> memory_map() const;
  /// (any thread) What the first screen shows; nothing: there is none.
  std::optional<devices::virtio::Picture> picture() const;
  /// (any thread) Nothing on a board without the key.
  void press_power_key() {
    if (power_key_) power_key_->press();
  }

 private:
  struct Timers {
    Timers(const devices::SystemCounter& counter, devices::TimerQueue& queue, devices::Gic& gic, u32 vcpu)
        : physical(counter, queue, gic.ppi(vcpu, devices::k_ppi_timer_physical)),
          virtual_(counter, queue, gic.ppi(vcpu, devices::k_ppi_timer_virtual)) {}
    devices::ArchTimer physical, virtual_;
  };

  Machine(GuestRam ram, u32 vcpus, const BootPlan& plan, MachineOptions options, const MachineWorld& world);
  Status make_engine(const EngineFactory& factory, u32 vcpus);
  Status make(const Placement& placement);
  Status map(const Placement& placement, std::initializer_list<devices::MmioDevice*> devices);
  Status add_nothing(const Placement&) { return {}; }
  Status add_gic(const Placement& placement);
  Status add_timers(const Placement& placement);
  Status add_uart(const Placement& placement) { return add_uart(placement, world_.lines.uart, uart_); }
  Status add_second_uart(const Placement& placement) {
    return add_uart(placement, world_.lines.second_uart, second_uart_);
  }
  Status add_uart(const Placement& placement, devices::Chardev* line, std::unique_ptr<devices::Pl011>& uart);
  Status add_rtc(const Placement& placement);
  Status add_gpio(const Placement& placement);
  Status add_power_key(const Placement&);
  Status add_flash(const Placement& placement);
  Status add_fw_cfg(const Placement& placement);
  Status make_devices();
  Status add_virtio(const Placement& placement);
  Status add_pci(const Placement& placement);
  /// A network card that is none of virtio's, before it has its place.
  struct Card {
    std::unique_ptr<devices::NetworkBackend> network;
    devices::MacAddress mac{};
  };
  using MakeFunction = std::function<std::unique_ptr<devices::pci::Function>(const devices::pci::Wires&)>;
  /// One of the five.
  struct Made {
    template <class Device>
    requires std::is_base_of_v<devices::virtio::Device, Device> Made(std::unique_ptr<Device> d)
        : device(std::move(d)) {}
    Made(Card c) : card(std::move(c)) {}
    Made(const PvpanicSpec& spec) : pvpanic(spec) {}
    Made(const WatchdogSpec& spec) : watchdog(spec) {}
    Made(MakeFunction f) : function(std::move(f)) {}
    std::unique_ptr<devices::virtio::Device> device;
    Card card{};
    std::optional<PvpanicSpec> pvpanic{};
    std::optional<WatchdogSpec> watchdog{};
    MakeFunction function{};  ///< another function of PCI
  };
  using MadeDevice = Result<Made>;
  MadeDevice make_device(const DiskSpec& spec);
  MadeDevice make_device(const NetworkSpec& spec);
  MadeDevice make_device(const EntropySpec& spec);
  MadeDevice make_device(const ConsoleSpec& spec);
  MadeDevice make_device(const ScsiSpec& spec);
  MadeDevice make_device(const ShareSpec& spec);
  MadeDevice make_device(const BalloonSpec& spec);
  MadeDevice make_device(const PvpanicSpec& spec) { return MadeDevice(Made(spec)); }
  MadeDevice make_device(const WatchdogSpec& spec) { return MadeDevice(Made(spec)); }
  MadeDevice make_device(const EduSpec& spec);
  MadeDevice make_device(const SharedMemorySpec& spec);
  MadeDevice make_device(const GpuSpec& spec);
  MadeDevice make_device(const VsockSpec& spec);
  MadeDevice make_device(const VhostUserSpec& spec);
  Status add_transport(const Placement& slots, u32 slot, std::unique_ptr<devices::virtio::Device> device);
  Status add_function(const Seat& seat, Made made);
  Status start(const BootPlan& plan, const BootConfig& config);
  void irq_changed(u32 vcpu, bool level);

  // devices::pci::MessageSink
  void message(GuestPa address, u32 data) override;

  // engine::MachinePort
  bool mmio_read(GuestPa pa, u32 size, u64& value) override { return bus_.read(pa, size, value); }
  bool mmio_write(GuestPa pa, u32 size, u64 value) override { return bus_.write(pa, size, value); }
  const u8* rom_page(GuestPa pa) override { return world_.flash.page(pa); }
  bool hypercall(arm::CpuState& s, u32 vcpu, bool smc, u32 comment) override;
  bool semihosting(arm::CpuState& s, u32 vcpu, engine::CallMemory& memory) override;
  u64 counter() override { return counter_.ticks(); }
  void timer_changed(u32 vcpu, const arm::CpuState& s, bool virtual_timer) override;
  void send_event() override;

  // In the order in which they need each other; destroyed in reverse.
  const MachineOptions options_;
  const MachineWorld world_;
  GuestRam ram_;
  Bus bus_;
  devices::SystemCounter counter_;
  std::unique_ptr<engine::Engine> engine_;
  devices::Gic gic_;
  GicDistributorWindow gic_distributor_{gic_};
  GicCpuWindow gic_cpu_{gic_};
  std::unique_ptr<devices::GicV2m> messages_;  ///< null: the board's GIC has no frame for them
  GuestPa message_address_;
  EmptyVirtioSlots empty_slots_;
  devices::pci::EmptyWindow pci_memory_{"pci-memory"}, pci_ports_{"pci-ports"}, pci_high_{"pci-high-memory"};
  std::unique_ptr<devices::pci::HostBridge> pci_;
  GuestPa pci_config_;  ///< where the configuration spaces begin
  std::vector<std::unique_ptr<Timers>> timers_;
  std::unique_ptr<devices::Pl011> uart_, second_uart_;
  std::unique_ptr<devices::Pl031> rtc_;
  std::unique_ptr<devices::Pl061> gpio_;
  std::unique_ptr<devices::PowerKey> power_key_;
  const std::shared_ptr<const devices::FwCfgItems> items_;
  std::unique_ptr<devices::FwCfg> fw_cfg_;
  std::vector<std::unique_ptr<devices::virtio::MmioTransport>> transports_;
  std::vector<std::unique_ptr<devices::pci::Function>> functions_;
  std::vector<Made> devices_;  ///< without a place yet
  u32 networks_ = 0, disks_ = 0, ports_ = 0, links_ = 0, dumps_ = 0, shares_ = 0, forwards_ = 0, memories_ = 0,
      vsocks_ = 0, backends_ = 0;  ///< made so far
  std::vector<devices::SlirpNetwork*> user_networks_;
  devices::virtio::Balloon* balloon_ = nullptr;
  devices::virtio::Gpu* gpu_ = nullptr;  ///< the first; null: there is none
};

}  // namespace armvisor::machine
