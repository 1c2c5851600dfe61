// The CPU interface of the Gic (ARM IHI 0048B 4.4).
#include <bit>

#include "devices/gic.h"
#include "devices/gic_registers.h"

namespace armvisor::devices {

using namespace gicv2;

u64 Gic::read_cpu_interface(u32 cpu, u64 offset, u32 size) {
  if (size != 4 || cpu >= cpu_count_) return 0;
  const std::lock_guard lock(mutex_);
  const Cpu& c = cpus_[cpu];
  switch (offset) {
    case GICC_CTLR: return c.ctlr;
    case GICC_PMR: return c.pmr;
    case GICC_BPR: return c.bpr;
    case GICC_ABPR: return c.abpr;
    case GICC_IAR: return acknowledge(cpu);
    case GICC_RPR: return c.apr ? static_cast<u32>(std::countr_zero(c.apr)) << k_priority_shift : 0xff;
    case GICC_HPPIR: return highest_pending_id(cpu);
    case GICC_AIAR:
    case GICC_AHPPIR: return k_spurious;  // there are no Group 1 interrupts
    case GICC_APR0: return c.apr;
    case GICC_IIDR: return k_gicc_iidr;
    default: return 0;
  }
}

void Gic::write_cpu_interface(u32 cpu, u64 offset, u32 size, u64 value64) {
  if (size != 4 || cpu >= cpu_count_) return;
  const std::lock_guard lock(mutex_);
  const u32 value = static_cast<u32>(value64);
  Cpu& c = cpus_[cpu];
  switch (offset) {
    case GICC_CTLR: c.ctlr = value & (k_ctlr_enable | k_ctlr_eoimode); break;
    case GICC_PMR: c.pmr = value & k_priority_mask; break;
    case GICC_BPR: c.bpr = std::max<u8>(value & 7, k_min_bpr); break;
    case GICC_ABPR: c.abpr = std::max<u8>(value & 7, k_min_abpr); break;
    case GICC_EOIR: end_of_interrupt(cpu, value); break;
    case GICC_APR0: c.apr = value; break;
    case GICC_DIR:
      if (c.ctlr & k_ctlr_eoimode) deactivate(cpu, value & 0x3ff);
      break;
    default: return;
  }
  update(cpu);
}

/// A read of GICC_IAR (4.4.4): the pending interrupt becomes active, and its priority the running one.
u32 Gic::acknowledge(u32 cpu) {
  Cpu& c = cpus_[cpu];
  const Candidate candidate = highest_pending(cpu);
  if (!can_signal(c, candidate)) return k_spurious;
  const u32 intid = candidate.intid, bit = 1u << (intid % 32);
  Word& w = word(cpu, intid / 32);
  u32 result = intid;
  if (intid < 16) {
    const u32 source = static_cast<u32>(std::countr_zero(c.sgi_sources[intid]));
    result |= source << 10;
    set_sgi_sources(cpu, intid, c.sgi_sources[intid] & static_cast<u8>(~(1u << source)));
  } else {
    w.latched &= ~bit;
  }
  w.active |= bit;
  c.apr |= 1u << (group_priority(candidate.priority, c.bpr) >> k_priority_shift);
  if (intid < k_private)
    update(cpu);
  else
    update_all();  // a shared interrupt was offered to every target, one took it
  return result;
}

/// GICC_HPPIR: as acknowledge() would find it, whatever mask and running priority are (4.4.7).
u32 Gic::highest_pending_id(u32 cpu) {
  const u32 intid = highest_pending(cpu).intid;
  if (intid >= 16) return intid;
  return intid | static_cast<u32>(std::countr_zero(cpus_[cpu].sgi_sources[intid])) << 10;
}

/// GICC_EOIR (4.4.5): drops the running priority; deactivates unless GICC_CTLR.EOImode leaves that to GICC_DIR.
void Gic::end_of_interrupt(u32 cpu, u32 value) {
  const u32 intid = value & 0x3ff;
  if (intid >= k_interrupts) return;
  Cpu& c = cpus_[cpu];
  c.apr &= c.apr - 1;
  if (!(c.ctlr & k_ctlr_eoimode)) deactivate(cpu, intid);
}

void Gic::deactivate(u32 cpu, u32 intid) {
  if (intid >= k_interrupts) return;
  word(cpu, intid / 32).active &= ~(1u << (intid % 32));
  if (intid >= k_private) update_all();
}

}  // namespace armvisor::devices
