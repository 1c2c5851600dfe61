#include "qemu/device_kinds.h"

#include <algorithm>

namespace armvisor::qemu {
namespace {
constexpr DeviceRow k_rows[] = {
#define DEVICE(name, kind, bus, text) {name, DeviceKind::kind, DeviceBus::bus, text},
#include "qemu/devices.inc"
#undef DEVICE
};
}  // namespace

std::span<const DeviceRow> device_rows() { return k_rows; }

const DeviceRow* find_device(std::string_view name) {
  for (const std::string_view form : {"-non-transitional", "-transitional"})
    if (name.ends_with(form)) {
      name.remove_suffix(form.size());
      break;
    }
  const auto row = std::ranges::find(k_rows, name, &DeviceRow::name);
  return row == std::end(k_rows) ? nullptr : &*row;
}

}  // namespace armvisor::qemu
