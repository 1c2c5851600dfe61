// -device loader: what QEMU puts into memory beside what is booted (its docs/system/generic-loader.rst).
#include <fmt/core.h>

#include "qemu/machine.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

constexpr u64 k_longest_data = 8;

/// A number that a property gives; nothing if it is absent or, with an outcome, no number up to `most`.
std::optional<u64> read_number(Line& line, Device& device, std::string_view key, u64 most) {
  const auto text = device.properties.take(key);
  if (!text) return std::nullopt;
  const auto number = parse_unsigned(*text);
  if (number && *number <= most) return number;
  line.outcomes.refused(key_of(device.given, key, *text),
                        fmt::format("expected a number up to {:#x}; change it", most));
  return std::nullopt;
}

std::vector<u8> data_bytes(u64 value, u64 length, bool big_endian) {
  std::vector<u8> bytes;
  for (u64 i = 0; i < length; ++i) bytes.push_back(static_cast<u8>(value >> (8 * (big_endian ? length - 1 - i : i))));
  return bytes;
}

/// What QEMU takes together; empty, or what is expected.
std::string fault(const machine::LoadedFile& loaded, bool data_given, std::optional<u64> length, bool address_given) {
  if (data_given && (!loaded.path.empty() || loaded.raw)) return "expected either a file or data";
  if (data_given && (!length || *length == 0)) return "expected data= together with data-len=, 1 to 8";
  if (data_given || !loaded.path.empty()) return {};
  if (loaded.raw) return "expected file= with force-raw=";
  if (!address_given) return "expected file=FILE, or addr= with data= or cpu-num=";
  return loaded.vcpu ? "" : "expected cpu-num= for an address alone: who is to start there";
}

std::string place(const machine::LoadedFile& loaded, const std::string& what) {
  std::string text = loaded.path.empty() && loaded.data.empty() ? "" : what + " ";
  if (!loaded.path.empty() && !loaded.raw)
    text += fmt::format("where the file says, or at {:#x}", loaded.address);
  else if (!text.empty())
    text += fmt::format("at {:#x}", loaded.address);
  if (!loaded.vcpu) return text;
  return text + fmt::format("{}where vCPU {} starts", text.empty() ? "" : ", ", *loaded.vcpu);
}

}  // namespace

void add_loaded_file(Line& line, Device& device, machine::BootConfig& boot) {
  machine::LoadedFile loaded;
  loaded.path = device.properties.take("file").value_or("");
  loaded.raw = read_bool(line, device.given, device.properties, "force-raw").value_or(false);
  const auto address = read_number(line, device, "addr", ~u64{0});
  const auto data = read_number(line, device, "data", ~u64{0});
  const auto length = read_number(line, device, "data-len", k_longest_data);
  const auto big_endian = read_bool(line, device.given, device.properties, "data-be");
  loaded.address = address.value_or(0);
  if (const auto cpu = read_number(line, device, "cpu-num", line.cpus - 1)) loaded.vcpu = static_cast<u32>(*cpu);
  if (const std::string why = fault(loaded, data || length || big_endian, length, address.has_value()); !why.empty())
    return line.outcomes.refused(device.given.text(), why + "; change it");
  if (length) loaded.data = data_bytes(data.value_or(0), *length, big_endian.value_or(false));
  line.outcomes.mapped(device.given.text(), place(loaded, "in memory"));
  boot.loaded.push_back(std::move(loaded));
}

}  // namespace armvisor::qemu
