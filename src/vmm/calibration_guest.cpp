#include "vmm/calibration_guest.h"

#include "devices/arch_timer.h"
#include "vmm/calibration_loops.h"

namespace armvisor::vmm {
namespace {

using namespace calibration;
using A = A32Assembler;

void store(A& a, u32 address, u32 value) {
  a.mov(0, value);
  a.mov(1, address);
  a.str(0, 1);
}

/// Sections for RAM and devices at their own addresses, and pages for the test areas.
void translation_tables(A& a) {
  constexpr u32 k_section = 2 | 3 << 10, k_normal = 1u << 12 | 3u << 2, k_device = 1u << 2 | 1u << 4;
  const auto section = [&](u32 pa, u32 kind) { store(a, k_l1 + 4 * (pa >> 20), pa | k_section | kind); };
  for (u32 pa = k_ram; pa < k_ram + k_calibration_ram; pa += 1u << 20) section(pa, k_normal);
  for (u32 pa = k_gicd; pa < k_virtio + (16u << 20); pa += 1u << 20) section(pa, k_device);
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
  a.mcr(0, 0, 8, 7, 0);  // TLBIALL
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
  store(a, k_gicd + 0x100,
        1u << devices::Gic::ppi_id(devices::k_ppi_timer_virtual) | 1);  // the virtual timer and SGI 0
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
  const u32 entry = a.here();
  a.move(k_return, 14);
  loop.before(a);
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
    for (const Loop& loop : loops()) out.push_back({loop.term, loop.windowed});
    return out;
  }();
  return all;
}

std::string mark_of(std::size_t loop) { return "b" + std::to_string(loop); }

std::vector<u32> calibration_guest(std::span<const std::size_t> wanted) {
  A a(k_calibration_base);
  a.forward();  // reset; set at the end
  const u32 undefined = a.forward();
  a.word(0xe1b0f00e);  // SVC: movs pc, lr
  const u32 prefetch = a.forward();
  a.word(0xe25ef004);  // Data Abort: subs pc, lr, #4: goes on behind the access
  a.word(A::k_nop);
  const u32 irq = a.forward();
  a.branch(a.here());  // FIQ: does not come
  handlers(a, undefined, prefetch, irq);
  std::vector<u32> entries;
  entries.resize(loops().size());
  for (const std::size_t k : wanted)  // first, since it has an address of its own
    if (loops()[k].term == "code.lookups") entries[k] = pair_subroutine(a, loops()[k]);
  for (const std::size_t k : wanted)
    if (!entries[k]) entries[k] = subroutine(a, loops()[k]);
  const u32 program = a.here();
  start(a);
  for (const std::size_t k : wanted) {
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
  return words;
}

}  // namespace armvisor::vmm
