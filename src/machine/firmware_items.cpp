#include "machine/firmware_items.h"

#include <fmt/core.h>

#include "base/input_file.h"
#include "machine/loader.h"

namespace armvisor::machine {
namespace {

using devices::FwCfgItems;
using devices::FwCfgKey;
using Items = std::map<FwCfgKey, FwCfgItems::Bytes>;
using Files = std::map<std::string, FwCfgItems::Bytes>;

/// Items that cannot be in RAM as a whole are of no use: firmware copies them there.
std::string advice() { return "that is the RAM that firmware copies it to; give the machine more with --memory"; }

Status add(Items& items, FwCfgKey size, FwCfgKey data, FwCfgItems::Bytes bytes) {
  items[size] = devices::fw_cfg_number(bytes.size(), 4);
  items[data] = std::move(bytes);
  return {};
}

/// The files as they are: formats are firmware's business.
Status add_kernel(const BootConfig& config, Items& items, const StopEvent* stop) {
  AV_TRY_ASSIGN(auto kernel, read_file(config.kernel, "kernel", config.ram_size, advice(), stop));
  AV_TRY(add(items, FwCfgKey::KernelSize, FwCfgKey::KernelData, std::move(kernel)));
  if (!config.initrd.empty()) {
    AV_TRY_ASSIGN(auto initrd, read_file(config.initrd, "initrd", config.ram_size, advice(), stop));
    AV_TRY(add(items, FwCfgKey::InitrdSize, FwCfgKey::InitrdData, std::move(initrd)));
  }
  const std::string line = config.append.value_or("");
  return add(items, FwCfgKey::CommandLineSize, FwCfgKey::CommandLineData,
             {line.c_str(), line.c_str() + line.size() + 1});
}

Result<FwCfgItems::Bytes> read_content(const FirmwareOptions::File& file, u64 most, const StopEvent* stop) {
  if (file.path.empty()) return FwCfgItems::Bytes(file.content.begin(), file.content.end());
  AV_TRY_ASSIGN(InputFile in, InputFile::open(file.path, "fw_cfg file", stop));
  AV_TRY(in.read_to(most + 1));
  if (in.bytes().size() > most)
    return Error{ErrorKind::BadInput,
                 fmt::format("fw_cfg file {}: expected at most {} bytes, found more; {}", file.path, most, advice())};
  return in.take();
}

Status add_files(const BootConfig& config, Files& files, const StopEvent* stop) {
  for (const FirmwareOptions::File& file : config.items.files) {
    if (file.name.empty() || file.name.size() > FwCfgItems::k_most_name || files.contains(file.name))
      return Error{
          ErrorKind::BadArguments,
          fmt::format("fw_cfg: expected names of 1 to {} bytes that differ from each other and from the board's "
                      "own, found '{}'; change it",
                      FwCfgItems::k_most_name, file.name)};
    if (files.size() == FwCfgItems::k_most_files)
      return Error{ErrorKind::BadArguments,
                   fmt::format("fw_cfg: expected at most {} files, the board's own among them, "
                               "found more; leave some out",
                               FwCfgItems::k_most_files)};
    AV_TRY_ASSIGN(files[file.name], read_content(file, config.ram_size, stop));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const FwCfgItems>> read_items(const BootConfig& config, const StopEvent* stop) {
  const FirmwareOptions& options = config.items;
  Items items{{FwCfgKey::Uuid, {options.uuid.begin(), options.uuid.end()}},
              {FwCfgKey::NoGraphic, devices::fw_cfg_number(!options.graphics, 2)},
              {FwCfgKey::CpuCount, devices::fw_cfg_number(config.vcpus, 2)},
              {FwCfgKey::BootMenu, devices::fw_cfg_number(options.boot_menu, 2)}};
  if (config.kernel_for_firmware && !config.kernel.empty()) AV_TRY(add_kernel(config, items, stop));
  // The board's own; no disk has a geometry of its own.
  Files files{{"bios-geometry", {}},
              {"bootorder", {options.boot_order.begin(), options.boot_order.end()}},
              {"etc/boot-fail-wait", devices::fw_cfg_number(options.fail_wait_ms, 4)}};
  if (options.menu_wait_ms) files["etc/boot-menu-wait"] = devices::fw_cfg_number(*options.menu_wait_ms, 2);
  AV_TRY(add_files(config, files, stop));
  return std::make_shared<const FwCfgItems>(std::move(items), std::move(files));
}

}  // namespace armvisor::machine
