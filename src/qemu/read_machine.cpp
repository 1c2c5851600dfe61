// Options that say what the board is like and what it boots.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "machine/virt.h"
#include "qemu/options.h"
#include "qemu/value_kinds.h"

namespace armvisor::qemu {
namespace {

using machine::k_virt;

constexpr u64 k_mib = u64{1} << 20;
constexpr u64 k_usual_memory = 128 * k_mib;

struct PropertyRow {
  std::string_view name, kind, why;
};
constexpr PropertyRow k_ignored_properties[] = {
#define PROPERTY(name, kind, why) {name, kind, why},
#include "qemu/machine_properties.inc"
#undef PROPERTY
};

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// virt, and virt-X.Y of every version there was and will be.
bool is_virt(std::string_view type) {
  if (type == "virt") return true;
  if (!type.starts_with("virt-")) return false;
  const std::string_view version = type.substr(5);
  const std::size_t dot = version.find('.');
  return dot != std::string_view::npos && is_digits(version.substr(0, dot)) && is_digits(version.substr(dot + 1));
}

void read_machine_type(Line& line, const Given& given, const std::string& type) {
  if (is_help(type)) {
    line.help = "machine";
  } else if (is_virt(type)) {
    line.machine = type;
    line.outcomes.mapped(key_of(given, type, {}), "the board virt");
  } else {
    line.machine = type;
    line.outcomes.refused(key_of(given, type, {}),
                          "expected virt or one of its versions (virt-10.0), the one board here; change it");
  }
}

/// EL2, EL3 and memory tagging: off, or refused.
void read_extension(Line& line, const Given& given, KeyValues& values, std::string_view key, std::string_view what) {
  const auto on = read_bool(line, given, values, key);
  if (!on) return;
  if (*on)
    line.outcomes.refused(key_of(given, key, "on"),
                          "expected off: the CPU here has no " + std::string(what) + "; leave it out if the guest can");
  else
    line.outcomes.mapped(key_of(given, key, "off"), "the CPU without " + std::string(what));
}

void read_gic_version(Line& line, const Given& given, const std::string& version) {
  line.gic_version = version;
  line.gic_option = key_of(given, "gic-version", version);
  if (version == "2") return line.outcomes.mapped(line.gic_option, "GICv2");
  for (const std::string_view other : {"3", "4", "max", "host"})
    if (version == other)
      return line.outcomes.clamped(line.gic_option, "GICv2",
                                   "there is no other here; a guest that reads the device tree does not mind");
  line.outcomes.refused(line.gic_option, "expected 2, 3, 4, max or host; change it");
}

void read_iommu(Line& line, const Given& given, KeyValues& values) {
  const auto iommu = values.take("iommu");
  if (!iommu) return;
  if (*iommu == "none")
    line.outcomes.mapped(key_of(given, "iommu", *iommu), "no IOMMU");
  else
    line.outcomes.refused(key_of(given, "iommu", *iommu), "expected none: there is no IOMMU here; leave it out");
}

void read_flash_nodes(Line& line, const Given& given, KeyValues& values) {
  for (std::size_t bank = 0; bank < line.flash_nodes.size(); ++bank) {
    const std::string key = "pflash" + std::to_string(bank);
    if (const auto node = values.take(key)) line.flash_nodes[bank] = {*node, key_of(given, key, *node)};
  }
}

using Text = std::pair<std::string_view, void (*)(Line&, const Given&)>;
/// Properties that are options as well.
constexpr Text k_other_names[] = {{"kernel", read_kernel},
                                  {"initrd", read_initrd},
                                  {"append", read_append},
                                  {"dtb", read_dtb},
                                  {"firmware", read_bios}};

/// Memory that could be added to a running machine: there is none here, but QEMU wants it to make sense.
bool check_pluggable(Line& line, const Given& given, KeyValues& values, u64 size) {
  const std::size_t before = line.outcomes.all().size();
  const auto slots = read_value(line, given, values, "slots", "number");
  const auto most = read_value(line, given, values, "maxmem", "size");
  if (line.outcomes.all().size() != before) return false;
  const u64 largest = most ? parse_size(*most, 20).value_or(0) : 0;
  const auto refuse = [&](std::string_view key, const std::string& value, const char* why) {
    line.outcomes.refused(key_of(given, key, value), why);
    return false;
  };
  if (slots && !most) return refuse("slots", *slots, "expected maxmem with it; give it or leave both out");
  if (most && largest < size) return refuse("maxmem", *most, "expected at least the size of RAM; change it");
  if (most && slots && *slots != "0" && largest == size)
    return refuse("maxmem", *most, "expected more than the size of RAM, for the slots; change it or leave both out");
  if (slots || most)
    line.outcomes.ignored(given.text(), "memory is not added while the machine runs, so slots and maxmem mean nothing");
  return true;
}

}  // namespace

void read_machine(Line& line, const Given& given) {
  auto values = read_list(line, given, "type");
  if (!values) return;
  if (const auto type = values->take("type")) read_machine_type(line, given, *type);
  if (values->take("help")) line.help = "machine";
  read_extension(line, given, *values, "virtualization", "Virtualization Extensions");
  read_extension(line, given, *values, "secure", "Security Extensions");
  read_extension(line, given, *values, "mte", "memory tagging");
  if (const auto version = values->take("gic-version")) read_gic_version(line, given, *version);
  if (const auto file = values->take("dumpdtb")) {
    line.dump_dtb = *file;
    line.outcomes.mapped(key_of(given, "dumpdtb", *file), "the device tree is written to " + *file + ", nothing runs");
  }
  read_iommu(line, given, *values);
  if (const auto high = read_bool(line, given, *values, "highmem")) {
    line.high_memory = *high;
    line.outcomes.mapped(
        key_of(given, "highmem", *high ? "on" : "off"),
        *high ? "RAM may go beyond 4 GiB, and PCI has a window there" : "RAM ends below 4 GiB, as does PCI");
  }
  if (const auto high = read_bool(line, given, *values, "highmem-mmio")) {
    line.high_window = *high;
    line.outcomes.mapped(key_of(given, "highmem-mmio", *high ? "on" : "off"),
                         *high ? "PCI has a window above 4 GiB" : "PCI has no window above 4 GiB");
  }
  read_flash_nodes(line, given, *values);
  for (const auto& [name, reader] : k_other_names)
    if (const auto value = values->take(name)) reader(line, {std::string(name), *value});
  if (const auto accel = values->take("accel")) read_accelerators(line, given, *accel);
  if (const auto backend = values->take("memory-backend"))
    line.memory_backend = {key_of(given, "memory-backend", *backend), *backend};
  for (const PropertyRow& row : k_ignored_properties)
    if (const auto value = read_value(line, given, *values, row.name, row.kind))
      line.outcomes.ignored(key_of(given, row.name, *value), std::string(row.why));
  refuse_unknown_keys(line, given, *values);
}

void read_memory(Line& line, const Given& given) {
  auto more = read_list(line, given, "size");
  if (!more) return;
  line.memory_keys.append(*more);
  KeyValues values = line.memory_keys;
  const auto text = values.take("size");
  std::optional<u64> size = text ? parse_size(*text, 20) : 0;
  if (!size) return line.outcomes.refused(given.text(), "expected a size such as 512, 512M or 1G; change it");
  line.memory_given = *size != 0;
  const std::string usual = *size == 0 ? ", as by default" : "";
  if (*size == 0) size = k_usual_memory;
  if (!check_pluggable(line, given, values, *size)) return;
  refuse_unknown_keys(line, given, values);
  line.memory = (*size + k_mib - 1) / k_mib * k_mib;
  if (line.memory > k_virt.ram.size) {
    line.memory = k_virt.ram.size;
    return line.outcomes.clamped(given.text(), fmt::format("{} MiB of RAM", line.memory / k_mib),
                                 "more than a 32-bit kernel can make use of");
  }
  line.outcomes.mapped(given.text(), fmt::format("{} MiB of RAM{}", line.memory / k_mib, usual));
}

void read_kernel(Line& line, const Given& given) {
  if (!check_file_name(line, given)) return;
  line.kernel = given.value;
  line.outcomes.mapped(given.text(), "kernel");
}

void read_initrd(Line& line, const Given& given) {
  if (!check_file_name(line, given)) return;
  line.initrd = given.value;
  line.outcomes.mapped(given.text(), "initial RAM disk");
}

void read_append(Line& line, const Given& given) {
  line.append = given.value;
  line.outcomes.mapped(given.text(), "kernel command line");
}

void read_dtb(Line& line, const Given& given) {
  if (!check_file_name(line, given)) return;
  line.dtb = given.value;
  line.outcomes.mapped(given.text(), "device tree, with RAM and /chosen set to match");
}

void read_bios(Line& line, const Given& given) {
  if (!check_file_name(line, given)) return;
  line.firmware = given.value;
  line.outcomes.mapped(given.text(), "firmware in the first flash bank");
}

void read_data_folder(Line& line, const Given& given) {
  line.data_folders.push_back(given.value);
  line.outcomes.mapped(given.text(), "a folder where -bios looks for files");
}

/// One node, which QEMU wants to have memory of its own.
void read_numa(Line& line, const Given& given) {
  auto values = read_list(line, given, "type");
  if (!values) return;
  const auto memory = values->take("memdev");
  if (values->take("type") != "node" || !memory || line.numa_memory || values->take("nodeid").value_or("0") != "0")
    return line.outcomes.refused(given.text(),
                                 "expected one node with memdev=ID: the machine here has no more; leave it out");
  values->take("cpus");
  refuse_unknown_keys(line, given, *values);
  line.numa_memory = {given.text(), *memory};
}

}  // namespace armvisor::qemu
