#include "devices/gic.h"

#include <bit>

#include "base/assert.h"
#include "devices/gic_registers.h"
#include "devices/gic_v2m.h"

namespace armvisor::devices {

using namespace gicv2;

Gic::Gic(u32 cpus, Output output) : cpu_count_(cpus), output_(std::move(output)) {
  AV_ASSERT(cpus >= 1 && cpus <= k_max_cpus);
  spi_lines_.resize(k_spis);
  for (u32 n = 0; n < k_spis; ++n) {
    spi_lines_[n].gic = this;
    spi_lines_[n].intid = spi_id(n);
  }
  ppi_lines_.resize(cpus * k_ppis);
  for (u32 i = 0; i < cpus * k_ppis; ++i) {
    ppi_lines_[i].gic = this;
    ppi_lines_[i].cpu = i / k_ppis;
    ppi_lines_[i].intid = ppi_id(i % k_ppis);
  }
  reset_locked();
}

void Gic::describe(TreeWriter& tree, const Site& site) {
  tree.begin(node_name("intc", site.regions[0].base));
  tree.phandle(Phandle::Gic);
  tree.text("compatible", "arm,cortex-a15-gic");
  tree.cells("#interrupt-cells", {3});
  tree.empty("interrupt-controller");
  tree.cells("#address-cells", {2});
  tree.cells("#size-cells", {2});
  tree.empty("ranges");
  tree.reg(site.used().first(2));
  if (site.used().size() > 2) GicV2m::describe(tree, site.regions[2]);
  tree.end();
}

IrqLine& Gic::spi(u32 n) {
  AV_ASSERT(n < k_spis);
  return spi_lines_[n];
}

IrqLine& Gic::ppi(u32 cpu, u32 n) {
  AV_ASSERT(cpu < cpu_count_ && n < k_ppis);
  return ppi_lines_[cpu * k_ppis + n];
}

void Gic::reset() {
  const std::lock_guard lock(mutex_);
  reset_locked();
  update_all();
}

/// Everything but the input lines, which belong to their devices, and the outputs, which update() brings up to date.
void Gic::reset_locked() {
  enabled_ = false;
  const auto clear = [](Word& w, u32 enabled, u32 edge) {
    w.enabled = enabled;
    w.latched = w.active = 0;
    w.edge = edge;
  };
  for (Word& w : shared_) clear(w, 0, 0);
  priority_.fill(0);
  for (Cpu& c : cpus_) {
    clear(c.word0, 0xffff, 0xffff);  // SGIs are always enabled and edge-triggered
    c.priority.fill(0);
    c.sgi_sources.fill(0);
    c.targeted.fill(0);
    c.targeted[0] = ~0u;
    c.ctlr = c.apr = 0;
    c.pmr = 0;
    c.bpr = k_min_bpr;
    c.abpr = k_min_abpr;
  }
  // A uniprocessor has no target registers: everything goes to its CPU (4.3.12).
  for (u32 id = k_private; id < k_interrupts; ++id) set_targets(id, cpu_count_ == 1 ? 1 : 0);
}

void Gic::set_targets(u32 intid, u8 mask) {
  targets_[intid] = mask;
  const u32 bit = 1u << (intid % 32);
  for (u32 cpu = 0; cpu < cpu_count_; ++cpu) {
    u32& targeted = cpus_[cpu].targeted[intid / 32];
    targeted = (mask >> cpu) & 1 ? targeted | bit : targeted & ~bit;
  }
}

void Gic::set_input(u32 cpu, u32 intid, bool level) {
  const std::lock_guard lock(mutex_);
  Word& w = word(cpu, intid / 32);
  const u32 bit = 1u << (intid % 32);
  if (((w.level & bit) != 0) == level) return;
  w.level ^= bit;
  if (level && (w.edge & bit)) w.latched |= bit;
  if (intid < k_private)
    update(cpu);
  else
    update_all();
}

/// The pending interrupt that the distributor forwards to `cpu`: lowest priority value, then lowest INTID (3.3).
Gic::Candidate Gic::highest_pending(u32 cpu) {
  Candidate best{k_spurious, 0xff};
  if (!enabled_) return best;
  for (u32 i = 0; i < k_words; ++i) {
    const Word& w = word(cpu, i);
    u32 ready = w.pending() & w.enabled & ~w.active & cpus_[cpu].targeted[i];
    for (; ready; ready &= ready - 1) {
      const u32 intid = 32 * i + static_cast<u32>(std::countr_zero(ready));
      const u8 p = priority(cpu, intid);
      if (best.intid == k_spurious || p < best.priority) best = {intid, p};
    }
  }
  return best;
}

/// Whether `candidate` is signalled: unmasked by GICC_PMR and of sufficient priority to preempt (3.3.2, 3.3.3).
bool Gic::can_signal(const Cpu& c, const Candidate& candidate) const {
  if (candidate.intid == k_spurious || !(c.ctlr & k_ctlr_enable) || candidate.priority >= c.pmr) return false;
  const u32 running = c.apr ? static_cast<u32>(std::countr_zero(c.apr)) << k_priority_shift : 0x100;
  return group_priority(candidate.priority, c.bpr) < running;
}

void Gic::update(u32 cpu) {
  Cpu& c = cpus_[cpu];
  const bool level = can_signal(c, highest_pending(cpu));
  if (level == c.output) return;
  c.output = level;
  output_(cpu, level);
}

void Gic::update_all() {
  for (u32 cpu = 0; cpu < cpu_count_; ++cpu) update(cpu);
}

}  // namespace armvisor::devices
