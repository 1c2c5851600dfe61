#pragma once
// The PCI Express host bridge that QEMU's board has: one bus, whose configuration spaces lie one after the other (ECAM,
// PCI Express Base Specification 7.2.2), windows for what its functions' base address registers say, and four interrupt
// lines. (Linux: Documentation/devicetree/bindings/pci/host-generic-pci.yaml)
#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/bits.h"
#include "devices/device_tree.h"
#include "devices/movable_region.h"
#include "devices/pci/function.h"

namespace armvisor::devices::pci {

/// The windows, where they are: addresses of memory are the same on both sides, those of I/O ports begin at 0.
class HostBridge final : public MmioDevice {
 public:
  static constexpr u32 k_slots = 32, k_functions = 8, k_lines = 4;
  static constexpr u32 k_config_size = 0x1000;  ///< of one function
  static constexpr u64 k_bus_size = 0x10'0000;  ///< of the configuration spaces of one bus

  struct Wiring {
    Region memory, ports;
    Region high{};  ///< for addresses of 64 bits; of no size: there is none
    std::array<IrqLine*, k_lines> lines;
    /// Has a region for a device, nowhere yet, which lives as long as the bridge.
    std::function<MovableRegion&(u64 size, MmioDevice& device)> add_region;
  };
  explicit HostBridge(Wiring wiring);

  /// Regions: configuration spaces, memory window, window of I/O ports, and perhaps that for addresses of 64 bits. Its
  /// interrupts are the site's and the next three.
  static void describe(TreeWriter& tree, const Site& site);

  /// INTA# of a slot's functions. (The line may be set by any thread.)
  IrqLine& intx(u32 slot, u32 function);
  /// Before the machine runs. The place is free, and slot 0 function 0 is the bridge itself.
  void plug(u32 slot, u32 function, Function& device);

  /// What is there; null: nothing. What does not change of it may be looked at by any thread.
  const Function* function(u32 slot, u32 function) const { return functions_[slot * k_functions + function]; }

  std::string_view name() const override { return "pci-config"; }
  u64 mmio_read(u64 offset, u32 size) override;
  void mmio_write(u64 offset, u32 size, u64 value) override;

 private:
  /// Several pins on one line.
  struct Line {
    IrqLine* output = nullptr;
    std::mutex mutex;
    u32 pins = 0;  ///< how many drive it
    void set(bool level);
  };
  struct Pin final : IrqLine {
    Line* line = nullptr;
    bool level = false;  ///< of the function, which calls one at a time
    void set(bool level) override;
  };
  struct Mapping {
    Function* function;
    Function::Bar bar;
    MovableRegion* region;
    std::optional<GuestPa> at;  ///< where it is
  };

  Function* function_at(u64 offset) const;
  std::optional<GuestPa> wanted(const Mapping& mapping) const;
  void update();

  const Wiring wiring_;
  std::array<Line, k_lines> lines_;
  std::array<Pin, k_slots * k_functions> pins_;
  std::array<Function*, k_slots * k_functions> functions_{};
  std::vector<Mapping> mappings_;
  std::unique_ptr<Function> self_;
};

/// What a window answers where no function does, as QEMU's: ones, and nothing happens.
class EmptyWindow final : public MmioDevice {
 public:
  explicit EmptyWindow(std::string_view name) : name_(name) {}
  std::string_view name() const override { return name_; }
  u64 mmio_read(u64, u32 size) override { return low_mask(8 * size); }
  void mmio_write(u64, u32, u64) override {}

 private:
  const std::string_view name_;
};

}  // namespace armvisor::devices::pci
