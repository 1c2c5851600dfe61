#include "monitor/qmp.h"

#include <algorithm>
#include <optional>
#include <ranges>
#include <string_view>
#include <utility>

#include "base/platform.h"
#include "monitor/hmp.h"
#include "monitor/objects.h"
#include "monitor/pci_classes.h"
#include "monitor/schema.h"

namespace armvisor::monitor {
namespace {

constexpr const char* k_generic = "GenericError";
constexpr const char* k_not_found = "CommandNotFound";
constexpr const char* k_no_balloon = "No balloon device has been activated";  // of a class of its own, DeviceNotActive
constexpr const char* k_no_device = "DeviceNotFound";

void write_json(const Json& value, bool pretty, int depth, std::string& out) {
  if (!value.is_structured()) {
    out += value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return;
  }
  const auto line = [&](int levels) {
    if (pretty) out += "\n" + std::string(static_cast<std::size_t>(levels) * 4, ' ');
  };
  out += value.is_object() ? '{' : '[';
  bool first = true;
  for (const auto& [key, member] : value.items()) {
    if (!std::exchange(first, false)) out += pretty ? "," : ", ";
    line(depth + 1);
    if (value.is_object()) out += Json(key).dump(-1, ' ', false, Json::error_handler_t::replace) + ": ";
    write_json(member, pretty, depth + 1, out);
  }
  if (!value.empty()) line(depth);
  out += value.is_object() ? '}' : ']';
}

Json version_json(const VersionInfo& v) {
  return {{"qemu", {{"micro", v.micro}, {"minor", v.minor}, {"major", v.major}}}, {"package", v.package}};
}

Error generic(std::string text) { return {ErrorKind::BadArguments, std::move(text)}; }

/// `known`: as qmp_commands.inc has them. Those of the plain types are checked; of others the command looks.
Status check_arguments(const Json& arguments, std::string_view known) {
  std::size_t found = 0;
  for (const auto part : known | std::views::split(' ')) {
    const std::string_view word(part.begin(), part.end());
    if (word.empty()) continue;
    const std::size_t colon = word.find(':');
    const bool optional = word[colon - 1] == '?';
    const std::string name(word.substr(0, colon - optional));
    const std::string_view type = word.substr(colon + 1);
    const auto value = arguments.find(name);
    if (value == arguments.end()) {
      if (!optional) return generic("Parameter '" + name + "' is missing");
      continue;
    }
    ++found;
    const auto expect = [&](bool is, const char* what) -> Status {
      if (is) return {};
      return generic("Invalid parameter type for '" + name + "', expected: " + what);
    };
    if (type == "str") AV_TRY(expect(value->is_string(), "string"));
    if (type == "int") AV_TRY(expect(value->is_number_integer(), "integer"));
    if (type == "bool") AV_TRY(expect(value->is_boolean(), "boolean"));
  }
  if (found == arguments.size()) return {};
  for (const auto& [key, value] : arguments.items()) {
    const auto is_key = [&name = key](const auto& part) {
      const std::string_view word(part.begin(), part.end());
      return word.starts_with(name) &&
             (word.substr(name.size()).starts_with(':') || word.substr(name.size()).starts_with("?:"));
    };
    if (!std::ranges::any_of(known | std::views::split(' '), is_key))
      return generic("Parameter '" + key + "' is unexpected");
  }
  return {};
}

Json pci_json(const PciDeviceInfo& d) {
  Json j{{"bus", d.bus}, {"slot", d.slot}, {"function", d.function}, {"class_info", {{"class", d.device_class}}}};
  if (const char* const name = pci_class_name(d.device_class)) j["class_info"]["desc"] = name;
  j["id"] = {
      {"device", d.device}, {"vendor", d.vendor}, {"subsystem", d.subsystem}, {"subsystem-vendor", d.subsystem_vendor}};
  if (d.pin) j["irq"] = d.line;
  j["irq_pin"] = d.pin;
  j["qdev_id"] = d.id;
  j["regions"] = Json::array();
  for (const PciDeviceInfo::Region& r : d.regions) {
    Json region{{"bar", r.index}, {"size", r.size}, {"type", r.io ? "io" : "memory"}};
    if (r.address)
      region["address"] = *r.address;
    else
      region["address"] = -1;
    if (!r.io) {
      region["prefetch"] = r.prefetchable;
      region["mem_type_64"] = r.wide;
    }
    j["regions"].push_back(std::move(region));
  }
  return j;
}

constexpr std::string_view k_negotiation = "qmp_capabilities";

/// What is said of a command that is not here; nothing: it is.
std::optional<std::string> why_not_here(const std::string& name) {
  constexpr std::pair<std::string_view, std::string_view> k_commands[] = {
#define QMP(name, function, arguments, returns) {name, {}},
#define CONSTANT(name, answer, returns) {name, {}},
#define EVENT(name, data)
#define NOT_HERE(name, why) {name, why},
#include "monitor/qmp_commands.inc"
#undef QMP
#undef CONSTANT
#undef EVENT
#undef NOT_HERE
  };
  const auto row = std::ranges::find(k_commands, std::string_view(name), [](const auto& r) { return r.first; });
  const std::string said = "The command " + name + " has not been found";
  if (row == std::end(k_commands)) return said;
  if (row->second.empty()) return std::nullopt;
  return said + ": " + std::string(row->second);
}

Json block_json(const BlockInfo& b) {
  return {{"io-status", "ok"},
          {"device", b.device},
          {"locked", false},
          {"removable", b.removable},
          {"inserted",
           {{"iops_rd", 0},
            {"image", {{"virtual-size", b.size}, {"filename", b.file}, {"format", b.format}}},
            {"iops_wr", 0},
            {"ro", b.read_only},
            {"drv", b.format},
            {"iops", 0},
            {"bps_wr", 0},
            {"encrypted", false},
            {"bps", 0},
            {"bps_rd", 0},
            {"file", b.file}}},
          {"type", "unknown"}};
}

}  // namespace

std::string json_text(const Json& value, bool pretty) {
  std::string text;
  write_json(value, pretty, 0, text);
  return text;
}

// --- the protocol

void QmpSession::opened() {
  stream_.reset();
  negotiated_ = false;
  say({{"QMP", {{"version", version_json(machine_.version())}, {"capabilities", Json::array()}}}});
}

void QmpSession::closed() { negotiated_ = false; }

std::size_t QmpSession::take(std::string_view bytes) {
  JsonStream::Item item;
  bool found = false;
  const std::size_t n = stream_.read(bytes, item, found);
  if (found) answer(item);
  return n;
}

void QmpSession::say(const Json& value) { say_(json_text(value, pretty_) + "\r\n"); }

void QmpSession::say_error(const char* error_class, const std::string& text, const Json* id) {
  Json j{{"error", {{"class", error_class}, {"desc", text}}}};
  if (id) j["id"] = *id;
  say(j);
}

std::string QmpSession::event_text(const Event& event) {
  if (!negotiated_) return {};
  Json j{{"timestamp", {{"seconds", event.realtime_us / 1'000'000}, {"microseconds", event.realtime_us % 1'000'000}}},
         {"event", event.name}};
  if (!event.data.empty()) j["data"] = Json::parse(event.data, nullptr, false);
  return json_text(j, pretty_) + "\r\n";
}

void QmpSession::answer(const JsonStream::Item& item) {
  if (!item.error.empty()) return say_error(k_generic, item.error);
  const Json command = Json::parse(item.text, nullptr, false);
  if (command.is_discarded()) {
    const bool word = item.text.find_first_of("{[\"") == std::string::npos;
    return say_error(k_generic, word ? "JSON parse error, invalid keyword '" + item.text + "'"
                                     : "JSON parse error, expecting value");
  }
  if (!command.is_object()) return say_error(k_generic, "QMP input must be a JSON object");
  execute(command);
}

Status QmpSession::check(const Json& command) const {
  for (const auto& [key, value] : command.items()) {
    if (key == "execute" || key == "exec-oob") {
      if (!value.is_string()) return generic("QMP input member '" + key + "' must be a string");
    } else if (key == "arguments") {
      if (!value.is_object()) return generic("QMP input member 'arguments' must be an object");
    } else if (key != "id") {
      return generic("QMP input member '" + key + "' is unexpected");
    }
  }
  if (command.contains("execute") == command.contains("exec-oob"))
    return generic(command.contains("execute") ? "QMP input members 'execute' and 'exec-oob' clash"
                                               : "QMP input lacks member 'execute'");
  if (command.contains("exec-oob")) return generic("QMP input member 'exec-oob' is unexpected");
  return {};
}

void QmpSession::execute(const Json& command) {
  const auto given_id = command.find("id");
  const Json* const id = given_id == command.end() ? nullptr : &*given_id;
  if (const Status sound = check(command); !sound) return say_error(k_generic, sound.error().message, id);
  const std::string name = command["execute"];
  const bool is_negotiation = name == k_negotiation;
  if (!negotiated_ && !is_negotiation)
    return say_error(k_not_found, "Expecting capabilities negotiation with 'qmp_capabilities'", id);
  if (const auto why = why_not_here(name)) return say_error(k_not_found, *why, id);
  if (negotiated_ && is_negotiation)
    return say_error(k_not_found, "Capabilities negotiation is already complete, command ignored", id);
  auto result = run(name, command.value("arguments", Json::object()));
  if (!result) {
    const std::string& why = result.error().message;
    // Only an object that is not there is wrong input of a command that is sound.
    const bool no_object = result.error().kind == ErrorKind::BadInput;
    return say_error(why == k_no_balloon ? "DeviceNotActive" : no_object ? k_no_device : k_generic, why, id);
  }
  Json j{{"return", *std::move(result)}};
  if (id) j["id"] = *id;
  say(j);
}

/// One that is here.
Result<Json> QmpSession::run(std::string_view name, const Json& arguments) {
  struct Row {
    std::string_view name;
    Result<Json> (QmpSession::*function)(const Json&);
    std::string_view arguments, answer;
  };
  static constexpr Row k_commands[] = {
#define QMP(name, function, arguments, returns) {name, &QmpSession::function, arguments, {}},
#define CONSTANT(name, answer, returns) {name, nullptr, {}, answer},
#define EVENT(name, data)
#define NOT_HERE(name, why)
#include "monitor/qmp_commands.inc"
#undef QMP
#undef CONSTANT
#undef EVENT
#undef NOT_HERE
  };
  const auto row = std::ranges::find(k_commands, name, &Row::name);
  AV_TRY(check_arguments(arguments, row->arguments));
  return row->function ? (this->*row->function)(arguments) : Result<Json>(Json::parse(row->answer));
}

// --- the commands

Result<Json> QmpSession::capabilities(const Json& arguments) {
  if (const auto enable = arguments.find("enable"); enable != arguments.end()) {
    if (!enable->is_array()) return generic("Invalid parameter type for 'enable', expected: array");
    for (const Json& one : *enable)
      return generic("Capability " + (one.is_string() ? one.get<std::string>() : one.dump()) + " not available");
  }
  negotiated_ = true;
  return Json::object();
}

Result<Json> QmpSession::query_version(const Json&) { return version_json(machine_.version()); }

Result<Json> QmpSession::query_commands(const Json&) {
  Json all = Json::array();
#define QMP(name, function, arguments, returns) all.push_back({{"name", name}});
#define CONSTANT(name, answer, returns) all.push_back({{"name", name}});
#define EVENT(name, data)
#define NOT_HERE(name, why)
#include "monitor/qmp_commands.inc"
#undef QMP
#undef CONSTANT
#undef EVENT
#undef NOT_HERE
  return all;
}

Result<Json> QmpSession::query_status(const Json&) {
  const RunState state = machine_.state();
  return Json{{"status", name(state)}, {"running", state == RunState::Running}};
}

Result<Json> QmpSession::query_name(const Json&) {
  const std::string name = machine_.name();
  return name.empty() ? Json::object() : Json{{"name", name}};
}

Result<Json> QmpSession::query_uuid(const Json&) { return Json{{"UUID", machine_.uuid()}}; }

Result<Json> QmpSession::query_kvm(const Json&) { return Json{{"enabled", false}, {"present", false}}; }

Result<Json> QmpSession::query_target(const Json&) { return Json{{"arch", "arm"}}; }

Result<Json> QmpSession::query_machines(const Json&) {
  const Json virt{{"hotpluggable-cpus", false},
                  {"name", "virt"},
                  {"numa-mem-supported", false},
                  {"default-cpu-type", "cortex-a15-arm-cpu"},
                  {"cpu-max", k_max_vcpus},
                  {"deprecated", false},
                  {"default-ram-id", "mach-virt.ram"},
                  {"acpi", false}};
  return Json::array({virt});
}

/// Those of -cpu.
Result<Json> QmpSession::query_cpu_definitions(const Json&) {
  Json all = Json::array();
  for (const std::string name : {"cortex-a7", "cortex-a15", "max"})
    all.push_back({{"name", name}, {"typename", name + "-arm-cpu"}, {"static", false}, {"deprecated", false}});
  return all;
}

Result<Json> QmpSession::query_cpus(const Json&) {
  Json all = Json::array();
  for (const CpuInfo& cpu : machine_.cpus())
    all.push_back({{"thread-id", cpu.thread_id},
                   {"props", {{"core-id", cpu.index}, {"thread-id", 0}, {"socket-id", 0}, {"cluster-id", 0}}},
                   {"qom-path", "/machine/unattached/device[" + std::to_string(cpu.index) + "]"},
                   {"cpu-index", cpu.index},
                   {"target", "arm"}});
  return all;
}

Result<Json> QmpSession::query_block(const Json&) {
  Json all = Json::array();
  for (const BlockInfo& block : machine_.blocks()) all.push_back(block_json(block));
  return all;
}

Result<Json> QmpSession::query_chardev(const Json&) {
  Json all = Json::array();
  for (const ChardevInfo& c : machine_.chardevs_in_use())
    all.push_back({{"frontend-open", c.used}, {"filename", c.filename}, {"label", c.label}});
  return all;
}

Result<Json> QmpSession::query_iothreads(const Json&) { return Json::array(); }

Result<Json> QmpSession::query_memory(const Json&) {
  return Json{{"base-memory", machine_.memory()}, {"plugged-memory", 0}};
}

Result<Json> QmpSession::query_balloon(const Json&) {
  const auto bytes = machine_.balloon();
  if (!bytes) return generic(k_no_balloon);
  return Json{{"actual", *bytes}};
}

Result<Json> QmpSession::balloon(const Json& arguments) {
  const auto value = arguments.find("value");
  if (!machine_.balloon()) return generic(k_no_balloon);
  if (!value->is_number_unsigned() || *value == 0) return generic("Parameter 'value' expects a size");
  machine_.set_balloon(value->get<u64>());
  return Json::object();
}

Result<Json> QmpSession::query_hotpluggable_cpus(const Json&) {
  return generic("machine does not support hot-plugging CPUs");
}

Result<Json> QmpSession::query_pci(const Json&) {
  Json buses = Json::array();
  for (const PciDeviceInfo& device : machine_.pci()) {
    if (buses.empty() || buses.back()["bus"] != device.bus)
      buses.push_back({{"bus", device.bus}, {"devices", Json::array()}});
    buses.back()["devices"].push_back(pci_json(device));
  }
  return buses;
}

Result<Json> QmpSession::query_qmp_schema(const Json&) { return qmp_schema(); }

Result<Json> QmpSession::qom_list(const Json& arguments) {
  return list_object(machine_.objects(), arguments["path"].get<std::string>());
}

Result<Json> QmpSession::qom_get(const Json& arguments) {
  return get_property(machine_.objects(), arguments["path"].get<std::string>(),
                      arguments["property"].get<std::string>());
}

/// `implements`: those of a type and of what is derived from it.
Result<Json> QmpSession::qom_list_types(const Json& arguments) {
  const std::vector<ObjectTypeInfo> types = machine_.object_types();
  const std::string wanted = arguments.value("implements", "object");
  const auto implements = [&](std::string name) {
    for (std::size_t steps = 0; steps <= types.size(); ++steps) {
      if (name == wanted || wanted == "object") return true;
      const auto row = std::ranges::find(types, name, &ObjectTypeInfo::name);
      if (row == types.end() || row->parent.empty()) return false;
      name = row->parent;
    }
    return false;
  };
  Json all = Json::array();
  for (const ObjectTypeInfo& type : types) {
    if (!implements(type.name)) continue;
    all.push_back({{"name", type.name}});
    if (!type.parent.empty()) all.back()["parent"] = type.parent;
  }
  return all;
}

/// As portable pixmaps only. There is one screen, whose device is not asked for by its name here.
Result<Json> QmpSession::screendump(const Json& arguments) {
  if (const std::string format = arguments.value("format", "ppm"); format != "ppm")
    return generic("Parameter 'format' does not accept value '" + format + "'");
  if (arguments.value("head", 0) != 0) return generic("Invalid head (out of range)");
  AV_TRY(machine_.screendump(arguments["filename"].get<std::string>()));
  return Json::object();
}

Result<Json> QmpSession::stop(const Json&) {
  machine_.stop();
  return Json::object();
}

Result<Json> QmpSession::cont(const Json&) {
  AV_TRY(machine_.cont());
  return Json::object();
}

Result<Json> QmpSession::system_reset(const Json&) {
  machine_.reset();
  return Json::object();
}

Result<Json> QmpSession::system_powerdown(const Json&) {
  machine_.power_down();
  return Json::object();
}

Result<Json> QmpSession::quit(const Json&) {
  machine_.quit();
  return Json::object();
}

Result<Json> QmpSession::human_monitor_command(const Json& arguments) {
  const auto line = arguments.find("command-line");
  u32 cpu = 0;
  if (const auto index = arguments.find("cpu-index"); index != arguments.end()) {
    if (!index->is_number_unsigned() || index->get<u64>() >= machine_.cpus().size())
      return generic("Parameter 'cpu-index' expects a CPU number");
    cpu = index->get<u32>();
  }
  std::string text = run_human_command(machine_, line->get<std::string>(), cpu);
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.insert(at, 1, '\r');
  return Json(text);
}

}  // namespace armvisor::monitor
