// Commands to the flash, which also is read through its array view.
#include "devices/cfi_flash.h"
#include "registers.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  devices::CfiFlashConfig config;
  config.size = u64{1} << 20;
  config.read_only = in.get<u8>() & 1;
  auto flash = devices::CfiFlash::create({config.size, "", config.read_only}, [] {});
  if (!flash) return 0;
  devices::CfiFlash& bank = **flash;
  fuzz::drive(in, bank, config.size, [&](u8 extra) {
    if (extra == 16) {
      u64 value = 0;
      const u64 offset = in.get<u32>() % (config.size - 7);
      if (const u8* p = bank.array_view(offset)) {
        std::memcpy(&value, p, 8);
        if (bank.mmio_read(offset, 8) != value) fuzz::fail("the array view differs from what is read");
      }
    } else if (extra == 17) {
      bank.reset();
    } else if (extra == 18) {  // the command protocol, at one address
      const u64 offset = (in.get<u32>() % config.size) & ~u64{3};
      bank.mmio_write(offset, 4, in.get<u8>() * 0x10001u);
    } else {
      return false;
    }
    return true;
  });
  return 0;
}
