// Host-MMU windows against the interpreter: random sequences of table writes, TLB maintenance, code and accesses.
#include <array>
#include <random>

#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_l1 = k_ram + 0x10000, k_l2 = k_ram + 0x14000, k_kernel = k_ram + 0x18000, k_user = k_ram + 0x200000;
constexpr u32 k_frames = k_ram + 0x100000, k_frame_count = 6, k_pages = 0x80000000, k_page_count = 8;
constexpr u32 k_slots = 4096, k_slot_bytes = 64;
constexpr u32 k_normal = 1u << 12 | 1u << 3 | 1u << 2;  ///< sections: TEX 1, C, B
constexpr u32 k_svc = 0xef000000;

/// A machine whose vectors all stop it, with an address space of sections and one second-level table.
class World {
 public:
  explicit World(const char* engine, const JitOptions& options = {}) : m(1, {}, options, engine) {
    m.words(k_ram, {k_stop, k_stop, k_stop, k_stop, k_stop, k_stop, k_stop, k_stop});
    for (u32 mib = 0; mib < k_ram_size >> 20; ++mib)
      m.put32(k_l1 + 4 * ((k_ram >> 20) + mib), (k_ram + (mib << 20)) | 3u << 10 | k_normal | 2);
    m.put32(k_l1 + 4 * (k_device >> 20), k_device | 3u << 10 | 1u << 2 | 2);
    m.put32(k_l1 + 4 * 0xfff, k_ram | 0x400000 | 3u << 10 | k_normal | 2);  // the last MiB and the first
    m.put32(k_l1, k_ram | 0x500000 | 3u << 10 | k_normal | 2);
    m.put32(k_l1 + 4 * (k_pages >> 20), k_l2 | 1u << 5 | 1);  // in domain 1
    arm::CpuState& s = m.state();
    s.cp15.vbar = k_ram;
    s.cp15.sctlr |= 1;
    s.cp15.ttbr0 = k_l1;
    s.cp15.dacr = 5;
    s.cp15.contextidr = 1;
  }

  void in_mode(u32 mode) { arm::set_cpsr(m.state(), mode | arm::k_psr_i | arm::k_psr_f | arm::k_psr_a); }
  void run_user(u32 pc) {
    in_mode(arm::k_mode_usr);
    m.run(pc);
  }
  void run_kernel(u32 insn, u32 r0) {
    m.words(k_kernel, {insn, k_stop});
    in_mode(arm::k_mode_svc);
    m.reg(0) = r0;
    m.run(k_kernel);
  }
  u32 mode() { return m.state().mode(); }

  Machine m;
};

JitOptions windowed() {
  JitOptions options;
  options.windows_at_once = true;
  options.hot = 2;
  return options;
}

class EngineWindows : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!windows_available()) GTEST_SKIP() << "this host does not let user code set the GS base";
    windows = std::make_unique<World>("jit", windowed());
    plain = std::make_unique<World>("interp");
  }
  template <class F>
  void both(F f) {
    f(*plain);
    f(*windows);
  }
  void user(u32 slot, std::initializer_list<u32> code, u32 r0) { run(arm::k_mode_usr, slot, code, r0); }
  void run(u32 mode, u32 slot, std::initializer_list<u32> code, u32 r0) {
    const u32 pc = k_user + slot * k_slot_bytes;
    both([&](World& w) {
      w.m.words(pc, code);
      w.m.reg(0) = r0;
      for (u32 n = 1; n < 13; ++n) w.m.reg(n) = n * 0x01010101 + slot;
      w.in_mode(mode);
      w.m.run(pc);
    });
  }
  void map(u32 page, u32 descriptor) {
    both([&](World& w) { w.m.put32(k_l2 + 4 * page, descriptor); });
  }
  /// What must be the same in both.
  void compare(const std::string& what) {
    World &p = *plain, &w = *windows;
    ASSERT_EQ(p.mode(), w.mode()) << what;
    ASSERT_EQ(p.m.reg(0), w.m.reg(0)) << what;
    ASSERT_EQ(p.m.reg(14), w.m.reg(14)) << what;
    if (p.mode() == arm::k_mode_abt) {
      ASSERT_EQ(p.m.state().cp15.dfar, w.m.state().cp15.dfar) << what;
      ASSERT_EQ(p.m.state().cp15.dfsr, w.m.state().cp15.dfsr) << what;
    } else {
      for (u32 n = 0; n < 13; ++n) ASSERT_EQ(p.m.reg(n), w.m.reg(n)) << what << " r" << n;
    }
    for (const u32 at : {k_frames, k_ram + 0x400000, k_ram + 0x4ff000, k_ram + 0x500000})
      ASSERT_EQ(std::memcmp(p.m.ram.host(GuestPa(at)), w.m.ram.host(GuestPa(at)), k_frame_count * 0x1000), 0) << what;
    ASSERT_EQ(p.m.port.reads, w.m.port.reads) << what;
    ASSERT_EQ(p.m.port.writes, w.m.port.writes) << what;
  }

  u64 seen(measure::Counter c) { return windows->m.engine->stats().vcpus[0].counters[static_cast<u32>(c)]; }
  static bool has_global_window() { return !std::getenv("ARMVISOR_TEST_MMU"); }
  u64 faults_seen() { return seen(measure::Counter::WindowFault); }

  std::unique_ptr<World> plain, windows;
};

