#pragma once
/* What the kernel says of the command's processes. */
#include "sys.h"

/* From now on. */
void kernel_log_begin(void);
/* How many processes the kernel has killed since then because memory was short: `pid`, or with -1 any. */
uint32_t kernel_log_killed(long pid);
