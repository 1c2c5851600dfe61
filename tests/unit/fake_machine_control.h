#pragma once
// A machine that monitors control, and that remembers what it was told.
#include <algorithm>
#include <string>

#include "monitor/control.h"

namespace armvisor::monitor {

struct FakeMachine final : MachineControl {
  RunState now = RunState::Running;
  std::string told;  ///< "stop cont "
  std::string title;
  std::optional<u64> balloon_bytes;

  RunState state() override { return now; }
  void stop() override {
    told += "stop ";
    now = RunState::Paused;
  }
  Status cont() override {
    if (now == RunState::Shutdown) return Error{ErrorKind::BadArguments, "Resetting the Virtual Machine is required"};
    told += "cont ";
    now = RunState::Running;
    return {};
  }
  void reset() override { told += "reset "; }
  void power_down() override { told += "power_down "; }
  void quit() override { told += "quit "; }
  VersionInfo version() override { return {10, 0, 2, "fake"}; }
  std::string name() override { return title; }
  std::string uuid() override { return "00000000-0000-0000-0000-000000000000"; }
  u64 memory() override { return 1 << 20; }
  std::optional<u64> balloon() override { return balloon_bytes; }
  void set_balloon(u64 bytes) override { told += "balloon[" + std::to_string(bytes) + "] "; }
  std::vector<CpuInfo> cpus() override { return {{0, 100}, {1, 101}}; }
  std::vector<BlockInfo> blocks() override { return {{"hd0", "disk.img", "raw", true, false, 512}}; }
  std::vector<ChardevInfo> chardevs_in_use() override { return {{"serial0", "stdio", true}}; }
  std::vector<NetworkInfo> networks() override {
    return {{"virtio-net-device.0", "net0", "user", "net=10.0.2.0,restrict=off", "52:54:00:12:34:56"}};
  }
  Status add_forward(const std::string& network, const std::string& forward) override {
    told += "add[" + network + "]" + forward + " ";
    return {};
  }
  Status remove_forward(const std::string& network, const std::string& forward) override {
    told += "remove[" + network + "]" + forward + " ";
    return {};
  }
  std::string registers(u32 cpu) override { return "\nCPU#" + std::to_string(cpu) + "\nR00=00000000\n"; }
  std::vector<PciDeviceInfo> pci() override {
    PciDeviceInfo bridge, card;
    bridge.vendor = 0x1b36;
    bridge.device = 8;
    bridge.device_class = 0x0600;
    card.slot = 1;
    card.vendor = card.subsystem_vendor = 0x1af4;
    card.device = 0x1000;
    card.subsystem = 1;
    card.device_class = 0x0200;
    card.pin = 1;
    card.id = "n0";
    card.regions = {{.index = 0, .io = true, .size = 32, .address = 0x1000},
                    {.index = 1, .size = 4096},
                    {.index = 4, .prefetchable = true, .wide = true, .size = 0x4000, .address = 0x10000000}};
    return {bridge, card};
  }
  std::vector<devices::MappedRegion> memory_map() override {
    return {{0, 0x4000000, "cfi-flash", "romd"},
            {0x10000000, 0x1000000, "pci-memory"},
            {0x10000000, 0x4000, "card", "i/o", 1},
            {0x40000000, 0x8000000, "mach-virt.ram", "ram"}};
  }
  std::vector<ObjectInfo> objects() override {
    return {{"/", "container"},
            {"/machine", "virt-10.0-machine", {{"kernel", "string", "\"zImage\""}, {"usb", "bool", "false"}}},
            {"/machine/peripheral", "container"},
            {"/machine/peripheral/n0", "virtio-net-pci", {{"mac", "str", "\"52:54:00:12:34:56\""}}},
            {"/machine/unattached", "container"},
            {"/machine/unattached/device[0]", "cortex-a15-arm-cpu"},
            {"/machine/unattached/n0", "other"}};
  }
  std::vector<ObjectTypeInfo> object_types() override {
    return {{"object", ""}, {"device", "object"}, {"virtio-net-pci", "device"}, {"container", "object"}};
  }
  Status screendump(const std::string& path) override {
    told += "screendump[" + path + "] ";
    return {};
  }
  u32 reads = 0;  ///< of memory
  /// Each byte is its address; virtual ones end at 4 GiB, and physical ones at 8.
  std::size_t read_memory(std::optional<u32> cpu, u64 address, std::span<u8> out) override {
    ++reads;
    const u64 end = cpu ? u64{1} << 32 : u64{1} << 33;
    const std::size_t size = std::min<u64>(out.size(), address < end ? end - address : 0);
    for (u8& byte : out.first(size)) byte = static_cast<u8>(address++);
    return size;
  }
};

}  // namespace armvisor::monitor