constexpr u32 frame(u32 n) { return k_frames + n * 0x1000; }
/// A small page: AP[2:0], Normal memory.
constexpr u32 small_page(u32 pa, u32 ap) {
  return pa | (ap & 3) << 4 | (ap >> 2) << 9 | 1u << 6 | 1u << 3 | 1u << 2 | 2;
}
/// The first MiB: a section in domain 2.
constexpr u32 section(u32 pa, u32 ap) { return pa | (ap & 3) << 10 | (ap >> 2) << 15 | k_normal | 2u << 5 | 2; }
constexpr u32 k_write_dacr = 0xee030f10;
constexpr u32 k_tlbiall = 0xee080f17, k_tlbimva = 0xee080f37, k_tlbiasid = 0xee080f57, k_tlbimvaa = 0xee080f77;

TEST_F(EngineWindows, SecondAccessToAPageNeedsNoHelp) {
  map(0, small_page(frame(0), 3));
  user(0, {0xe5901000, 0xe5802004, 0xe5901008, k_svc}, k_pages);  // ldr; str; ldr
  const u64 faults = faults_seen();
  EXPECT_GT(faults, 0u);
  for (u32 k = 0; k < 20; ++k) user(1 + k, {0xe5901000, 0xe5802004, 0xe5901008, k_svc}, k_pages);
  EXPECT_EQ(faults_seen(), faults);
  compare("hits");
}

TEST_F(EngineWindows, PrivilegedCodeHasOneWindowForAllSpaces) {
  if (!has_global_window()) GTEST_SKIP() << "only with the policy asid";
  map(0, small_page(frame(0), 1));
  map(1, small_page(frame(1), 1) | 1u << 11);  // not global
  run(arm::k_mode_svc, 0, {0xe5901000, 0xe5802004, 0xe5901008, k_svc}, k_pages);
  const u64 faults = faults_seen();
  EXPECT_GT(faults, 0u);
  for (u32 k = 1; k < 20; ++k) {
    both([&](World& w) { w.m.state().cp15.contextidr = k; });
    run(arm::k_mode_svc, k, {0xe5901000, 0xe5802004, 0xe5901008, k_svc}, k_pages);
  }
  EXPECT_EQ(faults_seen(), faults);
  compare("global");
  const u64 maps = seen(measure::Counter::WindowMap);
  for (u32 k = 20; k < 40; ++k) run(arm::k_mode_svc, k, {0xe5901000, k_svc}, k_pages + 0x1000);
  EXPECT_EQ(faults_seen(), faults + 20);
  EXPECT_EQ(seen(measure::Counter::WindowMap), maps);
  compare("not global");
}

