// Registers of fw_cfg, and DMA descriptors that the input writes to RAM.
#include "devices/fw_cfg.h"
#include "registers.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  constexpr u64 k_base = 0x40000000, k_size = 1 << 20;
  using devices::FwCfgItems;
  static GuestRam ram = *GuestRam::create(GuestPa(k_base), k_size);
  static const auto items = std::make_shared<const FwCfgItems>(
      std::map<devices::FwCfgKey, FwCfgItems::Bytes>{{devices::FwCfgKey::KernelData, FwCfgItems::Bytes(5000, 'k')}},
      std::map<std::string, FwCfgItems::Bytes>{{"opt/file", {'f'}}, {"opt/empty", {}}});
  fuzz::Input in(data, size);
  devices::FwCfg device(items, ram);
  // A descriptor in RAM, at its end or outside; extra 17: and a transfer by it.
  fuzz::drive(in, device, devices::FwCfg::k_region_size, [&](u8 extra) {
    if (extra != 16 && extra != 17) return false;
    const u64 at = k_base + u64{in.get<u16>()} * 17;
    (void)ram.write(GuestPa(at), in.bytes(16));
    if (extra == 17) device.mmio_write(0x10, 8, __builtin_bswap64(at));
    return true;
  });
  return 0;
}
