#pragma once
// What the vCPUs of one machine share.
#include <atomic>
#include <memory>
#include <vector>

#include "base/platform.h"
#include "engine/backend.h"
#include "engine/background.h"
#include "engine/code_cache.h"
#include "engine/debug_stops.h"
#include "engine/engine.h"
#include "engine/exclusive.h"
#include "engine/verify.h"
#include "measure/clock.h"
#include "mmu/frame_table.h"

namespace armvisor::engine {

class Inbox;

u32 count_host_cpus();  ///< that this process may use

struct Shared {
  Shared(const EngineConfig& c, std::unique_ptr<Backend> b)
      : config(c), ram(*c.ram), port(*c.port), frames(*c.ram), backend(std::move(b)), code(frames, *backend) {}

  EngineConfig config;
  GuestRam& ram;
  MachinePort& port;
  mmu::FrameTable frames;
  std::unique_ptr<Backend> backend;
  CodeCache code;
  BlockHolders holders;
  ExclusiveTable exclusives;
  DebugStops stops;
  const u32 host_cpus = count_host_cpus();
  measure::TickScale tick_scale;
  std::unique_ptr<Verifier> verifier;              ///< with --verify
  std::vector<Inbox*> inboxes;                     ///< of the vCPUs, by their numbers
  std::unique_ptr<BackgroundCompiler> background;  ///< null: vCPUs compile

  /// Host address of a page outside devices, or null. ROM's must not be written (MachinePort::rom_page).
  const u8* page_at(GuestPa frame) { return ram.contains(frame, k_page_size) ? ram.host(frame) : port.rom_page(frame); }

  /// Asks vCPU n, for each bit n of `asked`, to let go of its write entries for the frame of `pa`.
  void ask_writers(GuestPa pa, u32 asked);

  /// Frees dead blocks that nobody holds; asks the vCPUs to pass a quiet point when there is much to free.
  void reclaim_code();
  /// Fewer vCPUs run now than the host has CPUs, so another thread takes none of them its own.
  bool has_spare_cpu() const;
};

}  // namespace armvisor::engine
