#include "measure/report.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

namespace armvisor::measure {
namespace {

using Json = nlohmann::ordered_json;

template <class... Arguments>
void put(std::string& out, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Arguments>(arguments)...);
}

double seconds(u64 ns) { return static_cast<double>(ns) / 1e9; }

// --- text

constexpr const char* k_titles[] = {"fast traps",          "light traps", "heavy traps", "other exceptions",
                                    "shadow translations", "code",        "code cache"};
static_assert(std::size(k_titles) == static_cast<std::size_t>(Group::Count));

/// A row of numbers: the sum, its rate, and one for each vCPU if there are several.
void row(std::string& out, const std::string& title, const Snapshot& s, u64 sum, const auto& of_vcpu) {
  put(out, "{:<22} {:15} {:13.0f}/s", title, sum,
      s.ns ? static_cast<double>(sum) / seconds(s.ns) : 0.0);
  for (const VcpuSnapshot& vcpu : s.vcpus)
    if (s.vcpus.size() > 1) put(out, " {:13}", of_vcpu(vcpu));
  out += "\n";
}

void time_rows(std::string& out, const Snapshot& s) {
  const VcpuSnapshot total = s.total();
  u64 all = 0;
  for (const u64 ns : total.ns) all += ns;
  if (all == 0) return;
  out += "time of the vCPUs\n";
  put(out, "  {:<20} {:13.3f} s\n", "host CPU", seconds(total.cpu_ns));
  for (u32 k = 0; k < k_vcpu_times; ++k) {
    put(out, "  {:<20} {:13.3f} s {:13.1f} %", k_vcpu_time_names[k], seconds(total.ns[k]),
        100.0 * static_cast<double>(total.ns[k]) / static_cast<double>(all));
    for (const VcpuSnapshot& vcpu : s.vcpus)
      if (s.vcpus.size() > 1) put(out, " {:11.3f} s", seconds(vcpu.ns[k]));
    out += "\n";
  }
}

void group_rows(std::string& out, const Snapshot& s, Group group) {
  const VcpuSnapshot total = s.total();
  const bool sums = group == Group::Fast || group == Group::Light || group == Group::Heavy;
  const char* title = k_titles[static_cast<u32>(group)];
  if (sums)
    row(out, title, s, total.sum(group), [&](const VcpuSnapshot& v) { return v.sum(group); });
  else
    put(out, "{}\n", title);
  for (u32 k = 0; k < k_counters; ++k) {
    const auto c = static_cast<Counter>(k);
    if (info(c).group == group && total[c])
      row(out, "  " + std::string(info(c).name), s, total[c], [&](const VcpuSnapshot& v) { return v[c]; });
  }
}

void machine_rows(std::string& out, const Snapshot& s) {
  put(out, "{}\n", k_titles[static_cast<u32>(Group::Cache)]);
  for (u32 k = 0; k < k_machine_counters; ++k) {
    const auto c = static_cast<MachineCounter>(k);
    if (s[c]) put(out, "  {:<20} {:15}\n", info(c).name, s[c]);
  }
}

void device_rows(std::string& out, const Snapshot& s) {
  out += "device accesses                  reads          writes        in device\n";
  for (const DeviceSnapshot& d : s.devices)
    if (d.reads || d.writes)
      put(out, "  {:<20} {:15} {:15} {:14.3f} s\n", d.name, d.reads, d.writes, seconds(d.ns));
}

void step_rows(std::string& out, const Snapshot& s) {
  bool any = false;
  for (const DeviceSnapshot& d : s.devices) {
    for (u32 k = 0; k < k_steps; ++k) {
      const StepSnapshot& step = d.steps[k];
      if (step.count == 0) continue;
      if (!std::exchange(any, true)) out += "steps of requests                times            each\n";
      put(out, "  {:<20} {:15} {:12.2f} us\n", d.name + " " + k_step_names[k], step.count,
          static_cast<double>(step.ns) / 1000.0 / static_cast<double>(step.count));
    }
  }
}

void snapshot_rows(std::string& out, const Snapshot& s) {
  time_rows(out, s);
  for (u32 g = 0; g < static_cast<u32>(Group::Cache); ++g) group_rows(out, s, static_cast<Group>(g));
  machine_rows(out, s);
  device_rows(out, s);
  step_rows(out, s);
}

// --- JSON

Json json_of(const VcpuSnapshot& v) {
  Json counters = Json::object(), times = Json::object();
  for (u32 k = 0; k < k_counters; ++k) counters[full_name(info(static_cast<Counter>(k)))] = v.counters[k];
  for (u32 k = 0; k < k_vcpu_times; ++k) times[k_vcpu_time_names[k]] = v.ns[k];
  return {{"counters", std::move(counters)}, {"time_ns", std::move(times)}, {"cpu_ns", v.cpu_ns}};
}

Json json_of(const DeviceSnapshot& d) {
  Json steps = Json::object();
  for (u32 k = 0; k < k_steps; ++k)
    if (d.steps[k].count) steps[k_step_names[k]] = {{"count", d.steps[k].count}, {"ns", d.steps[k].ns}};
  return {{"name", d.name}, {"reads", d.reads}, {"writes", d.writes}, {"ns", d.ns}, {"steps", std::move(steps)}};
}

/// Adds what was counted to `out`, an object.
void add_snapshot(Json& out, const Snapshot& s) {
  out["ns"] = s.ns;
  out["total"] = json_of(s.total());
  Json& vcpus = out["vcpus"] = Json::array();
  for (const VcpuSnapshot& vcpu : s.vcpus) vcpus.push_back(json_of(vcpu));
  Json& machine = out["machine"] = Json::object();
  for (u32 k = 0; k < k_machine_counters; ++k) machine[full_name(info(static_cast<MachineCounter>(k)))] = s.machine[k];
  Json& devices = out["devices"] = Json::array();
  for (const DeviceSnapshot& d : s.devices) devices.push_back(json_of(d));
}

}  // namespace

std::string full_name(const CounterInfo& counter) {
  return std::string(k_group_names[static_cast<u32>(counter.group)]) + "." + std::string(counter.name);
}

std::string text_report(const Snapshot& snapshot, const std::vector<MarkTotal>& marks) {
  std::string out;
  put(out, "{:.3f} s, {} vCPU{}\n", seconds(snapshot.ns), snapshot.vcpus.size(), snapshot.vcpus.size() == 1 ? "" : "s");
  snapshot_rows(out, snapshot);
  for (const MarkTotal& mark : marks) {
    put(out, "\nmark {}: {} times{}, {:.6f} s\n", mark.name, mark.times,
        mark.open ? " and open" : "", seconds(mark.total.ns));
    if (mark.times) snapshot_rows(out, mark.total);
  }
  return out;
}

std::string json_report(const Snapshot& snapshot, const std::vector<MarkTotal>& marks) {
  Json out = {{"format", k_json_format}};
  add_snapshot(out, snapshot);
  Json& list = out["marks"] = Json::array();
  for (const MarkTotal& mark : marks) {
    Json one = {{"name", mark.name}, {"times", mark.times}, {"open", mark.open}};
    add_snapshot(one, mark.total);
    list.push_back(std::move(one));
  }
  return out.dump() + "\n";
}

}  // namespace armvisor::measure
