#include "devices/pl031.h"

#include "base/bits.h"

namespace armvisor::devices {
namespace {

constexpr u32 RTCDR = 0x00, RTCMR = 0x04, RTCLR = 0x08, RTCCR = 0x0c, RTCIMSC = 0x10, RTCRIS = 0x14, RTCMIS = 0x18,
              RTCICR = 0x1c;
constexpr u8 k_ids[8] = {0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
constexpr u64 k_ns_per_s = 1000000000;

}  // namespace

Pl031::Pl031(IrqLine& irq, Clock& clock, TimerQueue& queue)
    : irq_(irq), clock_(clock), queue_(queue), id_(queue.add([this] { alarm(); })) {}

void Pl031::describe(TreeWriter& tree, const Site& site) {
  tree.begin(node_name("pl031", site.regions[0].base));
  tree.texts("compatible", {"arm,pl031", "arm,primecell"});
  tree.reg(site);
  tree.interrupt(site);
  tree.cells("clocks", {static_cast<u32>(Phandle::Clock)});
  tree.text("clock-names", "apb_pclk");
  tree.end();
}

Pl031::~Pl031() { queue_.remove(id_); }

void Pl031::update_irq() { irq_.set((ris_ & imsc_) != 0); }

/// The alarm comes when the counter equals RTCMR, at once if it does now.
void Pl031::arm_alarm() {
  const u32 wait = match_ - seconds();
  if (wait == 0) {
    queue_.disarm(id_);
    ris_ = 1;
  } else {
    queue_.arm(id_, clock_.now_ns() + wait * k_ns_per_s);
  }
}

void Pl031::alarm() {
  const std::lock_guard lock(mutex_);
  ris_ = 1;
  update_irq();
}

/// Parts of a register may be read and written at its address: UEFI reads bytes of the identification.
u64 Pl031::mmio_read(u64 offset, u32 size) { return size <= 4 ? read(offset) & low_mask(size * 8) : 0; }

u32 Pl031::read(u64 offset) {
  const std::lock_guard lock(mutex_);
  switch (offset) {
    case RTCDR: return seconds();
    case RTCMR: return match_;
    case RTCLR: return load_;
    case RTCCR: return 1;  // cannot be stopped once started
    case RTCIMSC: return imsc_;
    case RTCRIS: return ris_;
    case RTCMIS: return ris_ & imsc_;
    default: break;
  }
  return primecell_id(k_ids, offset);
}

void Pl031::mmio_write(u64 offset, u32 size, u64 value64) {
  if (size > 4) return;
  const u32 value = static_cast<u32>(value64);
  const std::lock_guard lock(mutex_);
  switch (offset) {
    case RTCMR:
      match_ = value;
      arm_alarm();
      break;
    case RTCLR:
      load_ = value;
      offset_ = value - static_cast<u32>(clock_.realtime_s());
      arm_alarm();
      break;
    case RTCIMSC: imsc_ = value & 1; break;
    case RTCICR: ris_ = 0; break;  // by any value, as QEMU and DDI 0287B have it
    default: return;
  }
  update_irq();
}

}  // namespace armvisor::devices
