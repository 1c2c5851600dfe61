#include "measure/stats_file.h"

#include <nlohmann/json.hpp>

#include "measure/report.h"

namespace armvisor::measure {
namespace {

using Json = nlohmann::json;

/// Reads members of objects; the first that is not as expected is kept as the problem.
class Reader {
 public:
  u64 number(const Json& object, const std::string& key) {
    const Json* const value = member(object, key);
    if (!value) return 0;
    if (!value->is_number_unsigned()) return problem("a number without sign at '" + key + "'", value->type_name()), 0;
    return value->get<u64>();
  }
  const Json& array(const Json& object, const std::string& key) {
    const Json* const value = member(object, key);
    if (value && value->is_array()) return *value;
    if (value) problem("a list at '" + key + "'", value->type_name());
    return empty_;
  }
  std::string text(const Json& object, const std::string& key) {
    const Json* const value = member(object, key);
    if (value && value->is_string()) return value->get<std::string>();
    if (value) problem("a text at '" + key + "'", value->type_name());
    return {};
  }
  const Json& object(const Json& from, const std::string& key) {
    const Json* const value = member(from, key);
    if (value && value->is_object()) return *value;
    if (value) problem("an object at '" + key + "'", value->type_name());
    return empty_;
  }
  void problem(const std::string& expected, const std::string& found) {
    if (problem_.empty()) problem_ = "expected " + expected + ", found " + found;
  }
  const std::string& problem() const { return problem_; }

 private:
  const Json* member(const Json& object, const std::string& key) {
    if (object.is_object() && object.contains(key)) return &object[key];
    problem("'" + key + "'", "none");
    return nullptr;
  }
  std::string problem_;
  const Json empty_ = Json::object();
};

VcpuSnapshot read_vcpu(Reader& in, const Json& from) {
  VcpuSnapshot v;
  const Json& counters = in.object(from, "counters");
  for (u32 k = 0; k < k_counters; ++k) v.counters[k] = in.number(counters, full_name(info(static_cast<Counter>(k))));
  if (counters.size() > k_counters)
    in.problem(std::to_string(k_counters) + " counters", std::to_string(counters.size()));
  const Json& times = in.object(from, "time_ns");
  for (u32 k = 0; k < k_vcpu_times; ++k) v.ns[k] = in.number(times, k_vcpu_time_names[k]);
  v.cpu_ns = in.number(from, "cpu_ns");
  return v;
}

Snapshot read_snapshot(Reader& in, const Json& from) {
  Snapshot s;
  s.ns = in.number(from, "ns");
  for (const Json& vcpu : in.array(from, "vcpus")) s.vcpus.push_back(read_vcpu(in, vcpu));
  const Json& machine = in.object(from, "machine");
  for (u32 k = 0; k < k_machine_counters; ++k)
    s.machine[k] = in.number(machine, full_name(info(static_cast<MachineCounter>(k))));
  for (const Json& d : in.array(from, "devices"))
    s.devices.push_back({in.text(d, "name"), in.number(d, "reads"), in.number(d, "writes"), in.number(d, "ns")});
  return s;
}

}  // namespace

Result<StatsFile> parse_stats(const std::string& text, const std::string& name) {
  const auto bad = [&](const std::string& what) {
    return Error{ErrorKind::BadInput,
                 name + ": " + what + "; make it anew with this armvisor's 'run --stats=json:FILE'"};
  };
  const Json root = Json::parse(text, nullptr, false);
  if (!root.is_object()) return bad("expected counters as JSON, found something else");
  Reader in;
  if (const u64 format = in.number(root, "format"); in.problem().empty() && format != k_json_format)
    in.problem("format " + std::to_string(k_json_format), std::to_string(format));
  if (!in.problem().empty()) return bad("counters of another version: " + in.problem());
  StatsFile out;
  out.all = read_snapshot(in, root);
  for (const Json& m : in.array(root, "marks")) {
    MarkTotal& mark = out.marks.emplace_back();
    mark.name = in.text(m, "name");
    mark.times = in.number(m, "times");
    if (mark.times) mark.total = read_snapshot(in, m);
  }
  if (!in.problem().empty()) return bad("counters of another version: " + in.problem());
  return out;
}

}  // namespace armvisor::measure
