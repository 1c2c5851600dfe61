#pragma once
/* Makes the guest a system: what /setup in the initramfs says (src/exec/setup_list.h), step by step. */
#include "port.h"

/* Loads the modules that it says come before the channel. */
void setup_early(void);
/* All else; leaves the initramfs for the system's root. False: the host was told what failed. */
int setup_system(void);
/* Asks those folders of the host that are written to for what is on its way; the first error, 0 for none. */
long setup_sync(void);
/* So that who has the disk next finds nothing to mend; what is still open for writing is in the way, and no error. */
void setup_end(void);
/* Whether the machine has ports for more commands. */
int setup_has_sessions(void);
