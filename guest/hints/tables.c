// SPDX-License-Identifier: GPL-2.0
/*
 * Tells the hypervisor of user translation tables as the kernel makes, changes and frees them. The kernel has no hooks
 * for that on ARM (no paravirtual page tables), so these are kprobes at the entry of functions:
 *
 *   pgd_alloc (its return), pgd_free    the first level
 *   pmd_install, free_pgd_range         the last level
 *   tlb_gather_mmu, tlb_finish_mmu      a range is unmapped: a batch of writes
 *   copy_page_range (entry, return)     fork: likewise
 *
 * Hints may be wrong or missing (the middle level of LPAE is), so the probes need not be exact.
 */
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <asm/pgalloc.h>
#include <asm/tlb.h>

#include "hypercalls.h"

#ifdef CONFIG_ARM_LPAE
#define LAST_LEVEL 3
#else
#define LAST_LEVEL 2
#endif

static void hint_table(u32 function, phys_addr_t pa, u32 level)
{
	arm_smccc_1_1_hvc(function, lower_32_bits(pa), upper_32_bits(pa), level, NULL);
}

static void hint_pgd(u32 function, pgd_t *pgd)
{
	phys_addr_t pa = __pa(pgd);
	size_t offset;

	for (offset = 0; offset < PTRS_PER_PGD * sizeof(pgd_t); offset += PAGE_SIZE)
		hint_table(function, pa + offset, 1);
}

static int pgd_alloc_returns(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	if (regs->ARM_r0)
		hint_pgd(ARMVISOR_PT_ALLOC, (pgd_t *)regs->ARM_r0);
	return 0;
}

/* void pgd_free(struct mm_struct *mm, pgd_t *pgd) */
static int enter_pgd_free(struct kprobe *probe, struct pt_regs *regs)
{
	if (regs->ARM_r1)
		hint_pgd(ARMVISOR_PT_FREE, (pgd_t *)regs->ARM_r1);
	return 0;
}

/* void pmd_install(struct mm_struct *mm, pmd_t *pmd, pgtable_t *pte) */
static int enter_pmd_install(struct kprobe *probe, struct pt_regs *regs)
{
	pgtable_t *pte = (pgtable_t *)regs->ARM_r2;

	if (*pte)
		hint_table(ARMVISOR_PT_ALLOC, page_to_phys(*pte), LAST_LEVEL);
	return 0;
}

/* void free_pgd_range(struct mmu_gather *tlb, addr, end, floor, ceiling): tables that are wholly in the range go. */
static int enter_free_pgd_range(struct kprobe *probe, struct pt_regs *regs)
{
	struct mmu_gather *tlb = (struct mmu_gather *)regs->ARM_r0;
	unsigned long at = regs->ARM_r1 & PMD_MASK, last = regs->ARM_r2 - 1;

	while (at <= last) {
		pgd_t *pgd = pgd_offset(tlb->mm, at);
		p4d_t *p4d = p4d_offset(pgd, at);
		pud_t *pud = pud_offset(p4d, at);

		if (!pud_none(*pud) && !pud_bad(*pud)) {
			pmd_t pmd = *pmd_offset(pud, at);

			if (!pmd_none(pmd) && !pmd_bad(pmd))
				hint_table(ARMVISOR_PT_FREE, pmd_val(pmd) & PHYS_MASK & PAGE_MASK, LAST_LEVEL);
		}
		if (at + PMD_SIZE < at)
			break;
		at += PMD_SIZE;
	}
	return 0;
}

static int batch_begins(struct kprobe *probe, struct pt_regs *regs)
{
	arm_smccc_1_1_hvc(ARMVISOR_BATCH_BEGIN, NULL);
	return 0;
}

static int batch_ends(struct kprobe *probe, struct pt_regs *regs)
{
	arm_smccc_1_1_hvc(ARMVISOR_BATCH_END, NULL);
	return 0;
}

static int copy_begins(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	return batch_begins(NULL, regs);
}

static int copy_ends(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	return batch_ends(NULL, regs);
}

static struct kprobe pgd_free_probe = { .symbol_name = "pgd_free", .pre_handler = enter_pgd_free };
static struct kprobe pmd_install_probe = { .symbol_name = "pmd_install", .pre_handler = enter_pmd_install };
static struct kprobe free_range_probe = { .symbol_name = "free_pgd_range", .pre_handler = enter_free_pgd_range };
static struct kprobe gather_probe = { .symbol_name = "tlb_gather_mmu", .pre_handler = batch_begins };
static struct kprobe finish_probe = { .symbol_name = "tlb_finish_mmu", .pre_handler = batch_ends };
static struct kretprobe pgd_alloc_probe = { .kp.symbol_name = "pgd_alloc", .handler = pgd_alloc_returns, .maxactive = 32 };
static struct kretprobe copy_probe = {
	.kp.symbol_name = "copy_page_range", .entry_handler = copy_begins, .handler = copy_ends, .maxactive = 32,
};

static struct kprobe *const probes[] = {
	&pgd_free_probe, &pmd_install_probe, &free_range_probe, &gather_probe, &finish_probe,
};
static struct kretprobe *const return_probes[] = { &pgd_alloc_probe, &copy_probe };

int armvisor_tables_start(void)
{
	int probed, probed_returns = 0, error = 0;

	for (probed = 0; probed < ARRAY_SIZE(probes); ++probed) {
		error = register_kprobe(probes[probed]);
		if (error)
			goto undo;
	}
	for (; probed_returns < ARRAY_SIZE(return_probes); ++probed_returns) {
		error = register_kretprobe(return_probes[probed_returns]);
		if (error)
			goto undo;
	}
	return 0;
undo:
	while (probed_returns-- > 0)
		unregister_kretprobe(return_probes[probed_returns]);
	while (probed-- > 0)
		unregister_kprobe(probes[probed]);
	return error;
}

void armvisor_tables_stop(void)
{
	int k;

	for (k = 0; k < ARRAY_SIZE(return_probes); ++k)
		unregister_kretprobe(return_probes[k]);
	for (k = 0; k < ARRAY_SIZE(probes); ++k)
		unregister_kprobe(probes[k]);
}
