// State at the start of the machine, and PSCI SYSTEM_RESET: run with --no-reboot, which makes the reset end the machine.
#include "lib/guest.h"

void test_main(void) {
  test_begin("reset: the machine starts in SVC mode, masked, with the MMU off");
  CHECK_EQ(read_sctlr() & 0x1005, 0);
  CHECK_EQ(READ_CPSR() & 0x1ff, 0x1d3);
  CHECK_EQ(cpu_number(), 0);
  test_end();
  final_call = PSCI_SYSTEM_RESET;
}
