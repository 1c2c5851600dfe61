#include "machine/loaded_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>

#include "base/input_file.h"
#include "machine/loader.h"

namespace armvisor::machine {
namespace {

constexpr const char* k_role = "file for memory";

std::string name_of(const LoadedFile& loaded) {
  return loaded.path.empty() ? "data for memory" : std::string(k_role) + " " + loaded.path;
}

/// ":LLAAAATT": how each record of an Intel HEX file begins.
bool is_intel_hex(const std::vector<u8>& file) {
  constexpr std::size_t k_digits = 8;
  return file.size() > k_digits && file[0] == ':' &&
         std::all_of(file.begin() + 1, file.begin() + 1 + k_digits, [](u8 c) { return std::isxdigit(c) != 0; });
}

Image raw_image(std::vector<u8> bytes, u64 address) {
  const u64 size = bytes.size();
  Image image;
  image.entry = static_cast<u32>(address);
  if (size) image.segments.push_back({GuestPa(address), std::move(bytes), size});
  return image;
}

Result<Image> read(const LoadedFile& loaded, const ImageRoom& room) {
  if (loaded.path.empty()) return raw_image(loaded.data, loaded.address);
  // Room for what an ELF file has beside what is loaded: symbols, and what a debugger reads.
  constexpr u64 k_beside = u64{256} << 20;
  AV_TRY_ASSIGN(std::vector<u8> file, read_file(loaded.path, k_role, room.ram_size + k_beside,
                                                "that is the machine's RAM; give it more", room.stop));
  if (!loaded.raw && is_elf(file)) return load_elf(loaded.path, file, room);
  if (!loaded.raw && is_uimage(file)) return load_uimage(loaded.path, file, room);
  if (!loaded.raw && is_intel_hex(file))
    return Error{ErrorKind::BadInput, fmt::format("{}: expected an ELF file, a U-Boot image or raw bytes, found Intel "
                                                  "HEX; convert it with objcopy -O binary, or say force-raw=on",
                                                  name_of(loaded))};
  return raw_image(std::move(file), loaded.address);
}

Status check_place(const LoadedFile& loaded, const Segment& s, const BootPlan& plan, const ImageRoom& room) {
  const u64 first = s.pa.value, size = s.size();
  const u64 ram = room.ram_base.value;
  if (!room.holds(s))
    return Error{ErrorKind::BadInput,
                 fmt::format("{}: expected a place in RAM, which is from {:#x} to {:#x}, found {:#x} to {:#x}; load it "
                             "elsewhere, or give the machine more",
                             name_of(loaded), ram, ram + room.ram_size, first, first + size)};
  for (const Segment& other : plan.segments)
    if (first < other.pa.value + other.size() && other.pa.value < first + size)
      return Error{ErrorKind::BadInput,
                   fmt::format("{}: expected a place of its own, found {:#x} to {:#x}, where something else lies from "
                               "{:#x} to {:#x} (the device tree is at the start of RAM if there is no kernel); load it "
                               "elsewhere",
                               name_of(loaded), first, first + size, other.pa.value, other.pa.value + other.size())};
  return {};
}

}  // namespace

Status add_loaded_files(const BootConfig& config, BootPlan& plan, const StopEvent* stop) {
  const ImageRoom room{config.board->ram.base, config.ram_size, {}, stop};
  for (const LoadedFile& loaded : config.loaded) {
    AV_TRY_ASSIGN(Image image, read(loaded, room));
    for (Segment& s : image.segments) {
      AV_TRY(check_place(loaded, s, plan, room));
      plan.segments.push_back(std::move(s));
    }
    if (loaded.vcpu == 0u) {
      if (loaded.address >> 32 != 0)
        return Error{ErrorKind::BadInput,
                     fmt::format("{}: expected an address below 4 GiB for what a CPU starts at, found "
                                 "{:#x}; load it lower",
                                 name_of(loaded), loaded.address)};
      plan.entry = image.entry;
      plan.kernel_protocol = false;
    }
  }
  return {};
}

}  // namespace armvisor::machine
