#pragma once
// What a monitor asks of the machine that it controls. (any thread; nothing waits for the guest, but vCPUs may
// be stopped for a moment)
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "devices/inspection.h"

namespace armvisor::monitor {

/// As QEMU calls them: RunState.
enum class RunState { Prelaunch, Running, Paused, Debug, Shutdown, GuestPanicked, Watchdog };

struct CpuInfo {
  u32 index = 0;
  int thread_id = 0;  ///< of the host's thread
};

struct BlockInfo {
  std::string device;  ///< its name
  std::string file, format;
  bool read_only = false;
  bool removable = false;
  u64 size = 0;  ///< in bytes
};

struct ChardevInfo {
  std::string label, filename;
  bool used = false;
};

struct NetworkInfo {
  std::string card, id;      ///< of the card and of its network
  std::string kind, detail;  ///< of the network: "user", "net=10.0.2.0,restrict=off"
  std::string mac;
};

struct PciDeviceInfo : devices::PciFunctionInfo {
  std::string id{};  ///< what the command line calls it
};

/// An object of the machine, as QEMU's tree of objects has it.
struct ObjectInfo {
  struct Property {
    std::string name, type;
    std::string value;  ///< JSON
  };
  std::string path, type;
  std::vector<Property> properties{};
};

struct ObjectTypeInfo {
  std::string name, parent;  ///< parent: empty for the outermost
};

/// Whose behaviour is followed, and what package says so.
struct VersionInfo {
  u32 major = 0, minor = 0, micro = 0;
  std::string package;
};

class MachineControl {
 public:
  virtual RunState state() = 0;
  virtual void stop() = 0;  ///< vCPUs, and the guest's time; nothing if it is stopped
  virtual Status cont() = 0;
  virtual void reset() = 0;
  virtual void power_down() = 0;  ///< presses the power button
  virtual void quit() = 0;

  virtual VersionInfo version() = 0;
  virtual std::string name() = 0;
  virtual std::string uuid() = 0;
  virtual u64 memory() = 0;  ///< in bytes
  /// How much of it the guest has left itself by its balloon, in bytes; nothing: there is none.
  virtual std::optional<u64> balloon() = 0;
  virtual void set_balloon(u64 bytes) = 0;  ///< asks it to leave itself so much
  virtual std::vector<CpuInfo> cpus() = 0;
  virtual std::vector<BlockInfo> blocks() = 0;
  virtual std::vector<ChardevInfo> chardevs_in_use() = 0;
  virtual std::vector<NetworkInfo> networks() = 0;
  /// "tcp:ADDRESS:PORT-ADDRESS:PORT", or without the second half, on the user network of that id; empty: the first.
  virtual Status add_forward(const std::string& network, const std::string& forward) = 0;
  virtual Status remove_forward(const std::string& network, const std::string& forward) = 0;
  virtual std::vector<PciDeviceInfo> pci() = 0;
  virtual std::vector<devices::MappedRegion> memory_map() = 0;  ///< by addresses
  virtual Status screendump(const std::string& path) = 0;       ///< what the screen shows, as a file
  virtual std::vector<ObjectInfo> objects() = 0;
  virtual std::vector<ObjectTypeInfo> object_types() = 0;
  /// A vCPU's, as QEMU's "info registers" has them.
  virtual std::string registers(u32 cpu) = 0;
  /// By the translation tables that a vCPU has in force, or without one by physical addresses; devices are read, too.
  /// How many bytes could be read, in pages from the start: vCPUs are stopped once for all of them.
  virtual std::size_t read_memory(std::optional<u32> cpu, u64 address, std::span<u8> out) = 0;

 protected:
  ~MachineControl() = default;
};

}  // namespace armvisor::monitor
