#pragma once
// What a device says of itself to the guest: its node of the flattened device tree. Each class of devices has
//   static void describe(TreeWriter& tree, const Site& site);
// which writes the node of one device of the class, as its binding asks (Linux, Documentation/devicetree/bindings).
// Addresses and sizes of a tree that is written here have two cells each, and interrupts are a GIC's: three cells.
#include <array>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace armvisor::devices {

/// A region of guest physical space, `size` in bytes.
struct Region {
  GuestPa base;
  u64 size = 0;
  constexpr bool operator==(const Region&) const = default;
};

/// Where a board has a device, and what it is wired to.
struct Site {
  std::array<Region, 4> regions{};  ///< in the order that the class says; those of no size at the end do not exist
  std::optional<u32> spi{};         ///< the first shared peripheral interrupt that it drives: GIC interrupt ID 32 + spi
  u32 cpus = 1;                     ///< of the machine, for devices with private interrupts or registers

  constexpr std::span<const Region> used() const {
    std::size_t n = 0;
    while (n < regions.size() && regions[n].size != 0) ++n;
    return std::span(regions).first(n);
  }
};

/// What nodes refer to each other by.
enum class Phandle : u32 { Clock = 0x8000, Gic = 0x8001, Messages = 0x8002, Gpio = 0x8004 };

/// First cell of an interrupt, and flags of its third (binding arm,gic).
enum class InterruptType : u32 { Spi = 0, Ppi = 1 };
inline constexpr u32 k_level_high = 4;

/// The name of a node with a unit address.
std::string node_name(std::string_view name, GuestPa address);

/// Writes a tree in order, remembering the first error.
class TreeWriter {
 public:
  TreeWriter();
  void begin(const std::string& name);
  void end();
  void cells(const char* name, std::span<const u32> values);
  void cells(const char* name, std::initializer_list<u32> values) {
    cells(name, std::span<const u32>(values.begin(), values.size()));
  }
  void empty(const char* name) { property(name, nullptr, 0); }
  void text(const char* name, std::string_view value) { texts(name, {value}); }
  /// Strings one after the other, each with its terminator.
  void texts(const char* name, std::initializer_list<std::string_view> values);
  void property(const char* name, const void* data, std::size_t size);
  void phandle(Phandle value) { cells("phandle", {static_cast<u32>(value)}); }

  /// What most nodes of devices have: "reg" with all regions of the site, "interrupts" with its interrupt.
  void reg(std::span<const Region> regions);
  void reg(const Site& site) { reg(site.used()); }
  void interrupt(const Site& site);

  /// The whole tree, packed.
  Result<std::vector<u8>> finish();

 private:
  void check(int error) {
    if (error_ == 0) error_ = error;
  }
  std::vector<u8> blob_;
  int error_ = 0;
};

}  // namespace armvisor::devices
