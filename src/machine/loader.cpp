#include "machine/loader.h"

#include <fmt/core.h>
#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "base/bits.h"
#include "base/input_file.h"
#include "base/log.h"
#include "machine/fdt.h"

namespace armvisor::machine {
namespace {

constexpr u64 k_mib = u64{1} << 20;
constexpr std::size_t k_most_append = 16 * 1024;
constexpr std::size_t k_linux_append = 1023;  ///< COMMAND_LINE_SIZE of 32-bit ARM, less the end
constexpr u64 k_fdt_room = 2 * k_mib;         ///< the kernel maps at most this much of a tree
constexpr u64 k_fdt_usual_room = k_mib;       ///< a tree of usual size with room to grow, as QEMU's
constexpr u64 k_fdt_growth = 64 << 10;        ///< at least so much may be added to a tree, if k_fdt_room has it

Error no_room(const std::string& what, u64 ram_size) {
  return Error{ErrorKind::BadInput,
               fmt::format("{}: expected more RAM than the machine's {} MiB; give it more with --memory", what,
                           ram_size / k_mib)};
}

FdtConfig fdt_config(const BootConfig& config, u64 initrd_start, u64 initrd_size) {
  FdtConfig f;
  f.board = config.board;
  f.ram_size = config.ram_size;
  f.vcpus = config.vcpus;
  f.cpu_compatible = config.cpu ? arm::row(*config.cpu).compatible : config.board->cpu_compatible;
  f.bootargs = config.append;
  f.initrd_start = initrd_start;
  f.initrd_end = initrd_start + initrd_size;
  // The pool is always ready this early in a host's life or the call waits for it; a failure leaves zeros, which the
  // guest mixes in harmlessly.
  [[maybe_unused]] const ssize_t n = getrandom(f.rng_seed.data(), f.rng_seed.size(), 0);
  return f;
}

Result<std::vector<u8>> tree(const BootConfig& config, const FdtConfig& f, const StopEvent* stop) {
  if (config.dtb.empty()) return make_fdt(f);
  AV_TRY_ASSIGN(const std::vector<u8> user,
                read_file(config.dtb, "device tree", k_fdt_room, "give a device tree blob (.dtb)", stop));
  AV_TRY_ASSIGN(std::vector<u8> fdt, complete_fdt(user, config.dtb, f));
  if (fdt.size() > k_fdt_room)
    return Error{
        ErrorKind::BadInput,
        fmt::format("device tree {}: expected at most 2 MiB, found {} bytes; make it smaller", config.dtb, fdt.size())};
  return fdt;
}

Segment segment(GuestPa pa, std::vector<u8> bytes) {
  const u64 size = bytes.size();
  return {pa, std::move(bytes), size};
}

/// The tree with free space behind it that its header counts, 1 MiB in all as with QEMU. Firmware adds to the tree
/// where it lies, and copies as many bytes as the header says before it adds to the copy.
Segment fdt_segment(u64 address, const std::vector<u8>& fdt) {
  Segment s = segment(GuestPa(address), fdt);
  s.memory_size = std::clamp<u64>(fdt.size() + k_fdt_growth, k_fdt_usual_room, k_fdt_room);
  set_fdt_room(s.bytes, static_cast<u32>(s.memory_size));
  return s;
}

/// The tree alone.
Result<BootPlan> plan_nothing(const BootConfig& config, const StopEvent* stop) {
  BootPlan plan;
  AV_TRY_ASSIGN(plan.fdt, tree(config, fdt_config(config, 0, 0), stop));
  return plan;
}

ImageArgument kernel_argument(const BootConfig& config) {
  return config.qemu_kernels ? ImageArgument{config.kernel, std::nullopt} : ImageArgument::parse(config.kernel);
}

Result<Image> read_kernel(const BootConfig& config, const StopEvent* stop) {
  ImageRoom room{config.board->ram.base, config.board->low_ram(config.ram_size), {}, stop};
  if (config.qemu_kernels) room.raw_offset = k_kernel_offset;
  return load_image(kernel_argument(config), room);
}

/// Where the tree goes, and behind it the initrd: far enough above the kernel that it can decompress.
u64 above_kernel(const BootConfig& config, const Image& image) {
  const u64 usual = config.board->ram.base.value + std::min<u64>(config.ram_size / 2, 128 * k_mib);
  return std::max(usual, align_up<u64>(image.end.value, k_fdt_room));
}

/// Whether the tree goes to the start of RAM instead: there QEMU has it for programs that are linked to lie above it,
/// and there is room with an image at the very end of RAM.
bool tree_below_kernel(const BootConfig& config, const Image& image) {
  const u64 ram = config.board->ram.base.value;
  const auto address = [](const Segment& s) { return s.pa.value; };
  const u64 free = std::ranges::min(image.segments, {}, address).pa.value - ram;
  if (config.qemu_kernels && free >= (config.dtb.empty() ? k_fdt_usual_room : k_fdt_room)) return true;
  return above_kernel(config, image) + k_fdt_room > ram + config.board->low_ram(config.ram_size) && free >= k_fdt_room;
}

/// Looks at the start of the firmware; all of it is the flash's to read.
Status check_firmware(const std::string& path, const StopEvent* stop) {
  AV_TRY_ASSIGN(InputFile file, InputFile::open(path, "firmware", stop));
  AV_TRY(file.check_regular());
  AV_TRY(file.read_to(4));
  // A branch in A64 (DDI 0487 C6.2.26); in A32 it would be a store, conditional on flags that a reset leaves unknown.
  if (file.bytes().size() < 4 || (little32(file.bytes(), 0) & 0xfc00'0000) != 0x1400'0000) return {};
  return Error{ErrorKind::BadInput, "firmware " + path +
                                        ": expected 32-bit ARM code, found 64-bit code (it begins with a branch of "
                                        "A64); give the build for 32-bit ARM, as AAVMF32 or U-Boot's qemu_arm"};
}

Result<BootPlan> plan_firmware(const BootConfig& config, const StopEvent* stop) {
  BootPlan plan;
  if (!config.boot_flash().empty()) AV_TRY(check_firmware(config.boot_flash(), stop));
  AV_TRY_ASSIGN(plan.fdt, tree(config, fdt_config(config, 0, 0), stop));
  // Where U-Boot and UEFI for "virt" look for it.
  plan.fdt_address = static_cast<u32>(config.board->ram.base.value);
  plan.segments.push_back(fdt_segment(plan.fdt_address, plan.fdt));
  if (plan.segments.back().memory_size > config.ram_size) return no_room("device tree", config.ram_size);
  plan.entry = static_cast<u32>(config.board->base(DeviceKind::Flash).value);
  return plan;
}

/// The kernel where its format says; the tree, then the initrd, far enough above it that it can decompress, and low
/// enough that the kernel's direct mapping covers them.
Result<BootPlan> plan_kernel(const BootConfig& config, const StopEvent* stop) {
  BootPlan plan;
  if (config.append && config.append->size() > k_linux_append)
    AV_LOG(Warn, "the kernel command line has %zu bytes: Linux for ARM takes the first %zu", config.append->size(),
           k_linux_append);
  const GuestPa ram = config.board->ram.base;
  AV_TRY_ASSIGN(Image image, read_kernel(config, stop));
  const u64 ram_end = ram.value + config.board->low_ram(config.ram_size);
  const bool below = tree_below_kernel(config, image);
  const u64 fdt_at = below ? ram.value : above_kernel(config, image);
  if (!below && fdt_at + k_fdt_room > ram_end) return no_room("kernel " + config.kernel, config.ram_size);
  const u64 initrd_at =
      below && config.qemu_kernels ? std::min(above_kernel(config, image), ram_end) : fdt_at + k_fdt_room;
  std::vector<u8> initrd = config.initrd_bytes;
  if (initrd_at + initrd.size() > ram_end) return no_room("initramfs", config.ram_size);
  if (!config.initrd.empty()) {
    AV_TRY_ASSIGN(
        initrd, read_file(config.initrd, "initrd", ram_end - initrd_at,
                          "that is the RAM behind kernel and device tree; give the machine more with --memory", stop));
    initrd.resize((initrd.size() + 3) & ~std::size_t{3});  // where Linux expects the next archive
    initrd.insert(initrd.end(), config.initrd_more.begin(), config.initrd_more.end());
    if (initrd_at + initrd.size() > ram_end) return no_room("initrd", config.ram_size);
  }
  AV_TRY_ASSIGN(plan.fdt, tree(config, fdt_config(config, initrd_at, initrd.size()), stop));
  plan.entry = image.entry;
  plan.kernel_protocol = !(config.qemu_kernels && image.elf);  // in QEMU an ELF file is no Linux, and gets zeros
  plan.fdt_address = static_cast<u32>(fdt_at);
  plan.segments = std::move(image.segments);
  plan.segments.push_back(fdt_segment(fdt_at, plan.fdt));
  if (!initrd.empty()) plan.segments.push_back(segment(GuestPa(initrd_at), std::move(initrd)));
  return plan;
}

std::string size_text(u64 bytes) {
  return bytes % k_mib == 0 ? fmt::format("{} MiB", bytes / k_mib) : fmt::format("{} bytes", bytes);
}

Status check_flash(const BootConfig& config) {
  const Board& board = *config.board;
  const Placement* const placement = board.find(DeviceKind::Flash);
  const std::size_t banks = placement ? placement->first.used().size() : 0;
  if (!config.firmware.empty() && banks == 0)
    return Error{
        ErrorKind::BadArguments,
        fmt::format("firmware: expected a board with flash, found {}, which has none; start a kernel", board.name)};
  if (config.flash.size() > banks)
    return Error{ErrorKind::BadArguments,
                 fmt::format("flash: expected files for at most {} banks of flash, found more; "
                             "leave some out",
                             banks)};
  if (!config.firmware.empty() && !config.flash.empty() && !config.flash[0].path.empty())
    return Error{ErrorKind::BadArguments,
                 "flash: expected either firmware or a file of its own in the first bank, "
                 "found both; leave out one"};
  return {};
}

Status check_board(const BootConfig& config) {
  const Board& board = *config.board;
  if (config.ram_size < board.min_ram || config.ram_size > board.ram.size || config.ram_size % k_mib != 0)
    return Error{ErrorKind::BadArguments,
                 fmt::format("RAM: expected a whole number of MiB from {} to {} (which the board has room for), found "
                             "{}; change --memory",
                             board.min_ram / k_mib, board.ram.size / k_mib, size_text(config.ram_size))};
  if (config.vcpus < 1 || config.vcpus > board.max_vcpus)
    return Error{ErrorKind::BadArguments,
                 fmt::format("vCPUs: expected 1 to {}, found {}; change --cpus", board.max_vcpus, config.vcpus)};
  return check_flash(config);
}

/// A kernel that firmware is given.
Status check_firmware_kernel(const BootConfig& config) {
  if (config.kernel.empty() || (config.firmware.empty() && !config.kernel_for_firmware)) return {};
  if (!config.kernel_for_firmware)
    return Error{ErrorKind::Internal, "a kernel and firmware, of which it is not said which starts"};
  if (!config.board->has(DeviceKind::FwCfg))
    return Error{ErrorKind::BadArguments,
                 fmt::format("kernel: expected a board with fw_cfg, by which firmware is given it, found {}, which has "
                             "none; leave out kernel or firmware",
                             config.board->name)};
  if (kernel_argument(config).address)
    return Error{ErrorKind::BadArguments, "kernel " + config.kernel +
                                              ": expected no address, since firmware places it, found one; leave it "
                                              "out"};
  return {};
}

Status check_config(const BootConfig& config) {
  AV_TRY(check_board(config));
  if (config.append && config.append->size() > k_most_append)
    return Error{ErrorKind::BadArguments,
                 fmt::format("kernel command line: expected at most {} bytes, found {}; shorten --append",
                             k_most_append, config.append->size())};
  if (config.kernel.empty() && config.boot_flash().empty() && !config.tree_only && !config.empty_flash)
    return Error{ErrorKind::BadArguments,
                 "expected something to run, found neither --kernel nor --firmware nor --flash; give one"};
  AV_TRY(check_firmware_kernel(config));
  if (config.kernel.empty() && !config.initrd.empty())
    return Error{ErrorKind::BadArguments,
                 "expected --initrd with --kernel, found it without; firmware loads its own, from a disk or the "
                 "network"};
  return {};
}

}  // namespace

std::vector<std::string> input_files(const BootConfig& config) {
  std::vector<std::string> files;
  for (const std::string& path : {kernel_argument(config).path, config.initrd, config.dtb, config.firmware})
    if (!path.empty()) files.push_back(path);
  for (const FlashSpec& bank : config.flash)
    if (!bank.path.empty()) files.push_back(bank.path);
  for (const LoadedFile& loaded : config.loaded)
    if (!loaded.path.empty()) files.push_back(loaded.path);
  for (const FirmwareOptions::File& item : config.items.files)
    if (!item.path.empty()) files.push_back(item.path);
  return files;
}

Result<BootPlan> plan_boot(const BootConfig& config, const StopEvent* stop) {
  AV_TRY(check_config(config));
  const bool flash = !config.boot_flash().empty() || config.empty_flash;
  AV_TRY_ASSIGN(BootPlan plan, !config.kernel.empty() && !config.kernel_for_firmware ? plan_kernel(config, stop)
                               : flash                                               ? plan_firmware(config, stop)
                                                                                     : plan_nothing(config, stop));
  AV_TRY(add_loaded_files(config, plan, stop));
  AV_TRY_ASSIGN(plan.items, read_items(config, stop));
  return plan;
}

bool apply(const BootPlan& plan, GuestRam& ram) {
  for (const Segment& s : plan.segments) {
    if (!ram.contains(s.pa, s.size()) || !ram.write(s.pa, s.bytes)) return false;
    const u64 zeros = s.size() - s.bytes.size();
    if (zeros > 0 && !ram.clear(s.pa + s.bytes.size(), zeros)) return false;
  }
  return true;
}

void start_state(const BootPlan& plan, arm::CpuState& s) {
  s.r[15] = plan.entry & ~1u;
  if (plan.entry & 1) s.psr |= arm::k_psr_t;
  if (!plan.kernel_protocol) return;
  s.r[0] = 0;
  s.r[1] = ~0u;  // no machine type: the tree says what the machine is
  s.r[2] = plan.fdt_address;
}

}  // namespace armvisor::machine
