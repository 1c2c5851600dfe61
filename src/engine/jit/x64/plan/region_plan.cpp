#include "engine/jit/x64/plan/region_plan.h"

#include <algorithm>

namespace armvisor::engine::jit {

bool RegionPlan::has_edges(u32 head) const {
  const auto leads = [head](const auto& way) { return way.head == head; };
  return std::any_of(edges.begin(), edges.end(),
                     [&](const Edge& e) { return leads(e) || std::any_of(e.passed.begin(), e.passed.end(), leads); });
}

bool RegionPlan::passes(u32 skip) const {
  return std::any_of(edges.begin(), edges.end(), [skip](const Edge& e) {
    return std::any_of(e.passed.begin(), e.passed.end(), [skip](const Pass& p) { return p.skip == skip; });
  });
}

u32 RegionPlan::edge_number(u32 skip) const {
  for (u32 n = 0; n < edges.size(); ++n)
    if (edges[n].skip == skip) return n + 1;
  return 0;
}

bool RegionPlan::stores_at(u32 skip) const {
  return std::any_of(stores.begin(), stores.end(), [=](const Recovery& r) { return r.at == skip; });
}

bool RegionPlan::recovers(u32 index) const {
  return std::any_of(edges.begin(), edges.end(), [index](const Edge& e) {
    return std::any_of(e.points.begin(), e.points.end(), [index](const EdgePoint& p) { return p.at == index; });
  });
}

void plan_heads(const ir::Block& block, RegionPlan& plan) {
  plan.heads.clear();
  plan.edges.clear();
  plan.stores.clear();
  if (block.head_count == 0) return;
  for (u32 k = 0; k < block.insts.size(); ++k)
    if (block.insts[k].op == ir::Op::Head) plan.heads.push_back({k, 0});
}

}  // namespace armvisor::engine::jit
