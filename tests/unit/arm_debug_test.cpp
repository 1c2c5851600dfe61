// Debug registers (ARM DDI 0406C C11.11), and which instructions and accesses are debug events (C3).
#include <gtest/gtest.h>

#include "arm/debug_events.h"
#include "arm/debug_registers.h"

namespace armvisor::arm {
namespace {

constexpr u32 k_mdbgen = 1u << 15, k_udccdis = 1u << 12, k_lock_key = 0xc5acce55;
constexpr u32 k_enable = 1, k_pl1 = 1u << 1, k_user = 2u << 1, k_any_mode = 3u << 1, k_all_bytes = 15u << 5;
constexpr u32 k_linked_address = 1u << 20, k_context = 2u << 20, k_linked_context = 3u << 20, k_mismatch = 4u << 20,
              k_linked_mismatch = 5u << 20;
constexpr u32 k_load = 1u << 3, k_store = 2u << 3, k_any_access = 3u << 3, k_wcr_link = 1u << 20;
constexpr u32 link_to(u32 n) { return n << 16; }

class FakePort final : public SystemPort {
 public:
  u32 debug_changes = 0;
  u64 counter() override { return 0; }
  void timer_changed(bool) override {}
  void translation_context_changed() override {}
  void tlb_flush_all(bool) override {}
  void tlb_flush_asid(Asid, bool) override {}
  void tlb_flush_va(u32, Asid, bool) override {}
  void tlb_flush_va_all_asids(u32, bool) override {}
  void icache_invalidate_all(bool) override {}
  void icache_invalidate_va(u32) override {}
  Fault walk(u32, Access, bool, Translation&) override { return {}; }
  u32 interrupt_lines() override { return 0; }
  void debug_changed() override { ++debug_changes; }
};

class Debug : public testing::Test {
 protected:
  CpuState s = reset_state(0, 1);
  FakePort port;

