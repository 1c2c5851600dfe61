// Prints words of the flash.
#include "../lib/guest.h"

static void show(u32 address) {
  print_hex(address);
  print(" ");
  print_hex(*(volatile u32*)address);
  print("\n");
}

void test_main(void) {
  static const u32 addresses[] = {0, 0x3fffc, 0x40000, 0x03fffffc, 0x04000000, 0x04000ffc, 0x07fffffc};
  for (u32 k = 0; k < sizeof addresses / sizeof addresses[0]; ++k) show(addresses[k]);
}