TEST_F(EngineWindows, ASectionIsMappedAtOnceAndDroppedAtOnce) {
  run(arm::k_mode_svc, 0, {0xe5901000, k_svc}, 0x3000);
  const u64 faults = faults_seen();
  for (u32 k = 1; k < 40; ++k) run(arm::k_mode_svc, k, {0xe5802004, k_svc}, k * 0x1800);
  if (has_global_window()) {
    EXPECT_EQ(seen(measure::Counter::WindowMap), 256u);
    EXPECT_EQ(faults_seen(), faults);
  }
  compare("section");
  both([&](World& w) {
    w.m.put32(k_l1, section(k_ram | 0x600000, 3));
    w.run_kernel(k_tlbimva, 0x45001);
  });
  run(arm::k_mode_svc, 40, {0xe5901000, 0xe5802008, k_svc}, 0x3000);
  compare("another section");
}

// Privileged code changes a descriptor of what it has in its window, flushes, and goes on.
TEST_F(EngineWindows, BehindTheBarrierTheNewDescriptorCounts) {
  map(0, small_page(frame(0), 1));
  u32 slot = 0;
  for (u32 k = 0; k < 60; ++k) {
    const u32 flush = (k % 2 ? 0xee080f37 : 0xee080f17) | 3u << 12;  // TLBIMVA or TLBIALL, R3
    const bool page = k % 3 == 0;
    const u32 descriptor = page ? small_page(frame(k % 4), k % 5 == 0 ? 5 : 1)
                                : section(k_ram | (k % 4 < 2 ? 0x500000 : 0x400000), k % 5 == 0 ? 5 : 1);
    // ldr r1, =descriptor; ldr r2, =its place; ldr r3, =address; bic r0, r3, #1; ldr r4, [r0]; str r1, [r2]; dsb;
    // flush; dsb; ldr r5, [r0]; str r5, [r0, #4]; svc
    run(arm::k_mode_svc, slot,
        {0xe59f1028, 0xe59f2028, 0xe59f3028, 0xe3c30001, 0xe5904000, 0xe5821000, 0xf57ff04f, flush, 0xf57ff04f,
         0xe5905000, 0xe5805004, k_svc, descriptor, page ? k_l2 : k_l1, page ? k_pages | 1 : 0x7001},
        0);
    compare("step " + std::to_string(k));
    slot = (slot + 1) % 16;
  }
}

// What a flush keeps must be known by its new domain and size.
TEST_F(EngineWindows, AFlushKeepsNothingWhoseDomainOrSizeChanged) {
  map(0, small_page(frame(0), 1));
  const auto load = [&](u32 slot, u32 at, const char* what) {
    run(arm::k_mode_svc, slot, {0xe5901000, 0xe5802004, k_svc}, at);
    compare(what);
  };
  load(0, k_pages, "domain 1");
  both([&](World& w) {
    w.m.put32(k_l1 + 4 * (k_pages >> 20), k_l2 | 3u << 5 | 1);  // domain 3
    w.m.state().cp15.dacr |= 1u << 6;
    w.run_kernel(k_tlbiall, 0);
  });
  load(1, k_pages, "domain 3");
  both([&](World& w) { w.run_kernel(k_write_dacr, 0x15); });
  load(2, k_pages, "domain 3, without access");
  // Pages of the MiB 0x900 become its section, which is flushed by another address.
  both([&](World& w) {
    w.m.put32(k_l1 + 4 * 0x900, (k_l2 + 0x400) | 1);
    w.m.put32(k_l2 + 0x400 + 4, small_page(k_ram + 0x501000, 1));
    w.run_kernel(k_tlbiall, 0);
  });
  load(3, 0x90001000, "small page");
  both([&](World& w) {
    w.m.put32(k_l1 + 4 * 0x900, section(k_ram + 0x500000, 1));
    w.run_kernel(k_tlbiall, 0);
  });
  load(4, 0x90001000, "section");
  both([&](World& w) {
    w.m.put32(k_l1 + 4 * 0x900, section(k_ram + 0x400000, 1));
    w.run_kernel(k_tlbimva, 0x90044001);
  });
  load(5, 0x90001000, "another section");
}

