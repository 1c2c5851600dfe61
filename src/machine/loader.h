#pragma once
// Puts what the user gave into guest memory and says how the first vCPU starts.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arm/cpu_state.h"
#include "base/result.h"
#include "devices/fw_cfg.h"
#include "machine/board.h"
#include "machine/device_spec.h"
#include "machine/firmware_items.h"
#include "machine/flash_banks.h"
#include "machine/image.h"
#include "machine/loaded_file.h"
#include "machine/virt.h"
#include "memory/guest_ram.h"

namespace armvisor::machine {

struct BootConfig {
  const Board* board = &k_virt;
  std::string kernel;              ///< FILE or FILE@ADDRESS, with qemu_kernels FILE; empty: none
  std::string initrd;              ///< empty: none
  std::vector<u8> initrd_more{};   ///< behind what is in the file, as another archive
  std::vector<u8> initrd_bytes{};  ///< of a kernel, in place of the file; empty: none
  std::string dtb;                 ///< empty: generated
  std::string firmware;            ///< for flash bank 0, which keeps nothing; empty: none
  /// By bank; without a path: none. Without a kernel the machine starts in the first, which then has to have one.
  std::vector<FlashSpec> flash{};
  /// With a kernel: what is in the first bank starts all the same, and is given kernel, initrd and command line as
  /// items of fw_cfg.
  bool kernel_for_firmware = false;
  std::optional<std::string> append;
  std::vector<LoadedFile> loaded{};  ///< beside what is booted
  FirmwareOptions items{};           ///< of fw_cfg
  /// Kernels are placed as QEMU places them: a file of no known format as if it were a zImage, and the device tree at
  /// the start of RAM if the kernel leaves it free.
  bool qemu_kernels = false;
  bool tree_only = false;    ///< nothing will run: the device tree alone is wanted, and there may be no kernel
  bool empty_flash = false;  ///< neither kernel nor firmware: the vCPU runs the zeros of flash that has no content
  /// Flash without content is zeros, as QEMU has it, and not erased; but for the first bank if a kernel starts by
  /// itself: one that fails and has no vectors yet is undefined there, and known to have crashed.
  bool blank_flash = false;
  u64 ram_size = u64{512} << 20;
  u32 vcpus = 1;
  std::optional<arm::CpuModel> cpu{};  ///< nothing: a Cortex-A15, and in the device tree what the board says

  /// The file in flash that the first vCPU starts in; empty: none.
  const std::string& boot_flash() const { return firmware.empty() && !flash.empty() ? flash[0].path : firmware; }
  /// The first bank that is zeros where it has no content; those behind it are as well.
  std::size_t first_blank_bank() const {
    return !blank_flash ? FlashBanks::k_all_erased : kernel.empty() || kernel_for_firmware ? 0 : 1;
  }
};

/// All files but those of flash read and checked, every address decided; nothing of the guest touched yet. Can be
/// applied repeatedly (the machine resets).
struct BootPlan {
  std::vector<Segment> segments;  ///< in RAM
  std::vector<u8> fdt;            ///< packed; also among the segments, with room to grow
  u32 entry = 0;                  ///< bit 0: Thumb
  u32 fdt_address = 0;
  std::shared_ptr<const devices::FwCfgItems> items = std::make_shared<const devices::FwCfgItems>();  ///< of fw_cfg
  bool kernel_protocol = false;  ///< R0 = 0, R1 = ~0, R2 = fdt_address
};

/// `stop`, if any, ends the reading of files with an error; it outlives the call.
Result<BootPlan> plan_boot(const BootConfig& config, const StopEvent* stop = nullptr);

/// Paths of the files that it reads.
std::vector<std::string> input_files(const BootConfig& config);

/// Writes RAM. False (an internal error) when a segment lies outside it, which plan_boot has excluded.
bool apply(const BootPlan& plan, GuestRam& ram);
/// Registers at the first instruction (Linux Documentation/arm/booting.rst), on top of the reset state.
void start_state(const BootPlan& plan, arm::CpuState& s);

}  // namespace armvisor::machine
