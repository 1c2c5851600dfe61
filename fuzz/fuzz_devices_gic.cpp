// Register accesses and input changes at the interrupt controller, in any order.
#include "devices/gic.h"
#include "registers.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  const u32 cpus = 1 + in.get<u8>() % devices::Gic::k_max_cpus;
  bool level[devices::Gic::k_max_cpus] = {};
  devices::Gic gic(cpus, [&](u32 cpu, bool high) {
    if (cpu >= cpus || level[cpu] == high) fuzz::fail("an output that did not change");
    level[cpu] = high;
  });
  u32 cpu = 0;
  bool distributor = true;
  fuzz::drive(
      in, 0x2000,
      [&](u64 offset, u32 bytes) {
        const u64 v =
            distributor ? gic.read_distributor(cpu, offset, bytes) : gic.read_cpu_interface(cpu, offset, bytes);
        if (v & ~fuzz::low_bytes_mask(bytes)) fuzz::fail("a read wider than the access");
      },
      [&](u64 offset, u32 bytes, u64 value) {
        if (distributor)
          gic.write_distributor(cpu, offset, bytes, value);
        else
          gic.write_cpu_interface(cpu, offset, bytes, value);
      },
      [&](u8 extra) {
        const u8 line = extra == 16 || extra == 17 ? in.get<u8>() : u8{0};
        switch (extra) {
          case 16: gic.spi(line % devices::Gic::k_spis).set(in.get<u8>() & 1); return true;
          case 17: gic.ppi(cpu, line % 16).set(line & 16); return true;
          case 18: gic.reset(); return true;
          case 19: cpu = in.get<u8>() % cpus; return true;
          case 20: distributor = !distributor; return true;
          default: return false;
        }
      });
  return 0;
}
