// Options about CPUs, and about what runs them.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "machine/virt.h"
#include "qemu/options.h"
#include "qemu/value_kinds.h"

namespace armvisor::qemu {
namespace {

using machine::k_virt;

constexpr const char* k_own_engine = "guest code is always run by this program's own engine";

struct Accelerator {
  std::string_view name, shape;
};
constexpr Accelerator k_accelerators[] = {
    {"tcg", "[name]=text,thread=single|multi,tb-size=number,split-wx=bool,one-insn-per-tb=bool"},
    {"kvm",
     "[name]=text,kernel-irqchip=on|off|split,kvm-shadow-mem=number,dirty-ring-size=number,eager-split-size=size,"
     "notify-vmexit=run|internal-error|disable,notify-window=number,honor-guest-pat=bool,device=text"},
    {"hvf", "[name]=text,kernel-irqchip=on|off|split,ipa-granule-size=number"},
    {"xen", "[name]=text,igd-passthru=bool"},
    {"whpx", "[name]=text,kernel-irqchip=on|off|split"},
    {"nvmm", "[name]=text"},
    {"hax", "[name]=text"},
};

const Accelerator* find_accelerator(std::string_view name) {
  const auto row = std::ranges::find(k_accelerators, name, &Accelerator::name);
  return row == std::end(k_accelerators) ? nullptr : &*row;
}

void refuse_accelerator(Line& line, const std::string& where) {
  line.outcomes.refused(where, "expected tcg, kvm, hvf, xen, whpx, nvmm or hax; change it");
}
void refuse_second_accelerators(Line& line, const std::string& where) {
  line.outcomes.refused(where, "expected -accel or -machine accel=, found both; leave out one");
}

/// The levels of -smp, as QEMU completes them since 6.2; 0: not given.
struct SmpNumbers {
  u64 cpus = 0, sockets = 0, clusters = 0, cores = 0, threads = 0, most = 0;