// Both values have been used, so the change is one in place; only then comes the first page of the domain.
TEST_F(EngineWindows, DacrChangedInPlaceTakesAccessAway) {
  map(0, small_page(frame(0), 1));
  for (u32 k = 0; k < 8; ++k)
    // r6 = client of domain 1, r7 = no access: r6; r7; r6; ldr; r7; isb; ldr
    run(arm::k_mode_svc, k,
        {0xe3a06005, 0xe3a07001, 0xee036f10, 0xf57ff06f, 0xee037f10, 0xf57ff06f, 0xee036f10, 0xf57ff06f, 0xe5901000,
         0xee037f10, 0xf57ff06f, 0xe5902000, k_svc},
        k_pages),
        compare("in place " + std::to_string(k));
  EXPECT_EQ(windows->mode(), arm::k_mode_abt);
}

TEST_F(EngineWindows, ChangesOfTheContextInTheMiddleOfABlock) {
  map(0, small_page(frame(0), 1));
  map(1, small_page(frame(1), 1));
  for (u32 k = 0; k < 30; ++k) {
    // ldr; mcr of TTBCR, CONTEXTIDR or DACR; ldr; tlbimva of the page without a barrier, the register again; b; ldr
    static constexpr u32 k_register[] = {0xee023f50, 0xee0d3f30, 0xee033f10};
    static constexpr u32 k_values[] = {0x20, 2, 0x5};
    const u32 set = k_register[k % 3], value = k_values[k % 3];
    both([&](World& w) { w.m.put32(k_l2, small_page(frame(k % 4), k % 5 ? 1 : 5)); });
    run(arm::k_mode_svc, k % 10,
        {0xe5901000, 0xe3a03000 | value, set, 0xe5902004, 0xee080f37, 0xe3a03000 | (k % 3 == 2 ? 0x15 : k % 3), set,
         0xf57ff04f, 0xf57ff06f, 0xeaffffff, 0xe5904000, k_svc},
        k_pages + (k & 1) * 0x1000);
    compare("context " + std::to_string(k));
    both([&](World& w) {
      w.m.state().cp15.ttbcr = 0;
      w.m.state().cp15.dacr = 0x15;
      w.run_kernel(k_tlbiall, 0);
    });
  }
}

TEST_F(EngineWindows, WhatAFlushLeavesAsItWasStays) {
  if (!has_global_window()) GTEST_SKIP() << "only with the policy asid";
  map(0, small_page(frame(0), 1));
  const auto touch = [&](u32 slot) {
    run(arm::k_mode_svc, slot, {0xe5901000, 0xe5802004, k_svc}, k_pages);
    run(arm::k_mode_svc, slot + 1, {0xe5901000, 0xe5802004, k_svc}, 0x3000);
  };
  touch(0);
  for (u32 k = 0; k < 20; ++k) {
    both([&](World& w) { w.run_kernel(k % 2 ? k_tlbiall : k_tlbimva, 0x45001); });
    const u64 faults = faults_seen();
    touch(2 + 2 * k);
    EXPECT_EQ(faults_seen(), faults);
    compare("kept");
  }
}

// Code in one of the section's frames: it alone is read-only in the window.
TEST_F(EngineWindows, CodeInASectionIsWrittenByPrivilegedCode) {
  run(arm::k_mode_svc, 0, {0xe5802000, k_svc}, 0x3000);
  for (u32 k = 0; k < 20; ++k) {
    const std::array<u8, 8> code = {static_cast<u8>(k), 0, 0xa0, 0xe3, 0x1e, 0xff, 0x2f, 0xe1};  // mov r0, #k; bx lr
    both([&](World& w) { EXPECT_TRUE(w.m.ram.write(GuestPa(k_ram + 0x504000), code)); });
    // Three times: call it; add one to it, by way of the section; call it again.
    run(arm::k_mode_svc, 1 + k,
        {0xe3a05901, 0xe2855802, 0xe1a06000, 0xe12fff36, 0xe5961000, 0xe2811001, 0xe5861000, 0xe12fff36, 0xe5862ffc,
         k_svc},
        0x4000);
    compare("code " + std::to_string(k));
    EXPECT_EQ(windows->m.reg(0), k + 1);
  }
}

