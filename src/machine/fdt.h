#pragma once
// The flattened device tree that the guest gets: generated for the board, or the user's own, completed.
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "machine/board.h"

namespace armvisor::machine {

struct FdtConfig {
  const Board* board = nullptr;
  u64 ram_size = 0;
  u32 vcpus = 1;
  std::string_view cpu_compatible{};  ///< empty: the board's
  std::optional<std::string> bootargs;
  u64 initrd_start = 0, initrd_end = 0;  ///< equal: none
  std::array<u8, 32> rng_seed{};
};

/// The board's tree, packed; its devices write their own nodes.
Result<std::vector<u8>> make_fdt(const FdtConfig& config);

/// `user` with /memory and /chosen set from `config` (bootargs only when given), packed. `path` is for messages.
Result<std::vector<u8>> complete_fdt(const std::vector<u8>& user, const std::string& path, const FdtConfig& config);

/// Has the header of a packed tree say that the tree may grow to `size` bytes, at least its own, where it lies.
void set_fdt_room(std::vector<u8>& fdt, u32 size);

}  // namespace armvisor::machine
