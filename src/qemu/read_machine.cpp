// Options that say what the board is like and what it boots.
#include <fmt/core.h>

#include <algorithm>

#include "machine/virt.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

using machine::k_virt;

struct PropertyRow {
  std::string_view name, why;
};
constexpr PropertyRow k_ignored_properties[] = {
#define PROPERTY(name, why) {name, why},
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

using Text = std::pair<std::string_view, void (*)(Line&, const Given&)>;
/// Properties that are options as well.
constexpr Text k_other_names[] = {{"kernel", read_kernel}, {"initrd", read_initrd}, {"append", read_append},
                                  {"dtb", read_dtb},       {"firmware", read_bios}, {"accel", read_accel}};

void read_cpu_count(Line& line, const Given& given, u64 cpus) {
  if (cpus < 1 || cpus > k_virt.max_vcpus)
    return line.outcomes.refused(
        given.text(), fmt::format("expected 1 to {} CPUs, as many as a GICv2 serves; give fewer", k_virt.max_vcpus));
  line.cpus = static_cast<u32>(cpus);
  line.outcomes.mapped(given.text(), fmt::format("{} CPU{}", cpus, cpus == 1 ? "" : "s"));
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
  for (const auto& [name, reader] : k_other_names)
    if (const auto value = values->take(name)) reader(line, {std::string(name), *value});
  for (const PropertyRow& row : k_ignored_properties) ignore_keys(line, given, *values, {row.name}, row.why);
  refuse_unknown_keys(line, given, *values);
}

void read_cpu(Line& line, const Given& given) {
  const std::string model = given.value.substr(0, given.value.find(','));
  if (is_help(model)) {
    line.help = "cpu";
  } else if (model == "cortex-a15" || model == "cortex-a15-arm-cpu") {
    line.outcomes.mapped("-cpu " + model, "Cortex-A15");
  } else if (model == "cortex-a7" || model == "cortex-a7-arm-cpu") {
    line.outcomes.clamped("-cpu " + model, "Cortex-A15", "its instructions are the same, its ID registers are not");
  } else if (model == "max" || model == "host") {
    line.outcomes.clamped("-cpu " + model, "Cortex-A15", "what goes beyond ARMv7-A is optional to guests");
  } else {
    line.outcomes.refused("-cpu " + model,
                          "expected cortex-a15, cortex-a7 or max: there is no other CPU here; change it");
  }
  if (model.size() < given.value.size())
    line.outcomes.ignored("-cpu " + given.value.substr(model.size() + 1),
                          "features are always those of a Cortex-A15 without Security and Virtualization Extensions");
}

void read_accel(Line& line, const Given& given) {
  if (is_help(given.value)) {
    line.help = "accel";
    return;
  }
  line.outcomes.ignored(given.text(), "guest code is always run by this program's own engine");
}

void read_smp(Line& line, const Given& given) {
  auto values = read_list(line, given, "cpus");
  if (!values) return;
  const auto count = values->take("cpus");
  u64 product = 1;
  for (const std::string_view key :
       {"drawers", "books", "sockets", "dies", "clusters", "modules", "cores", "threads"}) {
    const auto text = values->take(key);
    if (!text) continue;
    const auto n = parse_unsigned(*text);
    if (!n || *n == 0 || *n > 1024)
      return line.outcomes.refused(key_of(given, key, *text), "expected a number from 1; change it");
    product = std::min<u64>(product * *n, 1 << 20);
  }
  const auto most = values->take("maxcpus");
  refuse_unknown_keys(line, given, *values);
  const auto cpus = count ? parse_unsigned(*count) : most ? parse_unsigned(*most) : std::optional<u64>(product);
  if (!cpus) return line.outcomes.refused(given.text(), "expected a number of CPUs; change it");
  read_cpu_count(line, given, *cpus);
}

void read_memory(Line& line, const Given& given) {
  constexpr u64 k_mib = u64{1} << 20;
  auto values = read_list(line, given, "size");
  if (!values) return;
  ignore_keys(line, given, *values, {"slots", "maxmem"}, "memory is not added while the machine runs");
  const auto text = values->take("size");
  refuse_unknown_keys(line, given, *values);
  if (!text) return;
  const auto size = parse_size(*text, 20);
  if (!size) return line.outcomes.refused(given.text(), "expected a size such as 512, 512M or 1G; change it");
  line.memory = (*size + k_mib - 1) / k_mib * k_mib;
  if (line.memory > k_virt.ram.size) {
    line.memory = k_virt.ram.size;
    return line.outcomes.clamped(given.text(), fmt::format("{} MiB of RAM", line.memory / k_mib),
                                 "RAM ends below 4 GiB of guest addresses");
  }
  if (line.memory < k_virt.min_ram)
    return line.outcomes.refused(given.text(),
                                 fmt::format("expected at least {} MiB of RAM; give it more", k_virt.min_ram / k_mib));
  line.outcomes.mapped(given.text(), fmt::format("{} MiB of RAM", line.memory / k_mib));
}

void read_kernel(Line& line, const Given& given) {
  line.kernel = given.value;
  line.outcomes.mapped(given.text(), "kernel");
}

void read_initrd(Line& line, const Given& given) {
  line.initrd = given.value;
  line.outcomes.mapped(given.text(), "initial RAM disk");
}

void read_append(Line& line, const Given& given) {
  line.append = given.value;
  line.outcomes.mapped(given.text(), "kernel command line");
}

void read_dtb(Line& line, const Given& given) {
  line.dtb = given.value;
  line.outcomes.mapped(given.text(), "device tree, with RAM and /chosen set to match");
}

void read_bios(Line& line, const Given& given) {
  line.firmware = given.value;
  line.outcomes.mapped(given.text(), "firmware in the first flash bank");
}

void read_data_folder(Line& line, const Given& given) {
  line.data_folders.push_back(given.value);
  line.outcomes.mapped(given.text(), "a folder where -bios looks for files");
}

void read_numa(Line& line, const Given& given) {
  if (given.value == "node" || given.value.starts_with("node,nodeid=0"))
    return line.outcomes.ignored(given.text(), "one node is what there is");
  line.outcomes.refused(given.text(), "expected one node: the machine here has no more; leave it out");
}

}  // namespace armvisor::qemu