TEST_F(EngineWindows, DomainsDecideByWhatDacrSays) {
  map(0, small_page(frame(0), 1));
  u32 slot = 0;
  for (u32 k = 0; k < 40; ++k) {
    // Client, no access, manager: of the pages' domain, then of the section's.
    static constexpr u32 k_dacr[] = {0x15, 0x11, 0x1d, 0x05, 0x15, 0x01};
    const u32 dacr = k_dacr[k % 6];
    // mcr dacr; isb; ldr r1, [r2]; ldr r3, [r4]
    both([&](World& w) { w.m.put32(k_l1, section(k_ram | 0x500000, 1)); });
    run(arm::k_mode_svc, slot, {k_write_dacr, 0xf57ff06f, 0xe59f2008, 0xe5921000, 0xe5812000, k_svc, k_pages}, dacr);
    compare("page, DACR " + std::to_string(dacr));
    run(arm::k_mode_svc, slot + 1, {k_write_dacr, 0xf57ff06f, 0xe3a02a03, 0xe5921000, 0xe5823000, k_svc}, dacr);
    compare("section, DACR " + std::to_string(dacr));
    slot = (slot + 2) % 8;
  }
}

TEST_F(EngineWindows, AccessAcrossTheEndOfTheAddressSpaceWraps) {
  user(0, {0xe5802000, 0xe5901000, 0xe8a00030, k_svc}, 0xfffffffe);  // str; ldr; stmia r0!, {r4, r5}: misaligned
  compare("wrap");
  user(1, {0xe5802000, 0xe5901000, k_svc}, 0xfffffffd);
  compare("wrap");
  user(2, {0xe8a00030, k_svc}, 0xfffffffc);
  compare("multiple");
}

TEST_F(EngineWindows, SecondPageUnmappedReadOnlyOrDevice) {
  map(0, small_page(frame(0), 3));
  u32 slot = 0;
  for (const u32 second : {0u, small_page(frame(1), 2), k_device | 3u << 4 | 1u << 2 | 2, small_page(frame(1), 3)}) {
    map(1, second);
    both([&](World& w) { w.run_kernel(k_tlbimva, (k_pages + 0x1000) | 1); });
    for (const u32 code : {0xe5902000u, 0xe5802000u, 0xe8900ffeu, 0xe8800ffeu, 0xe1c020d0u, 0xe1c020f0u})
      for (const u32 offset : {0xff0u, 0xffcu, 0xffeu}) {
        user(slot++, {code, k_svc}, k_pages + offset);
        compare("across");
      }
  }
}

TEST_F(EngineWindows, FlagsSurviveAFaultInTheMiddleOfAGroup) {
  map(0, small_page(frame(0), 3));
  map(1, 0);
  for (u32 k = 0; k < 8; ++k) {
    // cmp r2, r3; ldmia r0, {r1-r8}; cmp r4, r4: only the abort sees what the first one made, in SPSR
    user(k, {0xe1520003, 0xe89001fe, 0xe1540004, k_svc}, k_pages + 0x1000 - 4 * k);
    compare("group");
    EXPECT_EQ(arm::spsr(plain->m.state()), arm::spsr(windows->m.state())) << k;
  }
}

TEST_F(EngineWindows, CodeThatUserCodeWritesIsWhatRuns) {
  map(0, small_page(frame(0), 3));
  map(1, small_page(frame(0), 3));  // an alias
  for (u32 k = 0; k < 40; ++k) {
    // mov r1, #k; orr r1, r1, #0xe3000000; orr r1, r1, #0xa00000; ldr r2, =(bx lr); stm or str by an address of the
    // frame; blx to the other or the same; svc
    const u32 store = k % 3 == 0 ? 0xe8800006 : 0xe5801000, at = k % 4 < 2 ? 0x1000 : 0;
    user(k,
         {0xe3a01000 | k, 0xe38114e3, 0xe381160a, 0xe59f2010, store, 0xe5802004, 0xe2200000 | (at ? 0xa01 : 0),
          0xe12fff30, k_svc, 0xe12fff1e},
         k_pages);
    compare("code " + std::to_string(k));
    ASSERT_EQ(windows->mode(), arm::k_mode_svc);
    EXPECT_EQ(windows->m.reg(0), k);
  }
}

