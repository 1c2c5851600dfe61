#include "vmm/calibration_guest.h"

#include "vmm/a32_assembler.h"

namespace armvisor::vmm {
namespace {

using A = A32Assembler;

// Registers: R0-R4 scratch and arguments of hypercalls, R5 rounds, R7 what an Undefined Instruction means, R8-R10
// addresses, R11 where a loop returns to, R12 where a Prefetch Abort goes on.
constexpr u32 k_rounds = 5, k_undefined_ends = 7, k_return = 11, k_resume = 12;
constexpr u32 k_l1 = 0x40200000, k_l2 = 0x40204000;
constexpr u32 k_data_va = 0x80000000, k_data = 0x40300000;  // 256 pages
constexpr u32 k_code_va = 0x80100000, k_code = 0x40400000;  // 256 pages that hold BX LR
constexpr u32 k_nothing = 0x90000000;                       // not mapped
constexpr u32 k_gicd = 0x08000000, k_gicc = 0x08010000, k_pl011 = 0x09000000, k_virtio = 0x0a000000;
constexpr u32 k_bx_lr = 0xe12fff1e, k_hvc = 0xe1400070, k_svc = 0xef000000, k_undefined = 0xe7f000f0;
constexpr u32 k_cpsid_i = 0xf10c0080, k_cpsie_i = 0xf1080080;
constexpr u32 k_user = 0x10, k_supervisor = 0x13;
// Two addresses that have one entry of a vCPU's jump cache between them.
constexpr u32 k_pair = 0x40020000, k_other_of_pair = k_pair ^ 0x4004;
constexpr u32 k_after_svc = (k_calibration_base + 8) ^ 0x4004;  // likewise with the vector of SVC

struct Loop {
  CalibrationLoop public_part;
  u32 rounds, rounds_before;  ///< measured, and before that
  void (*before)(A&);
  void (*body)(A&);
  void (*after)(A&) = nullptr;
  u32 at = 0;  ///< address of the round; 0: anywhere
};

void nothing(A&) {}
void data_page(A& a) { a.mov(8, k_data_va); }
void read_cpsr(A& a) { a.word(0xe10f0000); }
void irq_registers(A& a) {
  a.mov(8, k_gicd);
  a.mov(9, k_gicc);
  a.mov(1, 2u << 24);  // GICD_SGIR: SGI 0 to this CPU
}
void tlbiall(A& a) { a.mcr(0, 0, 8, 7, 0); }
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
    if (k % 4 == 1) {
      const u32 call = a.forward();
      const u32 function = a.here();
      a.ldr(1, 8, 8);
      a.word(0xe0400001);  // sub r0, r0, r1
      a.bx(14);
      a.land(call);
      a.word(0xeb000000 | ((function - a.here() - 8) >> 2 & 0xffffff));  // bl
    }
    a.word(0xe0600003);  // rsb r0, r0, r3
    if (k % 2) a.branch(a.here() + 4);
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

const std::vector<Loop>& loops() {
  static const std::vector<Loop> all = {
      {{"code.translations"}, 1, 0, data_page, code_once},
      {{"cache.regions-made"}, 1, 0, data_page, hot_loops},
      {{"instruction"}, 2'000, 200, data_page, mixed_code},
      {{"loop"},
       2'000'000,
       10'000,
       nothing,
       [](A& a) {
         for (u32 k = 0; k < 6; ++k) a.add(k % 3, k % 3, 1);
       }},
      {{"fast.exclusive"}, 100'000, 10'000, data_page, [](A& a) { a.word(0xe1980f9f), a.word(0xe1882f90); }},
      {{"fast.barrier"}, 200'000, 10'000, nothing, [](A& a) { a.word(0xf57ff05f); }},
      {{"fast.psr-read"}, 400'000, 10'000, nothing, read_cpsr},
      {{"fast.psr-write"}, 400'000, 10'000, read_cpsr, [](A& a) { a.word(0xe121f000); }},
      {{"fast.sysreg-read"}, 800'000, 10'000, nothing, [](A& a) { a.mrc(0, 0, 13, 0, 4); }},
      {{"fast.sysreg-write"}, 800'000, 10'000, nothing, [](A& a) { a.mcr(0, 0, 13, 0, 4); }},
      {{"light.load"}, 100'000, 10'000, data_page, [](A& a) { a.word(0xe4b80000); }},   // ldrt r0, [r8]
      {{"light.store"}, 100'000, 10'000, data_page, [](A& a) { a.word(0xe4a80000); }},  // strt r0, [r8]
      {{"light.exclusive"}, 50'000, 10'000, data_page, [](A& a) { a.word(0xe1980f9f), a.word(0xe1882f90); }},
      {{"light.barrier"}, 100'000, 10'000, nothing, [](A& a) { a.mcr(0, 0, 7, 10, 5); }},               // CP15DMB
      {{"light.psr"}, 100'000, 10'000, nothing, [](A& a) { a.word(0xe14f0000), a.word(0xe16ff000); }},  // SPSR
      {{"light.banked"},
       100'000,
       10'000,
       [](A& a) { a.mov(8, k_data + 0x1000); },
       [](A& a) { a.word(0xe8c86000); }},                                                       // stm r8, {sp, lr}^
      {{"light.sysreg-read"}, 100'000, 10'000, nothing, [](A& a) { a.word(0xec510f1e); }},      // CNTVCT
      {{"light.sysreg-write"}, 100'000, 10'000, nothing, [](A& a) { a.mcr(0, 0, 9, 12, 5); }},  // PMSELR
      {{"light.fp-system"}, 100'000, 10'000, nothing, [](A& a) { a.word(0xeef10a10); }},        // vmrs r0, fpscr
      {{"light.event"}, 50'000, 5'000, nothing, [](A& a) { a.word(0xe320f004); }},
      {{"heavy.mode-change"},
       50'000,
       10'000,
       nothing,
       [](A& a) {
         a.mov(0, 1);
         a.mcr(0, 0, 3, 0, 0);  // DACR, as Linux writes it around accesses to user memory
         a.mov(0, 5);
         a.mcr(0, 0, 3, 0, 0);
       },
       [](A& a) { a.mov(0, 1), a.mcr(0, 0, 3, 0, 0); }},
      {{"heavy.return"},
       50'000,
       10'000,
       [](A& a) { a.word(0xe10f0000), a.word(0xe16ff000); },
       [](A& a) { a.word(0xe28fe000), a.word(0xe1b0f00e); }},  // adr lr, .+8; movs pc, lr
      {{"heavy.svc"}, 50'000, 10'000, enter_user, [](A& a) { a.word(k_svc); }, leave_user},
      {{"code.lookups"}, 50'000, 5'000, nothing, [](A& a) { a.word(k_svc); }, nullptr, k_after_svc - 4},
      {{"heavy.lookup"},
       50'000,
       5'000,
       [](A& a) { a.mov(8, k_pair), a.mov(9, k_other_of_pair); },
       [](A& a) { a.bx(8); }},
      {{"heavy.data-abort"}, 20'000, 2'000, [](A& a) { a.mov(8, k_nothing); }, [](A& a) { a.ldr(0, 8); }},
      {{"exception.prefetch-abort"},
       20'000,
       2'000,
       [](A& a) { a.mov(8, k_nothing); },
       [](A& a) { a.word(0xe28fc000), a.bx(8); }},  // adr r12, .+8; bx r8
      {{"heavy.undefined"}, 20'000, 2'000, [](A& a) { a.mov(k_undefined_ends, 0); }, [](A& a) { a.word(k_undefined); }},
      {{"heavy.bkpt"}, 20'000, 2'000, nothing, [](A& a) { a.word(0xe28fc000), a.word(0xe1200070); }},
      {{"heavy.hvc"}, 20'000, 2'000, nothing, [](A& a) { a.mov(0, 0x86000000), a.word(k_hvc); }},
      {{"heavy.smc"}, 20'000, 2'000, nothing, [](A& a) { a.mov(0, 0x86000000), a.word(0xe1600070); }},
      {{"heavy.yield"}, 5'000, 500, nothing, [](A& a) { a.word(0xe320f001); }},
      {{"heavy.wfe"}, 20'000, 2'000, nothing, [](A& a) { a.word(0xe320f004), a.word(0xe320f002); }},
      {{"heavy.wfi"}, 300, 20, timer_registers, sleep},
      {{"heavy.attention"},
       20'000,
       2'000,
       irq_registers,
       [](A& a) {  // SGI 0, masked
         a.str(1, 8, 0xf00);
         a.branch(a.here() + 4);
         a.ldr(0, 9, 0xc);
         a.str(0, 9, 0x10);
       }},
      {{"exception.irq"},
       20'000,
       2'000,
       [](A& a) { irq_registers(a), a.word(k_cpsie_i); },
       [](A& a) { a.str(1, 8, 0xf00), a.branch(a.here() + 4); },
       [](A& a) { a.word(k_cpsid_i); }},
      {{"shadow.tlbi-all"}, 20'000, 2'000, nothing, tlbiall},
      {{"shadow.tlbi-asid"}, 20'000, 2'000, nothing, [](A& a) { a.mov(0, 7), a.mcr(0, 0, 8, 7, 2); }},
      {{"shadow.tlbi-va"}, 20'000, 2'000, data_page, [](A& a) { a.mcr(8, 0, 8, 7, 1); }},
      {{"shadow.tlbi-va-all"}, 20'000, 2'000, data_page, [](A& a) { a.mcr(8, 0, 8, 7, 3); }},
      {{"shadow.hidden-data"},
       200,
       20,
       nothing,
       [](A& a) { tlbiall(a), each_page(a, k_data_va, 256, [](A& b) { b.ldr(2, 1); }); }},
      {{"shadow.hidden-exec"},
       400,
       20,
       nothing,
       [](A& a) { tlbiall(a), each_page(a, k_code_va, 64, [](A& b) { b.blx(1); }); }},
      {{"code.code-writes"}, 20'000, 2'000, [](A& a) { a.mov(8, k_code + 0x800); }, [](A& a) { a.str(0, 8); }},
      {{"device.gic-distributor"}, 20'000, 2'000, [](A& a) { a.mov(8, k_gicd); }, [](A& a) { a.ldr(0, 8, 4); }},
      {{"device.gic-cpu-interface"},
       20'000,
       2'000,
       [](A& a) { a.mov(8, k_gicc); },
       [](A& a) { a.ldr(0, 8, 4), a.str(0, 8, 4); }},
      {{"device.pl011"}, 20'000, 2'000, [](A& a) { a.mov(8, k_pl011); }, [](A& a) { a.ldr(0, 8, 0x18); }},
      {{"device.other"}, 20'000, 2'000, [](A& a) { a.mov(8, k_virtio); }, [](A& a) { a.ldr(0, 8); }},
  };
  return all;
}

void store(A& a, u32 address, u32 value) {
  a.mov(0, value);
  a.mov(1, address);
  a.str(0, 1);
}

/// Sections for RAM and devices at their own addresses, and pages for the test areas.
void translation_tables(A& a) {
  constexpr u32 k_section = 2 | 3 << 10, k_normal = 1u << 12 | 3u << 2, k_device = 1u << 2 | 1u << 4;
  for (u32 mib = 0x400; mib < 0x420; ++mib) store(a, k_l1 + 4 * mib, mib << 20 | k_section | k_normal);
  for (u32 mib = 0x080; mib < 0x0b0; ++mib) store(a, k_l1 + 4 * mib, mib << 20 | k_section | k_device);
  store(a, k_l1 + 4 * (k_data_va >> 20), k_l2 | 1);
  store(a, k_l1 + 4 * (k_code_va >> 20), (k_l2 + 0x400) | 1);
  a.mov(0, k_data | 1u << 6 | 3u << 4 | 3u << 2 | 2);  // small pages, Normal, all may do all
  a.mov(1, k_l2);
  a.mov(2, 512);
  u32 top = a.here();
  a.word(0xe4810004);  // str r0, [r1], #4
  a.word(0xe2800a01);  // add r0, r0, #4096
  a.subs(2, 2, 1);
  a.branch(top, A::k_not_equal);
  a.mov(0, k_bx_lr);
  a.mov(1, k_code);
  a.mov(2, 256);
  top = a.here();
  a.str(0, 1);
  a.word(0xe2811a01);  // add r1, r1, #4096
  a.subs(2, 2, 1);
  a.branch(top, A::k_not_equal);
}

void start(A& a) {
  a.cps(k_supervisor);
  a.word(0xf10c01c0);  // cpsid aif
  a.mov(0, k_calibration_base);
  a.mcr(0, 0, 12, 0, 0);  // VBAR
  translation_tables(a);
  a.mov(0, k_l1);
  a.mcr(0, 0, 2, 0, 0);  // TTBR0
  a.mov(0, 0);
  a.mcr(0, 0, 2, 0, 2);  // TTBCR
  a.mov(0, 1);
  a.mcr(0, 0, 3, 0, 0);  // DACR
  tlbiall(a);
  a.mrc(0, 0, 1, 0, 0);
  a.word(0xe3800001);  // orr r0, r0, #1: SCTLR.M
  a.mcr(0, 0, 1, 0, 0);
  a.word(A::k_isb);
  a.mov(0, 0xf << 20);
  a.mcr(0, 0, 1, 0, 2);  // CPACR
  a.word(A::k_isb);
  a.mov(0, 1u << 30);
  a.word(0xeee80a10);  // vmsr fpexc, r0
  store(a, k_gicd, 1);
  store(a, k_gicd + 0x100, 1u << 27 | 1);  // the virtual timer and SGI 0
  store(a, k_gicc + 4, 0xff);
  store(a, k_gicc, 1);
}

/// What follows a vector that needs more than one instruction.
void handlers(A& a, u32 undefined, u32 prefetch, u32 irq) {
  a.land(undefined);
  a.word(0xe3570000);  // cmp r7, #0
  const u32 ends = a.forward(A::k_not_equal);
  a.word(0xe1b0f00e);  // movs pc, lr
  a.land(ends);
  a.cps(k_supervisor);
  a.bx(k_return);
  a.land(prefetch);
  a.move(14, k_resume);
  a.word(0xe1b0f00e);
  a.land(irq);
  a.ldr(0, 9, 0xc);    // GICC_IAR
  a.str(0, 9, 0x10);   // GICC_EOIR
  a.word(0xe25ef004);  // subs pc, lr, #4
}

void mark(A& a, u32 function, const std::string& name) {
  u32 word = 0;
  for (std::size_t k = 0; k < name.size(); ++k) word |= u32{static_cast<u8>(name[k])} << (8 * k);
  a.mov(0, function);
  a.mov(1, word);
  for (u32 r = 2; r <= 4; ++r) a.mov(r, 0);
  a.word(k_hvc);
}

void bl(A& a, u32 target) { a.word(0xeb000000 | ((target - a.here() - 8) >> 2 & 0xffffff)); }

/// A subroutine that does the loop R5 times.
u32 subroutine(A& a, const Loop& loop) {
  if (loop.at) a.go_to(loop.at - 64);
  const u32 entry = a.here();
  a.move(k_return, 14);
  loop.before(a);
  if (loop.at) a.go_to(loop.at);
  const u32 top = a.here();
  loop.body(a);
  a.subs(k_rounds, k_rounds, 1);
  a.branch(top, A::k_not_equal);
  if (loop.after) loop.after(a);
  a.bx(k_return);
  return entry;
}

/// The one loop that is not of the common form: two places that take turns.
u32 pair_subroutine(A& a, const Loop& loop) {
  a.go_to(k_pair - 64);
  const u32 entry = a.here();
  a.move(k_return, 14);
  loop.before(a);
  a.go_to(k_pair);
  a.subs(k_rounds, k_rounds, 1);
  const u32 end = a.forward(A::k_equal);
  a.bx(9);
  a.land(end);
  a.bx(k_return);
  const u32 over = a.forward();
  a.go_to(k_other_of_pair);
  a.bx(8);
  a.land(over);
  return entry;
}

}  // namespace

const std::vector<CalibrationLoop>& calibration_loops() {
  static const std::vector<CalibrationLoop> all = [] {
    std::vector<CalibrationLoop> out;
    for (const Loop& loop : loops()) out.push_back(loop.public_part);
    return out;
  }();
  return all;
}

std::string mark_of(std::size_t loop) { return "b" + std::to_string(loop); }

std::vector<u32> calibration_guest() {
  A a(k_calibration_base);
  const u32 reset = a.forward();
  const u32 undefined = a.forward();
  a.word(0xe1b0f00e);  // SVC: movs pc, lr
  const u32 prefetch = a.forward();
  a.word(0xe25ef004);  // Data Abort: subs pc, lr, #4: goes on behind the access
  a.word(A::k_nop);
  const u32 irq = a.forward();
  a.branch(a.here());  // FIQ: does not come
  handlers(a, undefined, prefetch, irq);
  std::vector<u32> entries;
  // Those that have an address of their own come first, in the order of the addresses.
  entries.resize(loops().size());
  for (std::size_t k = 0; k < loops().size(); ++k)
    if (loops()[k].at) entries[k] = subroutine(a, loops()[k]);
  for (std::size_t k = 0; k < loops().size(); ++k)
    if (loops()[k].public_part.term == "heavy.lookup") entries[k] = pair_subroutine(a, loops()[k]);
  for (std::size_t k = 0; k < loops().size(); ++k)
    if (!entries[k]) entries[k] = subroutine(a, loops()[k]);
  const u32 program = a.here();
  start(a);
  for (std::size_t k = 0; k < loops().size(); ++k) {
    if (loops()[k].rounds_before) {
      a.mov(k_rounds, loops()[k].rounds_before);
      bl(a, entries[k]);
    }
    mark(a, 0x86000007, mark_of(k));
    a.mov(k_rounds, loops()[k].rounds);
    bl(a, entries[k]);
    mark(a, 0x86000008, mark_of(k));
  }
  a.mov(0, 0x84000008);  // SYSTEM_OFF
  a.word(k_hvc);
  a.branch(a.here());
  std::vector<u32> words = a.words();
  words[0] = 0xea000000 | ((program - k_calibration_base - 8) >> 2 & 0xffffff);
  (void)reset;
  return words;
}

}  // namespace armvisor::vmm
