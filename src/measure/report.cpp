#include "measure/report.h"

#include <cstdarg>
#include <cstdio>
#include <utility>

namespace armvisor::measure {
namespace {

[[gnu::format(printf, 2, 3)]] void put(std::string& out, const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  out += line;
}

double seconds(u64 ns) { return static_cast<double>(ns) / 1e9; }

// --- text

constexpr const char* k_titles[] = {"fast traps",          "light traps", "heavy traps", "other exceptions",
                                    "shadow translations", "code",        "code cache"};
static_assert(std::size(k_titles) == static_cast<std::size_t>(Group::Count));

/// A row of numbers: the sum, its rate, and one for each vCPU if there are several.
void row(std::string& out, const std::string& title, const Snapshot& s, u64 sum, const auto& of_vcpu) {
  put(out, "%-22s %15llu %13.0f/s", title.c_str(), static_cast<unsigned long long>(sum),
      s.ns ? static_cast<double>(sum) / seconds(s.ns) : 0.0);
  for (const VcpuSnapshot& vcpu : s.vcpus)
    if (s.vcpus.size() > 1) put(out, " %13llu", static_cast<unsigned long long>(of_vcpu(vcpu)));
  out += "\n";
}

void time_rows(std::string& out, const Snapshot& s) {
  const VcpuSnapshot total = s.total();
  u64 all = 0;
  for (const u64 ns : total.ns) all += ns;
  if (all == 0) return;
  out += "time of the vCPUs\n";
  put(out, "  %-20s %13.3f s\n", "host CPU", seconds(total.cpu_ns));
  for (u32 k = 0; k < k_vcpu_times; ++k) {
    put(out, "  %-20s %13.3f s %13.1f %%", k_vcpu_time_names[k], seconds(total.ns[k]),
        100.0 * static_cast<double>(total.ns[k]) / static_cast<double>(all));
    for (const VcpuSnapshot& vcpu : s.vcpus)
      if (s.vcpus.size() > 1) put(out, " %11.3f s", seconds(vcpu.ns[k]));
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
    put(out, "%s\n", title);
  for (u32 k = 0; k < k_counters; ++k) {
    const auto c = static_cast<Counter>(k);
    if (info(c).group == group && total[c])
      row(out, "  " + std::string(info(c).name), s, total[c], [&](const VcpuSnapshot& v) { return v[c]; });
  }
}

void machine_rows(std::string& out, const Snapshot& s) {
  put(out, "%s\n", k_titles[static_cast<u32>(Group::Cache)]);
  for (u32 k = 0; k < k_machine_counters; ++k) {
    const auto c = static_cast<MachineCounter>(k);
    if (s[c]) put(out, "  %-20s %15llu\n", std::string(info(c).name).c_str(), static_cast<unsigned long long>(s[c]));
  }
}

void device_rows(std::string& out, const Snapshot& s) {
  out += "device accesses                  reads          writes        in device\n";
  for (const DeviceSnapshot& d : s.devices)
    if (d.reads || d.writes)
      put(out, "  %-20s %15llu %15llu %14.3f s\n", d.name.c_str(), static_cast<unsigned long long>(d.reads),
          static_cast<unsigned long long>(d.writes), seconds(d.ns));
}

void step_rows(std::string& out, const Snapshot& s) {
  bool any = false;
  for (const DeviceSnapshot& d : s.devices) {
    for (u32 k = 0; k < k_steps; ++k) {
      const StepSnapshot& step = d.steps[k];
      if (step.count == 0) continue;
      if (!std::exchange(any, true)) out += "steps of requests                times            each\n";
      put(out, "  %-20s %15llu %12.2f us\n", (d.name + " " + k_step_names[k]).c_str(),
          static_cast<unsigned long long>(step.count),
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

// --- JSON. Every name is of our tables, of a device, or a valid mark's, so none needs escapes.

void json_counters(std::string& out, const VcpuSnapshot& v) {
  out += "\"counters\":{";
  for (u32 k = 0; k < k_counters; ++k) {
    const CounterInfo& i = info(static_cast<Counter>(k));
    put(out, "%s\"%s.%s\":%llu", k ? "," : "", k_group_names[static_cast<u32>(i.group)].data(), i.name.data(),
        static_cast<unsigned long long>(v.counters[k]));
  }
  out += "},\"time_ns\":{";
  for (u32 k = 0; k < k_vcpu_times; ++k)
    put(out, "%s\"%s\":%llu", k ? "," : "", k_vcpu_time_names[k], static_cast<unsigned long long>(v.ns[k]));
  put(out, "},\"cpu_ns\":%llu", static_cast<unsigned long long>(v.cpu_ns));
}

void json_device(std::string& out, const DeviceSnapshot& d) {
  put(out, "{\"name\":\"%s\",\"reads\":%llu,\"writes\":%llu,\"ns\":%llu,\"steps\":{", d.name.c_str(),
      static_cast<unsigned long long>(d.reads), static_cast<unsigned long long>(d.writes),
      static_cast<unsigned long long>(d.ns));
  const char* separator = "";
  for (u32 k = 0; k < k_steps; ++k) {
    if (d.steps[k].count == 0) continue;
    put(out, "%s\"%s\":{\"count\":%llu,\"ns\":%llu}", separator, k_step_names[k],
        static_cast<unsigned long long>(d.steps[k].count), static_cast<unsigned long long>(d.steps[k].ns));
    separator = ",";
  }
  out += "}}";
}

void json_snapshot(std::string& out, const Snapshot& s) {
  put(out, "\"ns\":%llu,\"total\":{", static_cast<unsigned long long>(s.ns));
  json_counters(out, s.total());
  out += "},\"vcpus\":[";
  for (const VcpuSnapshot& vcpu : s.vcpus) {
    out += &vcpu == s.vcpus.data() ? "{" : ",{";
    json_counters(out, vcpu);
    out += "}";
  }
  out += "],\"machine\":{";
  for (u32 k = 0; k < k_machine_counters; ++k) {
    const CounterInfo& i = info(static_cast<MachineCounter>(k));
    put(out, "%s\"%s.%s\":%llu", k ? "," : "", k_group_names[static_cast<u32>(i.group)].data(), i.name.data(),
        static_cast<unsigned long long>(s.machine[k]));
  }
  out += "},\"devices\":[";
  for (const DeviceSnapshot& d : s.devices) {
    if (&d != s.devices.data()) out += ",";
    json_device(out, d);
  }
  out += "]";
}

}  // namespace

std::string full_name(const CounterInfo& counter) {
  return std::string(k_group_names[static_cast<u32>(counter.group)]) + "." + std::string(counter.name);
}

std::string text_report(const Snapshot& snapshot, const std::vector<MarkTotal>& marks) {
  std::string out;
  put(out, "%.3f s, %zu vCPU%s\n", seconds(snapshot.ns), snapshot.vcpus.size(), snapshot.vcpus.size() == 1 ? "" : "s");
  snapshot_rows(out, snapshot);
  for (const MarkTotal& mark : marks) {
    put(out, "\nmark %s: %llu times%s, %.6f s\n", mark.name.c_str(), static_cast<unsigned long long>(mark.times),
        mark.open ? " and open" : "", seconds(mark.total.ns));
    if (mark.times) snapshot_rows(out, mark.total);
  }
  return out;
}

std::string json_report(const Snapshot& snapshot, const std::vector<MarkTotal>& marks) {
  std::string out;
  put(out, "{\"format\":%u,", k_json_format);
  json_snapshot(out, snapshot);
  out += ",\"marks\":[";
  for (const MarkTotal& mark : marks) {
    put(out, "%s{\"name\":\"%s\",\"times\":%llu,\"open\":%s,", &mark == marks.data() ? "" : ",", mark.name.c_str(),
        static_cast<unsigned long long>(mark.times), mark.open ? "true" : "false");
    json_snapshot(out, mark.total);
    out += "}";
  }
  return out + "]}\n";
}

}  // namespace armvisor::measure
