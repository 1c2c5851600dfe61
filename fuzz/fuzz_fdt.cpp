// Any bytes as the user's device tree.
#include "input.h"
#include "machine/fdt.h"
#include "machine/virt.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  machine::FdtConfig config;
  config.board = &machine::k_virt;
  config.ram_size = 64u << 20;
  config.vcpus = 2;
  config.bootargs = "console=ttyAMA0";
  config.initrd_start = 0x42000000;
  config.initrd_end = 0x42001000;
  const auto tree = machine::complete_fdt({data, data + size}, "input", config);
  if (!tree && tree.error().message.empty()) fuzz::fail("an error without a message");
  return 0;
}
