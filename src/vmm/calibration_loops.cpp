#include "vmm/calibration_loops.h"

namespace armvisor::vmm::calibration {
namespace {

using A = A32Assembler;

void nothing(A&) {}
void data_page(A& a) { a.mov(8, k_data_va); }
void read_cpsr(A& a) { a.word(0xe10f0000); }
void irq_registers(A& a) {
  a.mov(8, k_gicd);
  a.mov(9, k_gicc);
  a.mov(1, 2u << 24);  // GICD_SGIR: SGI 0 to this CPU
}
void tlbiall(A& a) { a.mcr(0, 0, 8, 7, 0); }
void tlbimvaa(A& a) { a.mcr(1, 0, 8, 7, 3); }  ///< of R1
/// Does `body` with R1 at each of `pages` pages from `va` on.
void each_page(A& a, u32 va, u32 pages, void (*body)(A&)) {
  a.mov(0, pages);
  a.mov(1, va);
  const u32 top = a.here();
  body(a);
  a.word(0xe2811a01);  // add r1, r1, #4096
  a.subs(0, 0, 1);
  a.branch(top, A::k_not_equal);
}
void enter_user(A& a) {
  a.mov(k_undefined_ends, 1);
  a.cps(k_user);
}
void leave_user(A& a) { a.word(k_undefined); }  // its handler goes to k_return

void client_of_domain_0(A& a) {
  a.mov(0, 1);
  a.mcr(0, 0, 3, 0, 0);
}
/// DACR as Linux writes it around accesses to user memory.
void toggle_domains(A& a) {
  client_of_domain_0(a);
  a.mov(0, 5);
  a.mcr(0, 0, 3, 0, 0);
}

void stm_user(A& a) { a.word(0xe8c86000); }  // stm r8, {sp, lr}^
/// LDM of SP_usr and LR_usr. ISB keeps it out of a region, where it would be a light trap.
void ldm_user(A& a) { a.word(0xe8d86000), a.word(A::k_isb); }
void spare_page(A& a) { a.mov(8, k_data + 0x1000); }
void counter(A& a) { a.word(0xec510f1e); }          // MRRC of CNTVCT
void read_fpexc(A& a) { a.word(0xeef80a10); }       // VMRS of FPEXC
void select_event(A& a) { a.mcr(0, 0, 9, 12, 5); }  // MCR of PMSELR
void to_system_and_back(A& a) { a.cps(k_system), a.cps(k_supervisor); }
void svc(A& a) { a.word(k_svc); }
void spsr_is_cpsr(A& a) { a.word(0xe10f0000), a.word(0xe16ff000); }
void return_to_next(A& a) { a.word(0xe28fe000), a.word(0xe1b0f00e); }  // adr lr, .+8; movs pc, lr
void spsr_is_fiq(A& a) {
  a.mov(0, 0xc0 | k_fiq);
  a.word(0xe16ff000);
}
void nowhere(A& a) { a.mov(8, k_nothing); }
void load(A& a) { a.ldr(0, 8); }

void code_once(A& a) {
  for (u32 k = 0; k < 1024; ++k) {
    a.add(0, 0, 1);
    a.word(0xe0203001);  // eor r3, r0, r1
    a.ldr(2, 8);
    a.str(3, 8, 4);
    a.word(0xe1500002);  // cmp r0, r2
    a.branch(a.here() + 4);
  }
}
/// 512 blocks as compilers make them, 20 KiB of code in all: arithmetic, loads and stores near each other and with a
/// stride, compares, branches that are taken and that are not, calls and returns.
void mixed_code(A& a) {
  for (u32 k = 0; k < 512; ++k) {
    a.ldr(2, 8, 4 * (k % 64));
    a.word(0xe0833102);          // add r3, r3, r2, lsl #2
    a.word(0xe3130001 + k % 8);  // tst r3, #1...
    a.word(0x10233000);          // eorne r3, r3, r0
    a.str(3, 8, 4 * (k * 37 % 1000));
    if (k % 4 == 0) {
      a.word(0xe1530002);  // cmp r3, r2
      a.branch(a.here() + 8, A::k_equal);
      a.add(0, 0, 1);
    }
    if (k % 16 == 1) {
      const u32 call = a.forward();
      const u32 function = a.here();
      a.ldr(1, 8, 8);
      a.word(0xe0400001);  // sub r0, r0, r1
      a.bx(14);
      a.land(call);
      a.word(0xeb000000 | ((function - a.here() - 8) >> 2 & 0xffffff));  // bl
    }
    a.word(0xe0600003);  // rsb r0, r0, r3
    if (k % 8 == 7) a.branch(a.here() + 4);
  }
}
void hot_loops(A& a) {
  for (u32 k = 0; k < 64; ++k) {
    a.mov(0, 2500);
    const u32 top = a.here();
    a.add(1, 1, 1);
    a.ldr(2, 8);
    a.word(0xe0213002);  // eor r3, r1, r2
    a.str(3, 8, 4);
    a.subs(0, 0, 1);
    a.branch(top, A::k_not_equal);
  }
}
void timer_registers(A& a) { a.mov(9, k_gicc); }
void sleep(A& a) {
  a.mov(0, 6250);
  a.mcr(0, 0, 14, 3, 0);  // CNTV_TVAL: 100 us
  a.mov(0, 1);
  a.mcr(0, 0, 14, 3, 1);  // CNTV_CTL
  a.word(A::k_wfi);
  a.mov(0, 0);
  a.mcr(0, 0, 14, 3, 1);
  a.ldr(0, 9, 0xc);
  a.str(0, 9, 0x10);
}

}  // namespace

const std::vector<Loop>& loops() {
  static const std::vector<Loop> all = {
      {"code.translations", 1, 0, data_page, code_once},
      {"code.interpreted", 1, 0, data_page, code_once},
      {"cache.regions-made", 1, 0, data_page, hot_loops},
      {"instruction", 2'000, 200, data_page, mixed_code},
      {"loop", 2'000'000, 10'000, nothing,
       [](A& a) {
         for (u32 k = 0; k < 6; ++k) a.add(k % 3, k % 3, 1);
       }},
      {"fast.exclusive", 100'000, 10'000, data_page, [](A& a) { a.word(0xe1980f9f), a.word(0xe1882f90); }},
      {"fast.barrier", 200'000, 10'000, nothing, [](A& a) { a.word(0xf57ff05f); }},
      {"fast.psr-read", 400'000, 10'000, nothing, read_cpsr},
      {"fast.psr-write", 400'000, 10'000, read_cpsr, [](A& a) { a.word(0xe121f000); }},
      {"fast.banked", 200'000, 10'000, spare_page, ldm_user},
      {"fast.domains", 200'000, 10'000, nothing, toggle_domains, client_of_domain_0},
      {"fast.sync", 200'000, 10'000, nothing, [](A& a) { a.word(A::k_isb); }},
      {"fast.svc", 200'000, 10'000, enter_user, svc, leave_user},
      {"fast.return", 200'000, 10'000, spsr_is_cpsr, return_to_next},
      {"fast.sysreg-read", 800'000, 10'000, nothing, [](A& a) { a.mrc(0, 0, 13, 0, 4); }},
      {"fast.sysreg-write", 800'000, 10'000, nothing, [](A& a) { a.mcr(0, 0, 13, 0, 4); }},
      {"light.load", 100'000, 10'000, data_page, [](A& a) { a.word(0xe4b80000); }},   // ldrt r0, [r8]
      {"light.store", 100'000, 10'000, data_page, [](A& a) { a.word(0xe4a80000); }},  // strt r0, [r8]
      {"light.exclusive", 50'000, 10'000, data_page, [](A& a) { a.word(0xe1980f9f), a.word(0xe1882f90); }},
      {"light.barrier", 100'000, 10'000, nothing, [](A& a) { a.word(0xf57ff05f); }},
      {"light.psr", 100'000, 10'000, nothing, to_system_and_back},
      {"light.banked", 100'000, 10'000, spare_page, stm_user},
      {"light.sysreg-read", 100'000, 10'000, nothing, counter},
      {"light.sysreg-write", 100'000, 10'000, nothing, select_event},
      {"light.svc", 50'000, 10'000, [](A& a) { a.cps(k_fiq); }, svc, [](A& a) { a.cps(k_supervisor); }},
      {"light.return", 50'000, 10'000, spsr_is_fiq, [](A& a) { return_to_next(a), a.cps(k_supervisor); }},
      {"light.data-abort", 20'000, 2'000, nowhere, load},
      {"light.fp-system", 100'000, 10'000, nothing, [](A& a) { a.word(0xeef10a10); }},  // vmrs r0, fpscr
      {"light.event", 50'000, 5'000, nothing, [](A& a) { a.word(0xe320f004); }},
      {"heavy.psr", 50'000, 10'000, nothing, [](A& a) { read_cpsr(a), a.word(0xe121f000); }},  // msr cpsr_c, r0
      {"heavy.banked", 50'000, 10'000, spare_page, stm_user},
      {"heavy.sysreg-read", 50'000, 10'000, nothing, counter},
      {"heavy.sysreg-write", 50'000, 10'000, nothing, select_event},
      {"light.domains", 50'000, 10'000, nothing, toggle_domains, client_of_domain_0},
      {"heavy.domains", 50'000, 10'000, nothing, toggle_domains, client_of_domain_0, true},
      {"light.fp-enable", 50'000, 10'000, nothing, read_fpexc},
      {"heavy.fp-enable", 50'000, 10'000, nothing, read_fpexc},
      {"shadow.switches", 50'000, 10'000, nothing,
       [](A& a) {  // two ASIDs in turn
         a.mov(0, 1), a.mcr(0, 0, 13, 0, 1);
         a.mov(0, 2), a.mcr(0, 0, 13, 0, 1);
       },
       [](A& a) { a.mov(0, 0), a.mcr(0, 0, 13, 0, 1); }},
      {"shadow.spaces-lost", 5'000, 500, data_page,
       [](A& a) {  // more ASIDs in turn than a vCPU has spaces
         a.add(0, 0, 1);
         a.word(0xe200003f);     // and r0, r0, #63
         a.mcr(0, 0, 13, 0, 1);  // CONTEXTIDR
         a.ldr(1, 8);
       },
       [](A& a) { a.mov(0, 0), a.mcr(0, 0, 13, 0, 1); }},
      {"shadow.table-writes", 10'000, 1'000,
       [](A& a) {
         a.mov(8, k_l2 + 4 * 200);
         a.mov(9, k_data_va + 4096 * 200);
         a.ldr(1, 8);
       },
       [](A& a) { a.ldr(0, 9), a.str(1, 8); }},
      {"heavy.return", 50'000, 10'000, spsr_is_cpsr, return_to_next, nullptr, true},
      {"heavy.svc", 50'000, 10'000, enter_user, svc, leave_user, true},
      {"code.lookups", 50'000, 5'000, [](A& a) { a.mov(8, k_pair), a.mov(9, k_other_of_pair); }, [](A& a) { a.bx(8); }},
      {"heavy.data-abort", 20'000, 2'000, nowhere, load},
      {"exception.prefetch-abort", 20'000, 2'000, nowhere,
       [](A& a) { a.word(0xe28fc000), a.bx(8); }},  // adr r12, .+8; bx r8
      {"heavy.undefined", 20'000, 2'000, [](A& a) { a.mov(k_undefined_ends, 0); }, [](A& a) { a.word(k_undefined); }},
      {"heavy.bkpt", 20'000, 2'000, nothing, [](A& a) { a.word(0xe28fc000), a.word(0xe1200070); }},
      {"heavy.hvc", 20'000, 2'000, nothing, [](A& a) { a.mov(0, 0x86000000), a.word(k_hvc); }},
      {"heavy.smc", 20'000, 2'000, nothing, [](A& a) { a.mov(0, 0x86000000), a.word(0xe1600070); }},
      // Few, since a host whose CPUs are wanted by others lets each of them run at every yield.
      {"heavy.yield", 1'000, 100, nothing, [](A& a) { a.word(0xe320f001); }},
      {"heavy.wfe", 20'000, 2'000, nothing, [](A& a) { a.word(0xe320f004), a.word(0xe320f002); }},
      {"heavy.wfi", 300, 20, timer_registers, sleep},
      {"heavy.attention", 20'000, 2'000, irq_registers,
       [](A& a) {  // SGI 0, masked
         a.str(1, 8, 0xf00);
         a.branch(a.here() + 4);
         a.ldr(0, 9, 0xc);
         a.str(0, 9, 0x10);
       }},
      {"exception.irq", 20'000, 2'000, [](A& a) { irq_registers(a), a.word(k_cpsie_i); },
       [](A& a) { a.str(1, 8, 0xf00), a.branch(a.here() + 4); }, [](A& a) { a.word(k_cpsid_i); }},
      {"shadow.tlbi-all", 20'000, 2'000, nothing, tlbiall},
      {"shadow.tlbi-asid", 20'000, 2'000, nothing, [](A& a) { a.mov(0, 7), a.mcr(0, 0, 8, 7, 2); }},
      {"shadow.tlbi-va", 20'000, 2'000, data_page, [](A& a) { a.mcr(8, 0, 8, 7, 1); }},
      {"shadow.tlbi-va-all", 20'000, 2'000, data_page, [](A& a) { a.mcr(8, 0, 8, 7, 3); }},
      {"shadow.hidden-data", 200, 20, nothing,
       [](A& a) { tlbiall(a), each_page(a, k_data_va, 256, [](A& b) { b.ldr(2, 1); }); }},
      {"shadow.hidden-exec", 400, 20, nothing,
       [](A& a) {
         a.mov(1, k_code_va);
         tlbimvaa(a);  // (a flush of everything would leave what is still so)
         each_page(a, k_code_va, 64, [](A& b) { b.blx(1); });
       }},
      {"shadow.window-faults", 100, 10, nothing,
       [](A& a) {
         each_page(a, k_data_va, 256, [](A& b) {
           tlbimvaa(b);
           b.word(k_dsb);
           b.ldr(2, 1);
         });
       },
       nullptr, true},
      {"shadow.checks", 1'000, 100, [](A& a) { each_page(a, k_data_va, 256, [](A& b) { b.ldr(2, 1); }); },
       [](A& a) { tlbiall(a), a.word(k_dsb); }, nullptr, true},
      {"code.code-writes", 20'000, 2'000, [](A& a) { a.mov(8, k_code + 0x800); }, [](A& a) { a.str(0, 8); }},
      {"device.gic-distributor", 20'000, 2'000, [](A& a) { a.mov(8, k_gicd); }, [](A& a) { a.ldr(0, 8, 4); }},
      {"device.gic-cpu-interface", 20'000, 2'000, [](A& a) { a.mov(8, k_gicc); },
       [](A& a) { a.ldr(0, 8, 4), a.str(0, 8, 4); }},
      {"device.pl011", 20'000, 2'000, [](A& a) { a.mov(8, k_pl011); }, [](A& a) { a.ldr(0, 8, 0x18); }},
      {"device.other", 20'000, 2'000, [](A& a) { a.mov(8, k_virtio); }, [](A& a) { a.ldr(0, 8); }},
  };
  return all;
}

}  // namespace armvisor::vmm::calibration
