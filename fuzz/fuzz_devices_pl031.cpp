// Register accesses at the real-time clock while time passes.
#include "devices/pl031.h"
#include "registers.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  fuzz::NullIrq irq;
  fuzz::FakeTime time;
  devices::Pl031 rtc(irq, time, time);
  fuzz::drive(in, rtc, devices::Pl031::k_region_size, [&](u8 extra) {
    if (extra != 16) return false;
    time.advance(u64{in.get<u32>()} * 1000);
    return true;
  });
  return 0;
}
