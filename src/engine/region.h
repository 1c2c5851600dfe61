#pragma once
// Regions: the blocks of a page that a loop goes through, as one piece of IR. Within it control goes from block to
// block by Goto, so that a compiler sees what is dead at a block's end and can give registers out over the loop.
#include <functional>
#include <optional>
#include <span>

#include "frontend/translate.h"
#include "ir/ir.h"

namespace armvisor::engine {

inline constexpr u32 k_max_region_blocks = 32, k_max_region_insns = 160;

/// The blocks through which control can come back to `pc` by direct jumps inside the page, as one. `page` has the
/// page's bytes, `context` what blocks are translated for (no ITSTATE); `known` says where blocks have been translated,
/// so that what never runs is left out, and so are the blocks that hold one of `stops`, where a debugger's breakpoints
/// are. Nothing when there is no such loop, or one that is no gain to compile as a whole.
std::optional<ir::Block> form_region(u32 pc, const frontend::Context& context, std::span<const u8> page,
                                     const std::function<bool(u32 pc)>& known, std::span<const u32> stops = {});

}  // namespace armvisor::engine
