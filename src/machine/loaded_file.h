#pragma once
// What is put into RAM beside what is booted: QEMU's device "loader" (its docs/system/generic-loader.rst).
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/stop_event.h"
#include "base/types.h"

namespace armvisor::machine {

struct BootConfig;
struct BootPlan;

struct LoadedFile {
  std::string path;  ///< an ELF executable or a U-Boot image, which say where they go; else raw bytes. Empty: `data`
  bool raw = false;  ///< raw bytes whatever it looks like
  u64 address = 0;   ///< of raw bytes and of `data`
  std::vector<u8> data{};     ///< at most 8 bytes
  std::optional<u32> vcpu{};  ///< starts at the entry of the file, or at the address; those but the first are off
};

/// Adds `config.loaded` to a plan that has all else. An error if a file cannot be read, lies outside RAM, or where
/// something else lies.
Status add_loaded_files(const BootConfig& config, BootPlan& plan, const StopEvent* stop);

}  // namespace armvisor::machine