TEST_F(EngineWindows, RandomSequencesAgreeWithTheInterpreter) {
  std::mt19937 random(7);
  const auto below = [&](u32 n) { return static_cast<u32>(random() % n); };
  static constexpr u32 k_accesses[] = {0xe5901000, 0xe5801000, 0xe5d01000, 0xe5c01000, 0xe1d010b0, 0xe1c010b0,
                                       0xe1c020d0, 0xe1c020f0, 0xe89001fe, 0xe88001fe, 0xe5901004, 0xe5001004,
                                       0xe1d010d0, 0xe4901004, 0xe4801004, 0xe1901f9f};
  std::array<bool, k_page_count> valid{}, global{};
  for (u32 step = 0; step < 6000; ++step) {
    const u32 page = below(k_page_count), va = k_pages + page * 0x1000;
    const std::string what = "step " + std::to_string(step);
    switch (below(10)) {
      case 8: {  // another section, or another DACR
        if (below(2) == 0) {
          static constexpr u32 k_dacr[] = {0x15, 0x15, 0x05, 0x11, 0x1d, 0x35};
          const u32 dacr = k_dacr[below(6)];
          both([&](World& w) { w.run_kernel(k_write_dacr, dacr); });
          break;
        }
        const u32 pa = k_ram | (below(2) ? 0x500000 : 0x400000), ap = below(3) ? 3 : 1 + below(2);
        const u32 at = below(256) << 12;
        const bool all = below(3) == 0;
        both([&](World& w) {
          w.m.put32(k_l1, section(pa, ap));
          w.run_kernel(all ? k_tlbiall : k_tlbimva, at | 1);
        });
        break;
      }
      case 0: {
        static constexpr u32 k_ap[] = {1, 2, 3, 3, 3, 7};
        u32 descriptor = small_page(frame(below(k_frame_count)), k_ap[below(6)]);
        if (below(6) == 0) descriptor = 0;
        if (below(12) == 0) descriptor = k_device | 3u << 4 | 1u << 2 | 2;
        const bool own = below(2) != 0;  // of the ASID, not global
        if (descriptor != 0 && own) descriptor |= 1u << 11;
        map(page, descriptor);
        u32 how = below(4);
        if (how == 2 && global[page]) how = 3;  // TLBIASID leaves it, so whether the old one still holds is open
        global[page] = descriptor != 0 && !own;
        if (valid[page] || below(4) == 0) {
          static constexpr u32 k_ops[] = {k_tlbimva, k_tlbimvaa, k_tlbiasid, k_tlbiall};
          both([&](World& w) { w.run_kernel(k_ops[how], how < 2 ? va | 1 : 1); });
        }
        valid[page] = descriptor != 0;
        break;
      }
      case 1: {  // code in a frame, by any of its addresses, and run
        const u32 n = below(k_frame_count);
        const std::array<u8, 8> code = {static_cast<u8>(below(256)), 0, 0xa0, 0xe3, 0x1e, 0xff, 0x2f, 0xe1};
        both([&](World& w) { EXPECT_TRUE(w.m.ram.write(GuestPa(frame(n) + 0x800), code)); });
        user(below(k_slots), {0xe59f1004, 0xe12fff31, k_svc, frame(n) + 0x800}, 0);  // ldr r1, =; blx r1; svc
        compare(what);
        break;
      }
      default: {
        const u32 offset = below(4) == 0 ? 0xff0 + below(16) : below(3) == 0 ? 0x7f8 + below(16) : below(64) * 4;
        const u32 base = below(4) == 0 ? below(8) << 12 : va;  // by way of the section
        run(below(2) ? arm::k_mode_usr : arm::k_mode_svc, below(k_slots),
            {k_accesses[below(std::size(k_accesses))], 0xe2811001, k_svc}, base + offset);
        compare(what);
      }
    }
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(seen(measure::Counter::WindowMap), 100u);
}

}  // namespace
}  // namespace armvisor::engine::test
