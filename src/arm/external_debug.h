#pragma once
// What an external debugger asks of all processing elements of a machine: where they are to stop. It has no debug
// registers of its own (ARM DDI 0406C C3 has it use the guest's): the guest keeps all of these, and the debugger as
// many breakpoints and watchpoints as it likes. What it asks for goes before the guest's own debug events.
#include <span>
#include <vector>

#include "base/types.h"

namespace armvisor::arm {

/// Stops before an access that reads or writes one of [va, va + size); size is not 0.
struct ExternalWatch {
  u32 va = 0, size = 0;
  bool read = false, write = false;
  bool operator==(const ExternalWatch&) const = default;
};

struct ExternalStops {
  std::vector<u32> breakpoints;  ///< virtual addresses of instructions, in order, each once
  std::vector<ExternalWatch> watchpoints;
  bool operator==(const ExternalStops&) const = default;

  bool breaks_at(u32 pc) const;
  /// The breakpoints in the page of `va`.
  std::span<const u32> in_page(u32 va) const;
  /// As instruction_filter() of debug_events.h.
  u64 filter() const;
  /// The watchpoint that an access meets; null: none.
  const ExternalWatch* watch_of(u32 va, u32 size, bool write) const;
  bool page_is_watched(u32 va) const;
};

}  // namespace armvisor::arm
