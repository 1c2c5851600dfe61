// The distributor of the Gic (ARM IHI 0048B 4.3).
#include "devices/gic.h"
#include "devices/gic_registers.h"

namespace armvisor::devices {

using namespace gicv2;

namespace {

constexpr u32 k_sgi_mask = 0xffff;

bool in(u32 offset, u32 first, u32 end) { return offset >= first && offset < end; }

/// Registers of one byte per interrupt, which byte accesses may reach (4.1.4).
bool is_byte_register(u32 offset) {
  return in(offset, GICD_IPRIORITYR, GICD_ICFGR) || in(offset, GICD_CPENDSGIR, GICD_SPENDSGIR + 16);
}

/// Number of the word that a bit-per-interrupt register at `offset` holds; each kind has 0x80 bytes.
u32 word_index(u32 offset) { return (offset & 0x7f) / 4; }

/// Spreads bits 0..15 to the upper bit of each of 16 two-bit fields, and back.
u32 spread(u32 bits) {
  u32 fields = 0;
  for (u32 i = 0; i < 16; ++i) fields |= ((bits >> i) & 1) << (2 * i + 1);
  return fields;
}
u32 gather(u32 fields) {
  u32 bits = 0;
  for (u32 i = 0; i < 16; ++i) bits |= ((fields >> (2 * i + 1)) & 1) << i;
  return bits;
}

}  // namespace

u64 Gic::read_distributor(u32 cpu, u64 offset64, u32 size) {
  if (offset64 >= GICD_END || cpu >= cpu_count_) return 0;
  const u32 offset = static_cast<u32>(offset64);
  const std::lock_guard lock(mutex_);
  if (is_byte_register(offset) && size <= 4) {
    u32 value = 0;
    for (u32 i = 0; i < size; ++i) value |= u32{read_byte_register(cpu, offset + i)} << (8 * i);
    return value;
  }
  return size == 4 && offset % 4 == 0 ? read_distributor_word(cpu, offset) : 0;
}

void Gic::write_distributor(u32 cpu, u64 offset64, u32 size, u64 value) {
  if (offset64 >= GICD_END || cpu >= cpu_count_) return;
  const u32 offset = static_cast<u32>(offset64);
  const std::lock_guard lock(mutex_);
  if (is_byte_register(offset) && size <= 4) {
    for (u32 i = 0; i < size; ++i) write_byte_register(cpu, offset + i, static_cast<u8>(value >> (8 * i)));
  } else if (size == 4 && offset % 4 == 0) {
    write_distributor_word(cpu, offset, static_cast<u32>(value));
  } else {
    return;
  }
  update_all();
}

u32 Gic::read_distributor_word(u32 cpu, u32 offset) {
  if (in(offset, GICD_ISENABLER, GICD_IPRIORITYR)) return read_bits(cpu, offset);
  if (in(offset, GICD_ICFGR, GICD_PPISR)) return read_config(cpu, (offset - GICD_ICFGR) / 4);
  if (in(offset, GICD_PPISR, GICD_PPISR + 4 * k_words)) {
    const u32 w = (offset - GICD_PPISR) / 4;
    return w == 0 ? word(cpu, 0).level >> 16 : word(cpu, w).level;
  }
  if (offset >= GICD_IDS) return k_gicd_ids[(offset - GICD_IDS) / 4];
  switch (offset) {
    case GICD_CTLR: return enabled_;
    case GICD_TYPER: return (k_words - 1) | (cpu_count_ - 1) << 5;
    case GICD_IIDR: return k_gicd_iidr;
    default: return 0;  // GICD_IGROUPR and GICD_NSACR too: there is one group
  }
}

void Gic::write_distributor_word(u32 cpu, u32 offset, u32 value) {
  if (in(offset, GICD_ISENABLER, GICD_IPRIORITYR)) return write_bits(cpu, offset, value);
  if (in(offset, GICD_ICFGR, GICD_PPISR)) return write_config(cpu, (offset - GICD_ICFGR) / 4, value);
  if (offset == GICD_CTLR) enabled_ = (value & 1) != 0;
  if (offset == GICD_SGIR) send_sgi(cpu, value);
}

u32 Gic::read_bits(u32 cpu, u32 offset) {
  const u32 index = word_index(offset);
  if (index >= k_words) return 0;
  const Word& w = word(cpu, index);
  switch (offset & ~0xffu) {
    case GICD_ISENABLER: return w.enabled;
    case GICD_ISPENDR: return w.pending();
    default: return w.active;
  }
}

void Gic::write_bits(u32 cpu, u32 offset, u32 value) {
  const u32 index = word_index(offset);
  if (index >= k_words) return;
  Word& w = word(cpu, index);
  const u32 not_sgi = index == 0 ? value & ~k_sgi_mask : value;
  switch (offset & ~0x7fu) {
    case GICD_ISENABLER: w.enabled |= value; break;
    case GICD_ICENABLER: w.enabled &= ~not_sgi; break;
    case GICD_ISPENDR: w.latched |= not_sgi; break;
    case GICD_ICPENDR: w.latched &= ~not_sgi; break;
    case GICD_ISACTIVER: w.active |= value; break;
    case GICD_ICACTIVER: w.active &= ~value; break;
  }
}

/// GICD_ICFGR: two bits per interrupt, of which the upper one says edge-triggered.
u32 Gic::read_config(u32 cpu, u32 index) {
  if (index / 2 >= k_words) return 0;
  return spread(word(cpu, index / 2).edge >> (16 * (index % 2)));
}

void Gic::write_config(u32 cpu, u32 index, u32 value) {
  if (index == 0 || index / 2 >= k_words) return;  // SGIs are fixed
  u32& edge = word(cpu, index / 2).edge;
  const u32 shift = 16 * (index % 2);
  edge = (edge & ~(0xffffu << shift)) | gather(value) << shift;
}

u8 Gic::read_byte_register(u32 cpu, u32 offset) {
  if (in(offset, GICD_IPRIORITYR, GICD_ITARGETSR)) {
    const u32 intid = offset - GICD_IPRIORITYR;
    return intid < k_interrupts ? priority(cpu, intid) : 0;
  }
  if (in(offset, GICD_ITARGETSR, GICD_ICFGR)) {
    const u32 intid = offset - GICD_ITARGETSR;
    if (intid >= k_interrupts || cpu_count_ == 1) return 0;
    return intid < k_private ? static_cast<u8>(1u << cpu) : targets_[intid];
  }
  return in(offset, GICD_CPENDSGIR, GICD_SPENDSGIR + 16) ? cpus_[cpu].sgi_sources[offset & 15] : u8{0};
}

void Gic::write_byte_register(u32 cpu, u32 offset, u8 value) {
  if (in(offset, GICD_IPRIORITYR, GICD_ITARGETSR)) {
    const u32 intid = offset - GICD_IPRIORITYR;
    if (intid < k_interrupts) priority(cpu, intid) = value & k_priority_mask;
  } else if (in(offset, GICD_ITARGETSR, GICD_ICFGR)) {
    const u32 intid = offset - GICD_ITARGETSR;
    if (intid >= k_private && intid < k_interrupts && cpu_count_ > 1)
      set_targets(intid, value & static_cast<u8>((1u << cpu_count_) - 1));
  } else {
    const u32 sgi = offset & 15;
    const u8 sources = cpus_[cpu].sgi_sources[sgi];
    const u8 valid = value & static_cast<u8>((1u << cpu_count_) - 1);
    set_sgi_sources(cpu, sgi, offset < GICD_SPENDSGIR ? sources & static_cast<u8>(~value) : sources | valid);
  }
}

/// GICD_SGIR (4.3.15): to a list of CPUs, to all others, or to the sender.
void Gic::send_sgi(u32 cpu, u32 value) {
  const u32 sgi = value & 15, all = (1u << cpu_count_) - 1;
  u32 to = 0;
  switch ((value >> 24) & 3) {
    case 0: to = (value >> 16) & all; break;
    case 1: to = all & ~(1u << cpu); break;
    case 2: to = 1u << cpu; break;
    default: break;  // reserved
  }
  for (u32 target = 0; target < cpu_count_; ++target)
    if ((to >> target) & 1) set_sgi_sources(target, sgi, cpus_[target].sgi_sources[sgi] | static_cast<u8>(1u << cpu));
}

void Gic::set_sgi_sources(u32 cpu, u32 sgi, u8 sources) {
  Cpu& c = cpus_[cpu];
  c.sgi_sources[sgi] = sources;
  const u32 bit = 1u << sgi;
  c.word0.latched = sources ? c.word0.latched | bit : c.word0.latched & ~bit;
}

}  // namespace armvisor::devices
