#include "measure/counters.h"

namespace armvisor::measure {
namespace {

constexpr CounterInfo k_vcpu_infos[] = {
#define COUNTER(name, group, text, help) {text, Group::group, false, help},
#define TOTAL(name, group, text, help)
#define LEVEL(name, group, text, help)
#include "measure/counters.inc"
#undef COUNTER
#undef TOTAL
#undef LEVEL
};
constexpr CounterInfo k_machine_infos[] = {
#define COUNTER(name, group, text, help)
#define TOTAL(name, group, text, help) {text, Group::group, false, help},
#define LEVEL(name, group, text, help) {text, Group::group, true, help},
#include "measure/counters.inc"
#undef COUNTER
#undef TOTAL
#undef LEVEL
};
static_assert(std::size(k_group_names) == static_cast<std::size_t>(Group::Count));

}  // namespace

const CounterInfo& info(Counter c) { return k_vcpu_infos[static_cast<u32>(c)]; }
const CounterInfo& info(MachineCounter c) { return k_machine_infos[static_cast<u32>(c)]; }

}  // namespace armvisor::measure
