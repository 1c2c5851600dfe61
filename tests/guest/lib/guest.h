#pragma once
// The runtime of the bare-metal test programs: printing, checks, exceptions, page tables, interrupts, other vCPUs.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;

// --- printing on the PL011 and checks. A program prints "ok NAME" or "FAIL NAME: ..." per test.
void print(const char* s);
void print_hex(u32 v);
void test_begin(const char* name);
void test_end(void);
void check_eq(u32 got, u32 want, const char* what, int line);
#define CHECK_EQ(got, want) check_eq((u32)(got), (u32)(want), #got " == " #want, __LINE__)
#define CHECK(cond) check_eq(!!(cond), 1, #cond, __LINE__)
/// PSCI function that ends the program; SYSTEM_OFF unless a test changes it.
extern u32 final_call;
/// Defined by each program.
void test_main(void);

// --- exceptions
enum { EXC_UND = 1, EXC_SVC = 2, EXC_PABT = 3, EXC_DABT = 4, EXC_IRQ = 6, EXC_FIQ = 7 };
struct frame {
  u32 spsr, r[13], lr, cpsr;
};
/// What the last exception of a kind looked like on this CPU.
struct exc_record {
  u32 count, lr, spsr, cpsr, fsr, far;
};
#define MAX_CPUS 8
extern volatile struct exc_record exc[MAX_CPUS][8];
#define EXC(kind) (exc[cpu_number()][kind])
/// A hook takes the place of the default treatment. It sets frame->lr to the address to return to.
typedef void (*exc_hook_fn)(struct frame*, u32 kind);
extern exc_hook_fn exc_hook[8];
/// Default treatment: the instruction is skipped; after a Prefetch Abort execution goes on at resume_pc.
extern volatile u32 resume_pc[MAX_CPUS];
u32 call_user(u32 (*fn)(u32), u32 arg);
extern u32 vectors[];

// --- system registers
#define READ_CP15(op1, crn, crm, op2)                                                                         \
  ({                                                                                                          \
    u32 v_;                                                                                                   \
    asm volatile("mrc p15, " #op1 ", %0, " #crn ", " #crm ", " #op2 : "=r"(v_)::"memory");                     \
    v_;                                                                                                       \
  })
#define WRITE_CP15(op1, crn, crm, op2, value) \
  asm volatile("mcr p15, " #op1 ", %0, " #crn ", " #crm ", " #op2 "\n isb" ::"r"(value) : "memory")
#define READ_CPSR()                                    \
  ({                                                   \
    u32 v_;                                            \
    asm volatile("mrs %0, cpsr" : "=r"(v_)::"memory"); \
    v_;                                                \
  })
static inline u32 read_sctlr(void) { return READ_CP15(0, c1, c0, 0); }
static inline void write_sctlr(u32 v) { WRITE_CP15(0, c1, c0, 0, v); }
static inline u32 cpu_number(void) { return READ_CP15(0, c0, c0, 5) & 0xff; }
static inline void dsb(void) { asm volatile("dsb" ::: "memory"); }
static inline void dmb(void) { asm volatile("dmb" ::: "memory"); }
static inline void isb(void) { asm volatile("isb" ::: "memory"); }
static inline void wfi(void) { asm volatile("dsb\n wfi" ::: "memory"); }
static inline void wfe(void) { asm volatile("wfe" ::: "memory"); }
static inline void sev(void) { asm volatile("dsb\n sev" ::: "memory"); }
static inline void irq_enable(void) { asm volatile("cpsie i" ::: "memory"); }
static inline void irq_disable(void) { asm volatile("cpsid i" ::: "memory"); }
static inline u64 counter(void) {
  u32 lo, hi;
  asm volatile("isb\n mrrc p15, 1, %0, %1, c14" : "=r"(lo), "=r"(hi)::"memory");
  return (u64)hi << 32 | lo;
}
static inline void tlb_flush_all(void) {
  dsb();
  WRITE_CP15(0, c8, c7, 0, 0);
  dsb();
  isb();
}
/// Makes instructions written to [p, p + bytes) visible to this CPU and its inner-shareable peers.
void sync_code(const void* p, u32 bytes);

// --- memory map (mmu.c). Identity: devices below 0x10000000 (Device, XN), RAM from 0x40000000 (Normal), 16 MiB of it.
#define RAM_BASE 0x40000000u
#define TEST_VA 0x80000000u  ///< 1 MiB that tests map page by page
extern u32 short_l1[4096];
extern u32 short_l2[256];  ///< for TEST_VA
extern u64 long_l1[4];
extern u64 long_l2[4][512];
extern u64 long_l3[512];  ///< for the first 2 MiB at TEST_VA
extern u8 test_pages[8][4096];
void mmu_short_tables(void);
void mmu_short_on(void);  ///< uses the tables, SCTLR.M, C, I on
void mmu_long_tables(void);
void mmu_long_on(void);
void mmu_off(void);
#define SHORT_NORMAL ((1u << 12) | (1u << 3) | (1u << 2))  ///< section: TEX C B of write-back normal memory
#define SHORT_PAGE_NORMAL ((1u << 6) | (1u << 3) | (1u << 2))
/// Small page descriptor: ap is AP[2:0].
static inline u32 short_page(u32 pa, u32 ap, u32 xn, u32 ng) {
  return (pa & ~0xfffu) | 2 | xn | SHORT_PAGE_NORMAL | (ap & 3) << 4 | (ap >> 2) << 9 | ng << 11 | 1u << 10;
}
/// Level 3 page of normal memory: ap is AP[2:1].
static inline u64 long_page(u64 pa, u32 ap, u32 af) {
  return (pa & ~0xfffull) | 3 | 1u << 2 | ap << 6 | 3u << 8 | af << 10;
}

// --- interrupts (gic.c): GICv2
#define IRQ_VTIMER 27
#define IRQ_PTIMER 30
void gic_init_distributor(void);
void gic_init_cpu(void);
void gic_enable(u32 irq);
void gic_disable(u32 irq);
u32 gic_acknowledge(void);
void gic_end(u32 iar);
void gic_sgi(u32 target_mask, u32 sgi);

// --- other vCPUs
u32 psci(u32 function, u32 a, u32 b, u32 c);
#define PSCI_VERSION 0x84000000u
#define PSCI_CPU_OFF 0x84000002u
#define PSCI_CPU_ON 0x84000003u
#define PSCI_AFFINITY_INFO 0x84000004u
#define PSCI_SYSTEM_OFF 0x84000008u
#define PSCI_SYSTEM_RESET 0x84000009u
#define PSCI_FEATURES 0x8400000au
/// Starts CPU `cpu` in `fn(cpu)`; it is switched off when fn returns. Returns the PSCI status.
u32 cpu_start(u32 cpu, void (*fn)(u32));
/// Waits until CPU `cpu` is off (AFFINITY_INFO), so its next start cannot fail.
void cpu_wait_off(u32 cpu);
u32 cpus_present(void);  ///< tried by AFFINITY_INFO