  std::array<std::pair<std::string_view, u64*>, 6> keys() {
    return {{{"cpus", &cpus},
             {"sockets", &sockets},
             {"clusters", &clusters},
             {"cores", &cores},
             {"threads", &threads},
             {"maxcpus", &most}}};
  }
  /// Cores are what is not said, or else sockets, or else threads.
  void fill_in() {
    const u64 all = most ? most : cpus;
    if (clusters == 0) clusters = 1;
    if (threads == 0 && (all == 0 || cores == 0 || sockets == 0)) threads = 1;
    if (sockets == 0 && (all == 0 || cores == 0)) sockets = 1;
    if (cores == 0) cores = all ? all / (sockets * clusters * threads) : 1;
    if (sockets == 0) sockets = all / (cores * clusters * threads);
    if (threads == 0) threads = all / (sockets * clusters * cores);
    if (most == 0) most = all ? all : product();
    if (cpus == 0) cpus = most;
  }
  u64 product() const { return sockets * clusters * cores * threads; }
  std::string fault() const {
    if (product() != most)
      return fmt::format("expected sockets x clusters x cores x threads to be {}, found {} x {} x {} x {}; change them",
                         most, sockets, clusters, cores, threads);
    if (cpus > most) return fmt::format("expected at most {} CPUs, by maxcpus, found {}; change one", most, cpus);
    return {};
  }
};

/// Properties of CPUs; `only`: what the CPU here is, empty if it does not show.
struct Feature {
  std::string_view name, kind, only;
};
constexpr Feature k_features[] = {
    {"pmu", "bool", "on"},
    {"neon", "bool", "on"},
    {"vfp", "bool", "on"},
    {"vfp-d32", "bool", "on"},
    {"cfgend", "bool", "off"},
    {"reset-hivecs", "bool", "off"},
    {"start-powered-off", "bool", "off"},
    {"has_el2", "bool", ""},  // the board turns both off, unless virtualization=on and secure=on ask for them
    {"has_el3", "bool", ""},
    {"backcompat-cntfrq", "bool", ""},
    {"backcompat-pauth-default-use-qarma5", "bool", ""},
    {"core-count", "number", ""},
    {"midr", "number", "0"},
    {"cntfrq", "number", "0"},
    {"reset-cbar", "number", "0"},
};

bool means(const Feature& feature, std::string_view value) {
  if (feature.kind == "bool") return parse_bool(value) == parse_bool(feature.only);
  return parse_unsigned(value) == parse_unsigned(feature.only);
}

void read_feature(Line& line, std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::string where = "-cpu " + std::string(text);
  if (equals == std::string_view::npos) return line.outcomes.refused(where, "expected FEATURE=VALUE; change it");
  const std::string_view value = text.substr(equals + 1);
  const auto feature = std::ranges::find(k_features, text.substr(0, equals), &Feature::name);
  if (feature == std::end(k_features))
    return line.outcomes.refused(where, "expected a feature that is known here; leave it out");
  if (!is_value(feature->kind, value))
    return line.outcomes.refused(where, "expected " + values_text(feature->kind) + "; change it");
  if (!feature->only.empty() && !means(*feature, value))
    return line.outcomes.refused(
        where, fmt::format("expected {}, as the CPU here always has it; leave it out", feature->only));
  line.outcomes.ignored(where, "it is so here, or shows in no guest");
}

void read_cpu_count(Line& line, const Given& given, u64 cpus) {
  if (cpus < 1 || cpus > k_virt.max_vcpus)
    return line.outcomes.refused(
        given.text(), fmt::format("expected 1 to {} CPUs, as many as a GICv2 serves; give fewer", k_virt.max_vcpus));
  line.cpus = static_cast<u32>(cpus);
  line.outcomes.mapped(given.text(), fmt::format("{} CPU{}", cpus, cpus == 1 ? "" : "s"));
}

/// A model, or its class of QEMU's.
void read_model(Line& line, const std::string& model) {
  constexpr std::string_view k_class = "-arm-cpu";
  const std::string name = model == "host" ? "max" : model.substr(0, model.size() - (model.ends_with(k_class) ? 8 : 0));
  const std::string where = "-cpu " + model;
  line.cpu = arm::find_cpu_model(name);
  if (!line.cpu)
    line.outcomes.refused(where, "expected cortex-a15, cortex-a7 or max: there is no other CPU here; change it");
  else if (line.cpu == arm::CpuModel::Max)
    line.outcomes.clamped(where, "max, without what is of ARMv8", "its ID registers do not promise that");
  else
    line.outcomes.mapped(where, name);
}

}  // namespace

void read_cpu(Line& line, const Given& given) {
  const std::string model = given.value.substr(0, given.value.find(','));
  if (is_help(model))
    line.help = "cpu";
  else
    read_model(line, model);
  for (std::string_view rest = std::string_view(given.value).substr(model.size()); !rest.empty();) {
    const std::size_t end = rest.find(',');
    if (end > 0) read_feature(line, rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
}

void read_accel(Line& line, const Given& given) {
  if (is_help(given.value)) {
    line.help = "accel";
    return;
  }
  const std::string name = given.value.substr(0, given.value.find(','));
  const Accelerator* const accelerator = find_accelerator(name);
  if (!accelerator) return refuse_accelerator(line, given.text());
  if (line.accelerators == Line::Accelerators::OfMachine) return refuse_second_accelerators(line, given.text());
  line.accelerators = Line::Accelerators::Own;
  if (!check_shape(line, given, accelerator->shape)) return;
  line.outcomes.ignored(given.text(), k_own_engine);
}

/// -machine accel=A:B:C: QEMU takes the first that there is.
void read_accelerators(Line& line, const Given& given, std::string_view names) {
  const std::string where = key_of(given, "accel", names);
  if (line.accelerators == Line::Accelerators::Own) return refuse_second_accelerators(line, where);
  line.accelerators = Line::Accelerators::OfMachine;
  for (std::size_t at = 0; at <= names.size();) {
    const std::size_t end = std::min(names.find(':', at), names.size());
    if (find_accelerator(names.substr(at, end - at))) return line.outcomes.ignored(where, k_own_engine);
    at = end + 1;
  }
  refuse_accelerator(line, where);
}

void read_smp(Line& line, const Given& given) {
  auto more = read_list(line, given, "cpus");
  if (!more) return;
  line.smp.append(*more);
  KeyValues values = line.smp;
  SmpNumbers n;
  for (const auto& [key, number] : n.keys()) {
    const auto text = values.take(key);
    if (!text) continue;
    *number = parse_unsigned(*text).value_or(0);
    if (*number == 0 || *number > 1024)
      return line.outcomes.refused(key_of(given, key, *text), "expected a number from 1 to 1024; change it");
  }
  for (const std::string_view key : {"drawers", "books", "dies", "modules"})
    if (const auto text = values.take(key); text && *text != "1")
      return line.outcomes.refused(key_of(given, key, *text), "expected 1: the board has no such level; leave it out");
  refuse_unknown_keys(line, given, values);
  n.fill_in();
  if (const std::string fault = n.fault(); !fault.empty()) return line.outcomes.refused(given.text(), fault);
  read_cpu_count(line, given, n.cpus);
}

}  // namespace armvisor::qemu
