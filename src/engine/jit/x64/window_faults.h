#pragma once
// Faults of host-MMU windows: from the host instruction that faulted to the cold path of its access, in a signal
// handler.
//
// Each block that uses a window ends with a table of its accesses. The handler finds the table by an index of the code
// memory, an entry for every 64 bytes. A block is not freed while a vCPU runs in it, so what the handler reads for the
// address that faulted stays as it is; nothing is locked.
#include <cstddef>

#include "base/fd.h"
#include "base/types.h"

namespace armvisor::engine::jit {

/// In the table of a block: distances back from the table's start.
struct WindowSite {
  u32 access, cold;
};
struct WindowTable {
  u32 count;
  WindowSite sites[1];  ///< `count` of them, in order of the accesses: `access` falls
};

class WindowFaults {
 public:
  /// This host lets user code set the GS base, and SIGSEGV is ours to handle.
  static bool available();

  /// Of code memory that is executed at `code`. False: no memory for the index.
  bool create(const u8* code, std::size_t size);
  /// Bytes [block, block + size) are a block's, with its table at `table`; null: none any more.
  void set(const u8* block, std::size_t size, const u8* table);

  /// This thread runs generated code of this memory until the object goes.
  class Scope {
   public:
    explicit Scope(const WindowFaults* faults);  ///< null: nothing of it can fault
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };
  /// Where to go on when the instruction at `pc` has faulted, or null. Async-signal-safe.
  const u8* cold_path(const u8* pc) const;

 private:
  static constexpr std::size_t k_grain = 64;
  const u8* code_ = nullptr;
  std::size_t size_ = 0;
  Mapping index_;  ///< u32 for each grain: offset of the table / 4 + 1, or 0
};

/// Makes `base` the window of blocks that this thread runs.
void set_window_base(u64 base);

}  // namespace armvisor::engine::jit