  static SysRegId id(std::string_view name) {
    for (std::size_t i = 0; i < sysregs().size(); ++i)
      if (sysregs()[i].name == name) return static_cast<SysRegId>(i);
    ADD_FAILURE() << "no register " << name;
    return 0;
  }
  u32 read(std::string_view name) {
    u64 value = 0xdeadbeef;
    EXPECT_TRUE(read_sysreg(s, port, id(name), value)) << name;
    return static_cast<u32>(value);
  }
  bool reads(std::string_view name) {
    u64 value = 0;
    return read_sysreg(s, port, id(name), value);
  }
  void write(std::string_view name, u32 value) { EXPECT_TRUE(write_sysreg(s, port, id(name), value)) << name; }
  void monitor() {
    write("DBGOSLAR", 0);
    write("DBGDSCRext", k_mdbgen);
  }
  void breakpoint(u32 n, u32 value, u32 control) {
    write("DBGBVR" + std::to_string(n), value);
    write("DBGBCR" + std::to_string(n), control);
  }
  void watchpoint(u32 n, u32 value, u32 control) {
    write("DBGWVR" + std::to_string(n), value);
    write("DBGWCR" + std::to_string(n), control);
  }
  DebugEntry at(u32 pc) { return instruction_event(s, pc); }
  DebugEntry at(u32 pc, u32 mode) {
    change_mode(s, mode);
    return at(pc);
  }
  /// DFAR of a watched access, or 0.
  u32 access(u32 va, u32 size, bool is_store, bool privileged = true) {
    return watched_address(s, va, size, is_store, privileged).value_or(0);
  }
};

TEST_F(Debug, IdentificationIsThatOfACortexA15WithoutExternalDebug) {
  const u32 didr = read("DBGDIDR");
  EXPECT_EQ((bits<31, 28>(didr)) + 1, 4u) << "watchpoints";
  EXPECT_EQ((bits<27, 24>(didr)) + 1, 6u) << "breakpoints";
  EXPECT_EQ((bits<23, 20>(didr)) + 1, 2u) << "of which for Context IDs";
  EXPECT_EQ((bits<19, 16>(didr)), 5u) << "v7.1 Debug";
  EXPECT_EQ(didr & 0xffff, 0x8040u);
  EXPECT_EQ(read("ID_DFR0"), 0x02000005u);
  EXPECT_EQ(read("DBGDEVID"), 0x00100f10u);
  EXPECT_EQ(read("DBGDRAR"), 0u);
  EXPECT_EQ(read("DBGDSAR"), 0u);
}

TEST_F(Debug, EveryBreakpointAndWatchpointHasItsRegistersAndNoOther) {
  for (u32 n = 0; n < 16; ++n) {
    EXPECT_EQ(find_sysreg32(14, 0, 0, n, 4) != k_no_sysreg, n < 6) << "DBGBVR" << n;
    EXPECT_EQ(find_sysreg32(14, 0, 0, n, 5) != k_no_sysreg, n < 6) << "DBGBCR" << n;
    EXPECT_EQ(find_sysreg32(14, 0, 0, n, 6) != k_no_sysreg, n < 4) << "DBGWVR" << n;
    EXPECT_EQ(find_sysreg32(14, 0, 0, n, 7) != k_no_sysreg, n < 4) << "DBGWCR" << n;
  }
  for (u32 n = 0; n < 6; ++n) {
    breakpoint(n, 0x1000 + 4 * n, 0xffffffff);
    EXPECT_EQ(sysregs()[id("DBGBCR" + std::to_string(n))].effect, SysEffect::EndBlock);
  }
  for (u32 n = 0; n < 4; ++n) watchpoint(n, 0x2003 + 8 * n, 0xffffffff);
  for (u32 n = 0; n < 6; ++n) {
    EXPECT_EQ(read("DBGBVR" + std::to_string(n)), 0x1000 + 4 * n);
    EXPECT_EQ(read("DBGBCR" + std::to_string(n)), 0x007f01e7u);
  }
  for (u32 n = 0; n < 4; ++n) {
    EXPECT_EQ(read("DBGWVR" + std::to_string(n)), 0x2000 + 8 * n);
    EXPECT_EQ(read("DBGWCR" + std::to_string(n)), 0x1f1f1fffu);
  }
}

TEST_F(Debug, TheOsLockIsSetAtResetAndTakenByItsKey) {
  EXPECT_EQ(read("DBGOSLSR"), 0xau);
  EXPECT_EQ(read("DBGPRSR"), 0x21u);
  write("DBGOSLAR", 1);
  EXPECT_EQ(read("DBGOSLSR"), 0x8u);
  write("DBGOSLAR", k_lock_key);
  EXPECT_EQ(read("DBGOSLSR"), 0xau);
}

TEST_F(Debug, DscrHasTwoViewsAndMoreToRestoreUnderTheOsLock) {
  write("DBGOSLAR", 0);
  write("DBGDSCRext", 0xffffffff);
  EXPECT_EQ(read("DBGDSCRext"), k_mdbgen | k_udccdis | 15u << 2);
  EXPECT_EQ(read("DBGDSCRint"), read("DBGDSCRext"));
  write("DBGOSLAR", k_lock_key);
  write("DBGDSCRext", 0xffffffff);
  EXPECT_EQ(read("DBGDSCRext"), 0x6c00983cu);
}

TEST_F(Debug, NobodyTakesWhatIsSentAndUserCodeMayBeKeptOut) {
  write("DBGDTRint", 0x41);
  EXPECT_EQ(read("DBGDSCRint") & (1u << 29 | 1u << 26), 1u << 29 | 1u << 26);
  EXPECT_EQ(read("DBGDTRTXext"), 0x41u);
  write("DBGDTRRXext", 0x42);
  EXPECT_EQ(read("DBGDTRint"), 0x42u);
  change_mode(s, k_mode_usr);
  for (const auto* name : {"DBGDIDR", "DBGDSCRint", "DBGDRAR", "DBGDSAR", "DBGDTRint"}) {
    EXPECT_TRUE(sysregs()[id(name)].pl0_read) << name;
    s.cp15.debug.dscr = 0;
    EXPECT_TRUE(reads(name)) << name;
    s.cp15.debug.dscr = k_udccdis;
    EXPECT_FALSE(reads(name)) << name;
  }
  EXPECT_FALSE(write_sysreg(s, port, id("DBGDTRint"), 0));
}

TEST_F(Debug, ClaimTagsAreSetAndCleared) {
  EXPECT_EQ(read("DBGCLAIMSET"), 0xffu);
  write("DBGCLAIMSET", 0x1f5);
  write("DBGCLAIMCLR", 0x11);
  EXPECT_EQ(read("DBGCLAIMCLR"), 0xe4u);
}

TEST_F(Debug, WritesTellThePort) {
  for (const auto* name :
       {"DBGBVR0", "DBGBCR5", "DBGWVR1", "DBGWCR3", "DBGVCR", "DBGDSCRext", "DBGOSLAR", "DBGOSDLR"}) {
    const u32 before = port.debug_changes;
    write(name, 0);
    EXPECT_EQ(port.debug_changes, before + 1) << name;
    EXPECT_EQ(sysregs()[id(name)].effect, SysEffect::EndBlock) << name;
  }
}

TEST_F(Debug, NothingIsArmedWithoutMonitorModeOrUnderALock) {
  breakpoint(0, 0x8000, k_enable | k_any_mode | k_all_bytes);
  watchpoint(0, 0x9000, k_enable | k_any_mode | k_any_access | 15u << 5);
  EXPECT_EQ(s.cp15.debug.armed, 0u);
  write("DBGDSCRext", k_mdbgen);
  EXPECT_EQ(s.cp15.debug.armed, 0u) << "the OS Lock is set";
  write("DBGOSLAR", 0);
  EXPECT_EQ(s.cp15.debug.armed, 15u);
  EXPECT_EQ(at(0x8000), DebugEntry::Breakpoint);
  EXPECT_EQ(access(0x9000, 4, true), 0x9000u);
  write("DBGOSDLR", 1);
  EXPECT_EQ(s.cp15.debug.armed, 0u) << "the OS Double Lock is set";
  write("DBGPRCR", 1);
  EXPECT_EQ(s.cp15.debug.armed, 15u) << "which CORENPDRQ overrides";
  write("DBGOSLAR", k_lock_key);
  EXPECT_EQ(at(0x8000), DebugEntry::None);
  EXPECT_EQ(access(0x9000, 4, true), 0u);
}

TEST_F(Debug, ABreakpointNamesAnAddressAndBytes) {
  monitor();
  breakpoint(2, 0x8000, k_enable | k_any_mode | k_all_bytes);
  for (const u32 pc : {0x7ffcu, 0x8004u, 0x80008000u}) EXPECT_EQ(at(pc), DebugEntry::None);
  EXPECT_EQ(at(0x8000), DebugEntry::Breakpoint);
  EXPECT_EQ(at(0x8002), DebugEntry::Breakpoint);
  write("DBGBCR2", k_enable | k_any_mode | 12u << 5);
  EXPECT_EQ(at(0x8000), DebugEntry::None);
  EXPECT_EQ(at(0x8002), DebugEntry::Breakpoint);
  write("DBGBCR2", k_any_mode | k_all_bytes);
  EXPECT_EQ(at(0x8000), DebugEntry::None);
}

TEST_F(Debug, ABreakpointSelectsModes) {
  monitor();
  const auto hits = [&](u32 control) {
    breakpoint(0, 0x8000, k_enable | k_all_bytes | control);
    std::string modes;
    for (const auto& [name, mode] : {std::pair{'u', k_mode_usr},
                                     {'y', k_mode_sys},
                                     {'s', k_mode_svc},
                                     {'i', k_mode_irq},
                                     {'f', k_mode_fiq},
                                     {'a', k_mode_abt},
                                     {'n', k_mode_und}})
      if (at(0x8000, mode) == DebugEntry::Breakpoint) modes += name;
    return modes;
  };
  EXPECT_EQ(hits(0), "uys");
  EXPECT_EQ(hits(k_pl1), "ysifan");
  EXPECT_EQ(s.cp15.debug.armed, k_armed_pl1_code);
  EXPECT_EQ(hits(k_user), "u");
  EXPECT_EQ(s.cp15.debug.armed, k_armed_pl0_code);
  EXPECT_EQ(hits(k_any_mode), "uysifan");
}

TEST_F(Debug, BreakpointsOfAContext) {
  monitor();
  change_mode(s, k_mode_usr);
  s.cp15.contextidr = 0x12345678;
  breakpoint(0, 0x8000, k_enable | k_user | k_all_bytes | k_linked_address | link_to(5));
  EXPECT_EQ(at(0x8000), DebugEntry::None) << "linked to a breakpoint that is not enabled";
  breakpoint(5, 0x12345678, k_enable | k_any_mode | k_all_bytes | k_linked_context);
  EXPECT_EQ(at(0x8000), DebugEntry::Breakpoint);
  EXPECT_EQ(at(0x8004), DebugEntry::None) << "the linked one alone is no event";
  s.cp15.contextidr = 0x12345679;
  EXPECT_EQ(at(0x8000), DebugEntry::None);
  breakpoint(4, 0x12345679, k_enable | k_user | k_all_bytes | k_context);
  EXPECT_EQ(at(0x9000), DebugEntry::Breakpoint);
  EXPECT_EQ(at(0x9000, k_mode_svc), DebugEntry::None);
  write("DBGBCR4", 0);
  breakpoint(3, 0x12345679, k_enable | k_user | k_all_bytes | k_context);
  EXPECT_EQ(at(0x9000, k_mode_usr), DebugEntry::None) << "breakpoint 3 is for addresses only";
}

TEST_F(Debug, AMismatchStopsEverywhereElseInUserCode) {
  monitor();
  breakpoint(1, 0x8000, k_enable | k_any_mode | k_all_bytes | k_mismatch);
  EXPECT_EQ(at(0x8000, k_mode_usr), DebugEntry::None);
  EXPECT_EQ(at(0x8004), DebugEntry::Breakpoint);
  EXPECT_EQ(at(0x8004, k_mode_svc), DebugEntry::None);
  EXPECT_EQ(s.cp15.debug.armed, k_armed_pl0_code);
  breakpoint(1, 0x8000, k_enable | k_user | k_all_bytes | k_linked_mismatch | link_to(4));
  EXPECT_EQ(at(0x8004, k_mode_usr), DebugEntry::None);
  breakpoint(4, 7, k_enable | k_all_bytes | k_linked_context);
  s.cp15.contextidr = 7;
  EXPECT_EQ(at(0x8004), DebugEntry::Breakpoint);
  EXPECT_EQ(at(0x8000), DebugEntry::None);
}

TEST_F(Debug, VectorsAreCaughtInPrivilegedModes) {
  monitor();
  s.cp15.vbar = 0x40000000;
  write("DBGVCR", 0xffffffff);
  EXPECT_EQ(read("DBGVCR"), 0xdfu);
  EXPECT_EQ(at(0), DebugEntry::VectorCatch) << "reset";
  for (const u32 vector : {4u, 8u, 0x18u, 0x1cu}) EXPECT_EQ(at(0x40000000 + vector), DebugEntry::VectorCatch) << vector;
  for (const u32 none : {0u, 0xcu, 0x10u, 0x14u, 0x20u, 6u}) EXPECT_EQ(at(0x40000000 + none), DebugEntry::None) << none;
  EXPECT_EQ(at(0x40000004, k_mode_usr), DebugEntry::None);
  EXPECT_EQ(s.cp15.debug.armed, k_armed_pl1_code);
  s.cp15.sctlr |= 1u << 13;
  EXPECT_EQ(at(0xffff0004, k_mode_und), DebugEntry::VectorCatch);
  EXPECT_EQ(at(0x40000004), DebugEntry::None);
}

TEST_F(Debug, AWatchpointSelectsBytesOfADoubleWord) {
  monitor();
  watchpoint(0, 0x9000, k_enable | k_any_mode | k_any_access | 0x18u << 5);
  EXPECT_EQ(access(0x9000, 2, false), 0u);
  EXPECT_EQ(access(0x9002, 1, false), 0u);
  EXPECT_EQ(access(0x9003, 1, false), 0x9003u);
  EXPECT_EQ(access(0x9000, 4, true), 0x9003u);
  EXPECT_EQ(access(0x9000, 8, true), 0x9003u);
  EXPECT_EQ(access(0x9004, 1, true), 0x9004u);
  EXPECT_EQ(access(0x9005, 2, true), 0u);
  EXPECT_EQ(access(0x9001, 2, true), 0u) << "an unaligned access that ends before";
  EXPECT_EQ(access(0x9002, 4, true), 0x9003u);
  watchpoint(0, 0x9004, k_enable | k_any_mode | k_any_access | 0xffu << 5);
  EXPECT_EQ(access(0x9004, 4, true), 0x9004u);
  EXPECT_EQ(access(0x9008, 4, true), 0u) << "from a word on there are four bytes";
  EXPECT_EQ(access(0x9000, 4, true), 0u);
}

TEST_F(Debug, AWatchpointSelectsAccesses) {
  monitor();
  constexpr u32 k_word = k_enable | 15u << 5;
  watchpoint(3, 0x9000, k_word | k_any_mode | k_load);
  EXPECT_EQ(access(0x9000, 4, true), 0u);
  EXPECT_EQ(access(0x9000, 4, false), 0x9000u);
  watchpoint(3, 0x9000, k_word | k_any_mode | k_store);
  EXPECT_EQ(access(0x9000, 4, true), 0x9000u);
  EXPECT_EQ(access(0x9000, 4, false), 0u);
  watchpoint(3, 0x9000, k_word | k_user | k_any_access);
  EXPECT_EQ(s.cp15.debug.armed, k_armed_pl0_data);
  EXPECT_EQ(access(0x9000, 4, true, true), 0u);
  EXPECT_EQ(access(0x9000, 4, true, false), 0x9000u);
  watchpoint(3, 0x9000, k_word | k_pl1 | k_any_access);
  EXPECT_EQ(s.cp15.debug.armed, k_armed_pl1_data);
  EXPECT_EQ(access(0x9000, 4, true, true), 0x9000u);
  EXPECT_EQ(access(0x9000, 4, true, false), 0u);
  watchpoint(3, 0x9000, k_word | k_any_mode | k_any_access | k_wcr_link | link_to(4));
  EXPECT_EQ(access(0x9000, 4, true), 0u);
  breakpoint(4, 9, k_enable | k_all_bytes | k_linked_context);
  s.cp15.contextidr = 9;
  EXPECT_EQ(access(0x9000, 4, true), 0x9000u);
}

TEST_F(Debug, AWatchpointMayMaskLowBits) {
  monitor();
  watchpoint(1, 0x9000, k_enable | k_any_mode | k_any_access | 0xffu << 5 | 12u << 24);
  EXPECT_EQ(access(0x9ffe, 8, true), 0x9ffeu);
  EXPECT_EQ(access(0x8ffe, 4, true), 0x9000u);
  EXPECT_EQ(access(0xa000, 4, true), 0u);
  EXPECT_TRUE(page_is_watched(s, 0x9123, true));
  EXPECT_FALSE(page_is_watched(s, 0xa000, true));
  watchpoint(1, 0x80000000, k_enable | k_any_mode | k_any_access | 0xffu << 5 | 31u << 24);
  EXPECT_EQ(access(0xfffffffc, 4, true), 0xfffffffcu);
  EXPECT_EQ(access(0x7ffffff8, 4, true), 0u);
  EXPECT_TRUE(page_is_watched(s, 0xfffff000, true));
  EXPECT_FALSE(page_is_watched(s, 0x7ffff000, true));
}

TEST_F(Debug, ExceptionsSayWhatTheyWereTakenFor) {
  Fault fault{.type = FaultType::Debug, .write = true, .debug = DebugEntry::Watchpoint, .va = 0x9000};
  take_data_abort(s, fault, 0x8000);
  EXPECT_EQ((bits<5, 2>(s.cp15.debug.dscr)), 10u);
  EXPECT_EQ(s.cp15.dfsr & 0xc0f, 2u | 1u << 11);
  EXPECT_EQ(s.cp15.dfar, 0x9000u);
  s.cp15.ttbcr = 1u << 31;
  fault.debug = DebugEntry::Breakpoint;
  take_prefetch_abort(s, fault, 0x8000);
  EXPECT_EQ((bits<5, 2>(s.cp15.debug.dscr)), 1u);
  EXPECT_EQ(s.cp15.ifsr & 0x23f, 0x222u);
  take_prefetch_abort(s, {.type = FaultType::Translation}, 0x8000);
  EXPECT_EQ((bits<5, 2>(s.cp15.debug.dscr)), 1u) << "kept by other aborts";
}

}  // namespace
}  // namespace armvisor::arm
