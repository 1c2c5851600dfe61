#include "machine/loader.h"

#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "base/bits.h"
#include "machine/fdt.h"
#include "machine/memory_map.h"

namespace armvisor::machine {
namespace {

constexpr u64 k_mib = u64{1} << 20;
constexpr u64 k_fdt_room = 2 * k_mib;   ///< the kernel maps at most this much of a tree
constexpr u64 k_fdt_growth = 64 << 10;  ///< at least so much may be added to a tree, if k_fdt_room has it

Error no_room(const std::string& what, u64 ram_size) {
  return Error{ErrorKind::BadInput, what + ": expected more RAM than the machine's " +
                                        std::to_string(ram_size / k_mib) + " MiB; give it more with --memory"};
}

FdtConfig fdt_config(const BootConfig& config, u64 initrd_start, u64 initrd_size) {
  FdtConfig f;
  f.ram_size = config.ram_size;
  f.vcpus = config.vcpus;
  f.bootargs = config.append;
  f.initrd_start = initrd_start;
  f.initrd_end = initrd_start + initrd_size;
  // The pool is always ready this early in a host's life or the call waits for it; a failure leaves zeros, which the
  // guest mixes in harmlessly.
  [[maybe_unused]] const ssize_t n = getrandom(f.rng_seed.data(), f.rng_seed.size(), 0);
  return f;
}

Result<std::vector<u8>> tree(const BootConfig& config, const FdtConfig& f) {
  if (config.dtb.empty()) return make_fdt(f);
  AV_TRY_ASSIGN(const std::vector<u8> user, read_file(config.dtb, "device tree"));
  AV_TRY_ASSIGN(std::vector<u8> fdt, complete_fdt(user, config.dtb, f));
  if (fdt.size() > k_fdt_room)
    return Error{ErrorKind::BadInput, "device tree " + config.dtb + ": expected at most 2 MiB, found " +
                                          std::to_string(fdt.size()) + " bytes; make it smaller"};
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
  s.memory_size = std::clamp<u64>(fdt.size() + k_fdt_growth, k_mib, k_fdt_room);
  set_fdt_room(s.bytes, static_cast<u32>(s.memory_size));
  return s;
}

Result<BootPlan> plan_firmware(const BootConfig& config) {
  BootPlan plan;
  AV_TRY_ASSIGN(const std::vector<u8> firmware, read_file(config.firmware, "firmware"));
  if (firmware.size() > k_flash_size)
    return Error{ErrorKind::BadInput, "firmware " + config.firmware + ": expected at most " +
                                          std::to_string(k_flash_size / k_mib) + " MiB, found " +
                                          std::to_string(firmware.size()) + " bytes; give the right file"};
  AV_TRY_ASSIGN(plan.fdt, tree(config, fdt_config(config, 0, 0)));
  plan.fdt_address = static_cast<u32>(k_ram_base.value);  // where U-Boot and UEFI for this board look for it
  plan.segments.push_back(fdt_segment(plan.fdt_address, plan.fdt));
  plan.entry = static_cast<u32>(k_flash0_base.value);
  return plan;
}

/// The kernel where its format says; the tree, then the initrd, far enough above it that it can decompress, and low
/// enough that the kernel's direct mapping covers them.
Result<BootPlan> plan_kernel(const BootConfig& config) {
  BootPlan plan;
  AV_TRY_ASSIGN(Image image, load_image(ImageArgument::parse(config.kernel), k_ram_base, config.ram_size));
  const u64 ram_end = k_ram_base.value + config.ram_size;
  u64 fdt_at = k_ram_base.value + std::min<u64>(config.ram_size / 2, 128 * k_mib);
  fdt_at = std::max(fdt_at, align_up<u64>(image.end.value, k_fdt_room));
  if (fdt_at + k_fdt_room > ram_end && image.segments.front().pa.value >= k_ram_base.value + k_fdt_room)
    fdt_at = k_ram_base.value;  // an image at the very end of RAM
  if (fdt_at + k_fdt_room > ram_end) return no_room("kernel " + config.kernel, config.ram_size);
  const u64 initrd_at = fdt_at + k_fdt_room;
  std::vector<u8> initrd;
  if (!config.initrd.empty()) {
    AV_TRY_ASSIGN(initrd, read_file(config.initrd, "initrd"));
    if (initrd.size() > ram_end - initrd_at) return no_room("initrd " + config.initrd, config.ram_size);
  }
  AV_TRY_ASSIGN(plan.fdt, tree(config, fdt_config(config, initrd_at, initrd.size())));
  plan.entry = image.entry;
  plan.kernel_protocol = true;
  plan.fdt_address = static_cast<u32>(fdt_at);
  plan.segments = std::move(image.segments);
  plan.segments.push_back(fdt_segment(fdt_at, plan.fdt));
  if (!initrd.empty()) plan.segments.push_back(segment(GuestPa(initrd_at), std::move(initrd)));
  return plan;
}

Status check_config(const BootConfig& config) {
  if (config.ram_size < k_ram_min || config.ram_size > k_ram_max || config.ram_size % k_mib != 0)
    return Error{ErrorKind::BadArguments,
                 "RAM: expected a whole number of MiB from " + std::to_string(k_ram_min / k_mib) + " to " +
                     std::to_string(k_ram_max / k_mib) +
                     " (what lies above 0x40000000 in 32-bit physical space), found " +
                     (config.ram_size % k_mib == 0 ? std::to_string(config.ram_size / k_mib) + " MiB"
                                                   : std::to_string(config.ram_size) + " bytes") +
                     "; change --memory"};
  if (config.vcpus < 1 || config.vcpus > k_max_vcpus)
    return Error{ErrorKind::BadArguments, "vCPUs: expected 1 to " + std::to_string(k_max_vcpus) + ", found " +
                                              std::to_string(config.vcpus) + "; change --cpus"};
  if (config.kernel.empty() == config.firmware.empty())
    return Error{ErrorKind::BadArguments,
                 config.kernel.empty() ? "expected something to run, found neither --kernel nor --firmware; give one"
                                       : "expected --kernel or --firmware, found both; give one"};
  if (!config.firmware.empty() && !config.initrd.empty())
    return Error{ErrorKind::BadArguments,
                 "expected --initrd with --kernel, found it with --firmware; firmware loads its "
                 "own, from a disk or the network"};
  return {};
}

}  // namespace

std::vector<std::string> input_files(const BootConfig& config) {
  std::vector<std::string> files;
  for (const std::string& path : {ImageArgument::parse(config.kernel).path, config.initrd, config.dtb, config.firmware})
    if (!path.empty()) files.push_back(path);
  return files;
}

Result<BootPlan> plan_boot(const BootConfig& config) {
  AV_TRY(check_config(config));
  return config.firmware.empty() ? plan_kernel(config) : plan_firmware(config);
}

bool apply(const BootPlan& plan, GuestRam& ram) {
  for (const Segment& s : plan.segments) {
    const u64 size = std::max<u64>(s.memory_size, s.bytes.size());
    if (!ram.contains(s.pa, size) || !ram.write(s.pa, s.bytes)) return false;
    if (size > s.bytes.size()) {
      const GuestPa rest = s.pa + s.bytes.size();
      std::memset(ram.host(rest), 0, size - s.bytes.size());
      ram.mark_written(rest, size - s.bytes.size());
    }
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
