#include "devices/gic_v2m.h"

namespace armvisor::devices {
namespace {
constexpr u64 MSI_TYPER = 0x008, MSI_SETSPI_NS = GicV2m::k_message_offset, MSI_IIDR = 0xfcc;
constexpr u32 k_iidr = 0x51 << 20;  // as QEMU's
constexpr u32 k_id_mask = 0x3ff;
}  // namespace

void GicV2m::describe(TreeWriter& tree, const Region& region) {
  tree.begin(node_name("v2m", region.base));
  tree.text("compatible", "arm,gic-v2m-frame");
  tree.empty("msi-controller");
  tree.reg({&region, 1});
  tree.phandle(Phandle::Messages);
  tree.end();
}

u64 GicV2m::mmio_read(u64 offset, u32 size) {
  if (size != 4) return 0;
  switch (offset) {
    case MSI_TYPER: return Gic::spi_id(first_spi_) << 16 | k_interrupts;
    case MSI_IIDR: return k_iidr;
    default: return 0;
  }
}

void GicV2m::mmio_write(u64 offset, u32 size, u64 value) {
  if (offset == MSI_SETSPI_NS && (size == 2 || size == 4)) message(static_cast<u32>(value));
}

void GicV2m::message(u32 interrupt_id) {
  const u32 n = (interrupt_id & k_id_mask) - Gic::spi_id(first_spi_);
  if (n >= k_interrupts) return;
  // An edge: the driver has the interrupt configured so.
  IrqLine& line = gic_.spi(first_spi_ + n);
  line.set(true);
  line.set(false);
}

}  // namespace armvisor::devices
