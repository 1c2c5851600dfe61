#pragma once
// A region's heads, and the ways between them on which flags are pending: neither stored nor overwritten.
//
// A way is named by the instruction that leads to the head: a Goto, or the skip of a side exit. On one that has an
// Edge, Context::edge is set to its number; on one that only is `passed`, it stays as it is. All else sets it to 0
// where the head behind has edges, so what it says at a point of an edge is how control came there.
#include <vector>

#include "engine/jit/x64/plan/flag_plan.h"

namespace armvisor::engine::jit {

/// A way from the block of one head to another head, on which flags stay as they are: pending.
struct Pass {
  u32 skip, head;
};

/// Where flags that came with control could be looked at.
struct EdgePoint {
  u32 at;
  u8 mask;
  bool from_result;
};

/// A way to a head on which flags are not stored, though something behind the head may want them: Context::edge has the
/// number of the way, and cold paths make the flags from the `source` of the way that was taken.
struct Edge {
  u32 skip, head, source;
  std::vector<EdgePoint> points;
  std::vector<Pass> passed;
  bool saved = false;  ///< the operands do not stand behind the head: they are in Context::flag_operands
};

struct RegionPlan {
  struct Head {
    u32 at;   ///< instruction
    u8 live;  ///< flags that something behind it may look at
  };
  static constexpr std::size_t k_max_edges = 200, k_max_passed = 8;
  std::vector<Head> heads;       ///< empty: a block on its own
  std::vector<Edge> edges;       ///< those of one way have the number of the first, from 1
  std::vector<Recovery> stores;  ///< flags that are stored where control goes on to a head, from instruction `at`

  bool is_region() const { return !heads.empty(); }
  bool has_edges(u32 head) const;
  bool passes(u32 skip) const;      ///< flags that came with control are still pending on the way
  u32 edge_number(u32 skip) const;  ///< of the way; 0: flags are in their place on it
  bool stores_at(u32 skip) const;
  bool recovers(u32 index) const;  ///< the instruction is a point of an edge
};

void plan_heads(const ir::Block& block, RegionPlan& plan);

}  // namespace armvisor::engine::jit
