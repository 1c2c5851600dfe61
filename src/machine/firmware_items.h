#pragma once
// What the board has for firmware in fw_cfg (devices/fw_cfg.h): what options put there, and what is read for it.
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/stop_event.h"
#include "devices/fw_cfg.h"

namespace armvisor::machine {

struct BootConfig;

struct FirmwareOptions {
  /// A file of fw_cfg, with the content of a file of the host's, or as it stands here.
  struct File {
    std::string name;
    std::string path;  ///< empty: as it stands
    std::string content{};
  };
  std::vector<File> files{};
  std::string boot_order{};  ///< what to boot from first, in QEMU's form with its terminator; empty: whatever there is
  bool graphics = false;     ///< there would be a window
  bool boot_menu = false;
  std::optional<u16> menu_wait_ms{};  ///< for which firmware offers a menu
  u32 fail_wait_ms = ~u32{0};         ///< after which firmware that finds nothing to boot resets the machine; ~0: never
  std::array<u8, 16> uuid{};
};

/// Reads the files. With a kernel for firmware, that, its initrd and its command line are items.
Result<std::shared_ptr<const devices::FwCfgItems>> read_items(const BootConfig& config, const StopEvent* stop);

}  // namespace armvisor::machine
