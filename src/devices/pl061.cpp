#include "devices/pl061.h"

namespace armvisor::devices {
namespace {

constexpr u32 GPIODATA_end = 0x400, GPIODIR = 0x400, GPIOIS = 0x404, GPIOIBE = 0x408, GPIOIEV = 0x40c, GPIOIE = 0x410,
              GPIORIS = 0x414, GPIOMIS = 0x418, GPIOIC = 0x41c, GPIOAFSEL = 0x420;
constexpr u8 k_ids[8] = {0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

}  // namespace

void Pl061::describe(TreeWriter& tree, const Site& site) {
  tree.begin(node_name("pl061", site.regions[0].base));
  tree.texts("compatible", {"arm,pl061", "arm,primecell"});
  tree.reg(site);
  tree.interrupt(site);
  tree.cells("clocks", {static_cast<u32>(Phandle::Clock)});
  tree.text("clock-names", "apb_pclk");
  tree.empty("gpio-controller");
  tree.cells("#gpio-cells", {2});
  tree.phandle(Phandle::Gpio);
  tree.end();
}

void Pl061::set_input(u32 line, bool high) {
  const std::lock_guard lock(mutex_);
  const u32 before = levels();
  inputs_ = (inputs_ & ~(1u << line)) | u32{high} << line;
  changed(before);
}

/// Edges are remembered, levels are not (3.3.2 to 3.3.5: GPIOIS, GPIOIBE, GPIOIEV).
void Pl061::changed(u32 before) {
  const u32 now = levels(), rose = now & ~before, fell = before & ~now;
  edges_ |= ~sense_ & ((both_edges_ & (rose | fell)) | (~both_edges_ & ((event_ & rose) | (~event_ & fell))));
  irq_.set((read_register(GPIOMIS)) != 0);
}

u32 Pl061::read_register(u32 offset) const {
  if (offset < GPIODATA_end) return levels() & offset >> 2;  // 3.3.1: the address has the mask
  switch (offset) {
    case GPIODIR: return direction_;
    case GPIOIS: return sense_;
    case GPIOIBE: return both_edges_;
    case GPIOIEV: return event_;
    case GPIOIE: return enabled_;
    case GPIORIS: return (edges_ & ~sense_) | (sense_ & ~(levels() ^ event_) & 0xff);
    case GPIOMIS: return read_register(GPIORIS) & enabled_;
    case GPIOAFSEL: return alternate_;
    default: return primecell_id(k_ids, offset);
  }
}

void Pl061::write_register(u32 offset, u32 value) {
  if (offset < GPIODATA_end) {
    const u32 mask = offset >> 2;
    data_ = (data_ & ~mask) | (value & mask);
    return;
  }
  switch (offset) {
    case GPIODIR: direction_ = value; break;
    case GPIOIS: sense_ = value; break;
    case GPIOIBE: both_edges_ = value; break;
    case GPIOIEV: event_ = value; break;
    case GPIOIE: enabled_ = value; break;
    case GPIOIC: edges_ &= ~value; break;
    case GPIOAFSEL: alternate_ = value; break;
    default: break;
  }
}

u64 Pl061::mmio_read(u64 offset, u32 size) {
  if (size > 4 || offset % 4 != 0) return 0;
  const std::lock_guard lock(mutex_);
  return read_register(static_cast<u32>(offset));
}

void Pl061::mmio_write(u64 offset, u32 size, u64 value) {
  if (size > 4 || offset % 4 != 0) return;
  const std::lock_guard lock(mutex_);
  const u32 before = levels();
  write_register(static_cast<u32>(offset), static_cast<u32>(value) & 0xff);
  changed(before);
}

}  // namespace armvisor::devices
