#include "measure/cost_model.h"

#include <algorithm>

#include "measure/report.h"

namespace armvisor::measure {
namespace {

enum class Treatment { Priced, Included, Unpriced };

Treatment treatment(Counter c) {
  switch (c) {
#define PRICED(name) \
  case Counter::name: return Treatment::Priced;
#define INCLUDED(name, in) \
  case Counter::name: return Treatment::Included;
#include "measure/costs.inc"
#undef PRICED
#undef INCLUDED
    default: return Treatment::Unpriced;
  }
}

constexpr std::string_view k_instruction = "instruction";

struct Move {
  std::string_view what_if, from, to;
};
constexpr Move k_moves[] = {
#define WHAT_IF(name, option, help)
#define MOVE(name, from, to) {name, from, to},
#include "measure/what_if.inc"
#undef WHAT_IF
#undef MOVE
};

}  // namespace

Result<Load> load_of(const Snapshot& snapshot, const std::string& name) {
  const VcpuSnapshot total = snapshot.total();
  Load load;
  load.instructions = static_cast<double>(total[Counter::Instructions]);
  load.measured_ns = static_cast<double>(total.cpu_ns);
  if (load.instructions == 0)
    return Error{ErrorKind::BadInput, name +
                                          ": expected guest instructions counted, found none; run it with "
                                          "'--jit count-instructions --stats=json:FILE'"};
  if (load.measured_ns == 0)
    return Error{ErrorKind::BadInput,
                 name + ": expected host CPU time, found none; make it anew with --stats=json:FILE"};
  const auto add = [&load](const std::string& event, u64 count) {
    if (count) load.events.push_back({event, static_cast<double>(count)});
  };
  for (u32 k = 0; k < k_counters; ++k) {
    const auto c = static_cast<Counter>(k);
    if (treatment(c) != Treatment::Included) add(full_name(info(c)), total[c]);
  }
  add(full_name(info(MachineCounter::RegionsPublished)),
      snapshot[MachineCounter::RegionsPublished] - snapshot[MachineCounter::RegionsAside]);
  for (const DeviceSnapshot& d : snapshot.devices) add("device." + d.name, d.reads + d.writes);
  return load;
}

double Prediction::ns() const {
  double sum = 0;
  for (const Term& term : terms) sum += term.ns();
  return sum;
}

Prediction predict(const Load& load, const Calibration& costs, std::optional<double> instruction_ns) {
  Prediction out;
  out.measured_ns = load.measured_ns;
  const Cost* const instruction = costs.find(std::string(k_instruction));
  if (!instruction_ns && instruction) instruction_ns = instruction->ns;
  out.terms.push_back({std::string(k_instruction), load.instructions, instruction_ns.value_or(0)});
  const Cost* const cold = costs.find("code.cold");
  for (const Events& e : load.events) {
    if (cold && e.name == "code.lookups") out.terms.push_back({"code.cold", e.count, cold->ns});
    const Cost* cost = costs.find(e.name);
    if (!cost && e.name.starts_with("device.")) cost = costs.find("device.other");
    if (cost)
      out.terms.push_back({e.name, e.count, cost->ns});
    else
      out.unpriced.push_back(e);
  }
  std::ranges::stable_sort(out.terms, [](const Term& a, const Term& b) { return a.ns() > b.ns(); });
  return out;
}

double own_instruction_ns(const Load& load, const Calibration& costs) {
  return std::max(0.0, load.measured_ns - predict(load, costs, 0).ns()) / load.instructions;
}

const std::vector<WhatIf>& what_ifs() {
  static const std::vector<WhatIf> all = {
#define WHAT_IF(name, option, help) {name, option, help},
#define MOVE(name, from, to)
#include "measure/what_if.inc"
#undef WHAT_IF
#undef MOVE
  };
  return all;
}

Result<Load> apply(const std::string& what_if, Load load) {
  std::string names;
  bool known = false;
  for (const WhatIf& w : what_ifs()) {
    names += (names.empty() ? "" : ", ") + std::string(w.name);
    known |= w.name == what_if;
  }
  if (!known)
    return Error{ErrorKind::BadArguments,
                 "--what-if: expected one of " + names + ", found '" + what_if + "'; change it"};
  for (const Move& move : k_moves)
    if (move.what_if == what_if)
      for (Events& e : load.events)
        if (e.name == move.from) e.name = move.to;
  return load;
}

}  // namespace armvisor::measure
