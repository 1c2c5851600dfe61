/* SPDX-License-Identifier: GPL-2.0 */
/* armvisor's hypercalls (docs/hypercalls.md), for Linux. */
#ifndef ARMVISOR_HYPERCALLS_H
#define ARMVISOR_HYPERCALLS_H

#include <linux/arm-smccc.h>

#define ARMVISOR_FEATURES 0x86000000
#define ARMVISOR_PT_ALLOC 0x86000001
#define ARMVISOR_PT_FREE 0x86000002
#define ARMVISOR_BATCH_BEGIN 0x86000003
#define ARMVISOR_BATCH_END 0x86000004
#define ARMVISOR_CLOCK 0x86000005
#define ARMVISOR_EXIT 0x86000006
#define ARMVISOR_MARK_BEGIN 0x86000007
#define ARMVISOR_MARK_END 0x86000008
#define ARMVISOR_UID 0x8600ff01

#define ARMVISOR_NO_ROOM (-4)
#define ARMVISOR_NOT_FOUND (-5)

/* tables.c: hints about translation tables, by kprobes on an unmodified kernel. */
int armvisor_tables_start(void);
void armvisor_tables_stop(void);

#endif
