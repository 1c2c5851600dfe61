#pragma once
// A machine that monitors control, and that remembers what it was told.
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
  /// Each byte is its address; virtual ones end at 4 GiB, and physical ones at 8.
  Status read_memory(std::optional<u32> cpu, u64 address, std::span<u8> out) override {
    for (u8& byte : out) byte = static_cast<u8>(address++);
    if (address > (cpu ? u64{1} << 32 : u64{1} << 33)) return Error{ErrorKind::BadInput, "Cannot access memory"};
    return {};
  }
};

}  // namespace armvisor::monitor
