#pragma once
// What monitors call classes of PCI functions (PCI Code and ID Assignment Specification), in QEMU's words.
#include <algorithm>
#include <iterator>
#include <utility>

#include "base/types.h"

namespace armvisor::monitor {

/// Of class and subclass, as they stand in the upper 16 bits of the class code; null: it has no name.
inline const char* pci_class_name(u16 device_class) {
  constexpr std::pair<u16, const char*> k_names[] = {{0x0100, "SCSI controller"},     {0x0106, "SATA controller"},
                                                     {0x0200, "Ethernet controller"}, {0x0380, "Display controller"},
                                                     {0x0500, "RAM controller"},      {0x0600, "Host bridge"},
                                                     {0x0604, "PCI bridge"}};
  const auto row = std::ranges::find(k_names, device_class, [](const auto& r) { return r.first; });
  return row == std::end(k_names) ? nullptr : row->second;
}

}  // namespace armvisor::monitor
