// The software TLB: what hits, what a flush kills, what survives a change of address space.
#include <gtest/gtest.h>

#include <unordered_map>

#include "mmu/soft_tlb.h"

namespace armvisor::mmu {
namespace {

constexpr u32 k_ram = 0x40000000;

class SoftTlbTest : public ::testing::Test {
 protected:
  SoftTlbTest() : ram(std::move(*GuestRam::create(GuestPa(k_ram), 4u << 20))), frames(ram), tlb(frames, 0) {
    state.cp15.sctlr = 1;
    use(1);
  }

  void use(u8 asid) {
    state.cp15.contextidr = asid;
    tlb.select(SpaceKey::of(state));
  }
  void fill(u32 va, u32 pa, bool global = false, u32 page_bits = 12, u8 domain = 0) {
    arm::Translation t;
    t.domain = domain;
    t.pa = GuestPa(pa);
    t.page_bits = page_bits;
    t.global = global;
    t.pl1_read = t.pl1_write = t.pl1_execute = t.pl0_read = true;
    tlb.fill_data(va, t, true, ram.host(GuestPa(pa & ~0xfffu)), true);
    tlb.fill_exec(va, t, true);
  }
  void flush_va(u32 va, Asid asid) { tlb.drop_page(va, &asid); }
  const TlbEntry& entry(u32 va) { return tlb.current()->data[1][(va >> 12) % k_tlb_entries]; }
  bool reads(u32 va) { return entry(va).read_tag == (va & ~0xfffu); }
  bool writes(u32 va) { return entry(va).write_tag == (va & ~0xfffu); }
  bool executes(u32 va) {
    return static_cast<u32>(tlb.current()->exec_of(true)[(va >> 12) % k_exec_entries]) == va >> 12;
  }

  GuestRam ram;
  FrameTable frames;
  SoftTlb tlb;
  arm::CpuState state;
};

TEST_F(SoftTlbTest, EntryGivesTheHostAddress) {
  fill(0x1000, k_ram + 0x5000);
  EXPECT_TRUE(reads(0x1234));
  EXPECT_TRUE(writes(0x1234));
  EXPECT_EQ(entry(0x1000).host, reinterpret_cast<u64>(ram.host(GuestPa(k_ram + 0x5000))));
  EXPECT_FALSE(reads(0x2000));
}

TEST_F(SoftTlbTest, CodeFrameNeverGetsAWriteEntry) {
  ram.marks(GuestPa(k_ram)).fetch_or(k_frame_code);
  fill(0x1000, k_ram);
  EXPECT_TRUE(reads(0x1000));
  EXPECT_FALSE(writes(0x1000));
}

TEST_F(SoftTlbTest, DropWritesFindsEveryEntryOfTheFrame) {
  fill(0x1000, k_ram);
  fill(0x7000, k_ram);
  use(2);
  fill(0x3000, k_ram);
  EXPECT_TRUE(tlb.drop_writes(GuestPa(k_ram + 0x10)));
  EXPECT_FALSE(writes(0x3000));
  EXPECT_TRUE(reads(0x3000));
  use(1);
  EXPECT_FALSE(writes(0x1000));
  EXPECT_FALSE(writes(0x7000));
  EXPECT_FALSE(tlb.drop_writes(GuestPa(k_ram)));
}

TEST_F(SoftTlbTest, SpacesKeepWhatTheyKnew) {
  fill(0x1000, k_ram);
  use(2);
  EXPECT_FALSE(reads(0x1000));
  fill(0x1000, k_ram + 0x1000);
  use(1);
  EXPECT_TRUE(reads(0x1000));
  EXPECT_EQ(entry(0x1000).host, reinterpret_cast<u64>(ram.host(GuestPa(k_ram))));
}

TEST_F(SoftTlbTest, ManySpacesRecycleTheOldest) {
  for (u32 asid = 1; asid <= SoftTlb::k_max_spaces; ++asid) {
    use(static_cast<u8>(asid));
    fill(0x1000, k_ram);
  }
  use(200);
  EXPECT_FALSE(reads(0x1000));
  use(2);
  EXPECT_TRUE(reads(0x1000));
  use(1);
  EXPECT_FALSE(reads(0x1000));
}

TEST_F(SoftTlbTest, FlushByAddressAndAsid) {
  fill(0x1000, k_ram);
  fill(0x2000, k_ram);
  flush_va(0x1000, Asid(2));
  EXPECT_TRUE(reads(0x1000));
  flush_va(0x1abc, Asid(1));
  EXPECT_FALSE(reads(0x1000));
  EXPECT_FALSE(executes(0x1000));
  EXPECT_TRUE(reads(0x2000));
}

TEST_F(SoftTlbTest, GlobalEntriesGoWithAnyAsid) {
  fill(0x1000, k_ram, true);
  tlb.drop_not_global(Asid(1));
  EXPECT_TRUE(reads(0x1000));
  flush_va(0x1000, Asid(9));
  EXPECT_FALSE(reads(0x1000));
}

TEST_F(SoftTlbTest, FlushAsidKeepsOtherSpaces) {
  fill(0x1000, k_ram);
  use(2);
  fill(0x1000, k_ram);
  tlb.drop_not_global(Asid(1));
  EXPECT_TRUE(reads(0x1000));
  use(1);
  EXPECT_FALSE(reads(0x1000));
}

TEST_F(SoftTlbTest, FlushAllAndAllAsids) {
  fill(0x1000, k_ram);
  use(2);
  fill(0x1000, k_ram);
  fill(0x2000, k_ram);
  tlb.drop_page(0x1000, nullptr);
  EXPECT_FALSE(reads(0x1000));
  EXPECT_TRUE(reads(0x2000));
  use(1);
  EXPECT_FALSE(reads(0x1000));
  use(2);
  tlb.drop_all();
  EXPECT_FALSE(reads(0x2000));
}

TEST_F(SoftTlbTest, AnyAddressOfALargePageKillsItsPieces) {
  fill(0x00100000, k_ram + 0x100000, false, 20);
  fill(0x00150000, k_ram + 0x150000, false, 20);
  fill(0x00200000, k_ram + 0x200000, false, 20);
  fill(0x00050000, k_ram, false, 12);
  flush_va(0x001ff000, Asid(1));
  EXPECT_FALSE(reads(0x00100000));
  EXPECT_FALSE(reads(0x00150000));
  EXPECT_FALSE(executes(0x00150000));
  EXPECT_TRUE(reads(0x00200000));
  EXPECT_TRUE(reads(0x00050000));
}

TEST_F(SoftTlbTest, MmuOffIsASpaceOfItsOwn) {
  fill(0x1000, k_ram);
  state.cp15.sctlr = 0;
  tlb.select(SpaceKey::of(state));
  EXPECT_FALSE(reads(0x1000));
  state.cp15.sctlr = 1;
  tlb.select(SpaceKey::of(state));
  EXPECT_TRUE(reads(0x1000));
}

class ExecNumbers : public SoftTlbTest {
 protected:
  u32 number(bool privileged = true, u32 key = 1) { return tlb.exec_number(privileged, key); }
  /// Code at `va` has run in privileged mode.
  void run(u32 va, bool global = true, u32 page_bits = 12, u8 domain = 0) {
    fill(va, k_ram + 0x5000, global, page_bits, domain);
  }
  /// Everything is flushed, and tables of the current space map [0, 16 MiB) by `page_bits` from `base` on.
  void flush_all(u32 base, u32 page_bits, bool global = true, u8 domain = 0) {
    const Tables tables{SpaceKey::of(state), {}, [=](u32 va, arm::Translation& t) {
                          t.pa = GuestPa(base + va);
                          t.page_bits = page_bits;
                          t.global = global;
                          t.domain = domain;
                          return va < 16u << 20;
                        }};
    tlb.drop_entries(&tables);
  }
};

TEST_F(ExecNumbers, DifferByKeyAndPrivilege) {
  const u32 one = number();
  EXPECT_NE(one, 0u);
  EXPECT_EQ(number(), one);
  EXPECT_NE(number(true, 2), one);
  EXPECT_NE(number(false), one);
  EXPECT_EQ(number(), one);
}

TEST_F(ExecNumbers, OfPrivilegedGlobalCodeSurviveAContextSwitch) {
  run(0x1000);
  const u32 privileged = number(), user = number(false);
  use(2);
  EXPECT_EQ(number(), privileged);
  EXPECT_NE(number(false), user);
  use(1);
  EXPECT_EQ(number(false), user);
}

TEST_F(ExecNumbers, DifferByWhatDacrSaysOfTheCodesDomains) {
  run(0x1000, true, 12, 1);
  const u32 one = number();
  state.cp15.dacr = 1;  // domain 0
  use(1);
  EXPECT_EQ(number(), one);
  EXPECT_TRUE(executes(0x1000));
  state.cp15.dacr = 5;
  use(1);
  EXPECT_NE(number(), one);
  EXPECT_FALSE(executes(0x1000));
  state.cp15.dacr = 0;
  use(1);
  EXPECT_EQ(number(), one);
}

TEST_F(ExecNumbers, PartWhenCodeOfADomainIsMetThatDacrDiffersIn) {
  state.cp15.dacr = 4;
  use(2);
  const u32 other = number();
  state.cp15.dacr = 0;
  use(1);
  EXPECT_EQ(number(), other);
  run(0x2000);
  const u64 changes = tlb.changes();
  arm::Translation t{.pa = GuestPa(k_ram), .domain = 1, .pl1_execute = true};
  EXPECT_FALSE(tlb.fill_exec(0x1000, t, true));  // views have to be made anew
  EXPECT_NE(tlb.changes(), changes);
  EXPECT_NE(number(), other);
  EXPECT_TRUE(executes(0x1000));
  EXPECT_FALSE(executes(0x2000));
  EXPECT_TRUE(tlb.fill_exec(0x3000, t, true));
  const u32 own = number();
  state.cp15.dacr = 4;
  use(2);
  EXPECT_NE(number(), other);
  EXPECT_NE(number(), own);
  EXPECT_FALSE(executes(0x1000));
}

TEST_F(ExecNumbers, AreGivenUpByAnyAddressOfAPageLargerThanOneBeforeIt) {
  run(0x1001000, true, 16);
  tlb.drop_page(0x1001000, nullptr);
  run(0x1001000, true, 24);
  const u32 before = number();
  tlb.drop_page(0x1301000, nullptr);
  EXPECT_NE(number(), before);
  EXPECT_FALSE(executes(0x1001000));
}

TEST_F(ExecNumbers, TheFirstChangeOfEachBaseIsOneOfTables) {
  Tables tables{SpaceKey::of(state), {1, 2}, [](u32, arm::Translation&) { return true; }};
  EXPECT_FALSE(tlb.kept_by_others({3, 4}));
  tlb.drop_entries(&tables);
  EXPECT_FALSE(tlb.kept_by_others({1, 2}));
  EXPECT_TRUE(tlb.kept_by_others({1, 4}));
  tables.bases = {1, 4};
  tlb.keep_global(&tables);
  EXPECT_FALSE(tlb.kept_by_others({1, 4}));
  EXPECT_FALSE(tlb.kept_by_others({1, 5}));
  EXPECT_TRUE(tlb.kept_by_others({3, 4}));
  tables.bases = {3, 4};
  tlb.keep_global(&tables);
  EXPECT_FALSE(tlb.kept_by_others({1, 2}));
  tlb.drop_entries(nullptr);
  EXPECT_FALSE(tlb.kept_by_others({1, 2}));
}

TEST_F(ExecNumbers, OfGlobalCodeSurviveAFlushThatChangesNothing) {
  constexpr u32 base = k_ram - 0x100000;
  fill(0x101000, base + 0x101000, true, 20);
  fill(0x103000, base + 0x103000, true, 20);
  const u32 before = number(), user = number(false);
  flush_all(base, 20);
  EXPECT_EQ(number(), before);
  EXPECT_TRUE(executes(0x101000));
  EXPECT_TRUE(executes(0x103000));
  EXPECT_FALSE(reads(0x101000));
  EXPECT_NE(number(false), user);
  // As with code that was looked up just now, maintenance of its pages finds it.
  tlb.drop_page(0x1ff000, nullptr);
  EXPECT_NE(number(), before);
  EXPECT_FALSE(executes(0x103000));
}

TEST_F(ExecNumbers, OfGlobalCodeAreGivenUpWhenTablesSaySomethingElse) {
  constexpr u32 base = k_ram - 0x100000;
  const auto given_up = [this](auto flush) {
    fill(0x101000, base + 0x101000, true, 20);
    const u32 before = number();
    flush();
    EXPECT_NE(number(), before);
    EXPECT_FALSE(executes(0x101000));
  };
  given_up([&] { flush_all(base + 0x100000, 20); });
  given_up([&] { flush_all(base, 12); });
  given_up([&] { flush_all(base, 20, false); });
  given_up([&] { flush_all(base, 20, true, 1); });
  given_up([&] { tlb.drop_entries(nullptr); });
  given_up([&] {
    run(0x202000);  // it had another frame than as a part of a section
    flush_all(base, 20);
  });
  given_up([&] {  // tables of another world say nothing of this one
    state.cp15.ttbcr = 1;
    flush_all(base, 20);
    state.cp15.ttbcr = 0;
  });
}

TEST_F(ExecNumbers, OfGlobalCodeAreGivenUpWhenThereIsTooMuchToLookAt) {
  constexpr u32 base = k_ram + 0x5000;
  for (u32 k = 0; k < 256; ++k) fill(k << 12, base + (k << 12), true);
  const u32 before = number();
  flush_all(base, 12);
  EXPECT_EQ(number(), before);
  fill(256 << 12, base + (256 << 12), true);
  flush_all(base, 12);
  EXPECT_NE(number(), before);
}

TEST_F(ExecNumbers, AreGivenUpWhenAPageThatRanIsFlushed) {
  run(0x1000);
  const u32 before = number();
  const u64 changes = tlb.changes();
  tlb.drop_page(0x2000, nullptr);
  EXPECT_EQ(number(), before);
  EXPECT_EQ(tlb.changes(), changes);
  tlb.drop_page(0x1000, nullptr);
  EXPECT_NE(number(), before);
  EXPECT_NE(tlb.changes(), changes);
}

TEST_F(ExecNumbers, StayWhenALongRangeOfOtherPagesIsFlushed) {
  run(0x1000);
  const u32 before = number();
  for (u32 va = 0x10000000; va < 0x14000000; va += 0x1000) tlb.drop_page(va, nullptr);
  EXPECT_EQ(number(), before);
  EXPECT_TRUE(executes(0x1000));
}

TEST_F(ExecNumbers, LeaveNoEntryThatIsNotNoted) {
  number();
  run(0x1000);
  run(0x2000);
  tlb.drop_page(0x1000, nullptr);
  EXPECT_FALSE(executes(0x2000));  // or flushing it would not renew the new number
}

TEST_F(SoftTlbTest, AFlushFindsALargePageByAnyOfItsAddresses) {
  fill(0x200000, k_ram, true, 21);
  EXPECT_EQ(tlb.drop_page(0x3ff000, nullptr), 1u);
  EXPECT_FALSE(reads(0x200000));
  EXPECT_FALSE(executes(0x200000));
  fill(0x5000, k_ram);
  EXPECT_EQ(tlb.drop_page(0x5000, nullptr), 2u);
  EXPECT_EQ(tlb.drop_page(0x5000, nullptr), 0u);
  fill(0x5000, k_ram);
  EXPECT_EQ(tlb.drop_page(0x5000, nullptr), 2u);
}

TEST_F(ExecNumbers, AreGivenUpThoughTheEntryHasLeftTheTable) {
  run(0x1000);
  const u32 before = number();
  fill(0x1000 + (k_exec_entries << 12), k_ram + 0x6000);
  ASSERT_FALSE(executes(0x1000));
  const Asid asid(1);
  tlb.drop_page(0x1000, &asid);
  EXPECT_NE(number(), before);
}

TEST_F(ExecNumbers, AreGivenUpWhenWhatARangeCameFromIsWritten) {
  for (const u32 bits : {12u, 20u, 30u}) {
    run(0x1000);
    const u32 before = number();
    tlb.drop_range(*tlb.current(), 0x40000000, bits);
    if (bits == 12) {
      EXPECT_EQ(number(), before);
    }
    tlb.drop_range(*tlb.current(), 0x1000 >> bits << bits, bits);
    EXPECT_NE(number(), before);
  }
  run(0x1000);
  const u32 before = number();
  tlb.drop_space(*tlb.current());
  EXPECT_NE(number(), before);
}

TEST_F(ExecNumbers, AreGivenUpInSpacesThatOnlyUsedThem) {
  run(0x100000, true, 20);
  const u32 before = number();
  use(2);
  EXPECT_EQ(number(), before);
  tlb.drop_page(0x1ff000, nullptr);  // of the same section
  EXPECT_NE(number(), before);
}

TEST_F(ExecNumbers, OfCodeOfOneAsidAreOfThatAsid) {
  const u32 shared = number();
  run(0x1000, false);
  const u32 own = number();
  EXPECT_NE(own, shared);
  use(2);
  EXPECT_EQ(number(), shared);
  tlb.drop_not_global(Asid(1));
  EXPECT_EQ(number(), shared);
  use(1);
  EXPECT_NE(number(), own);
}

TEST_F(ExecNumbers, AreGivenUpWithASpaceThatIsRecycled) {
  const u32 user = number(false);
  for (u32 k = 2; k < 2 + SoftTlb::k_max_spaces; ++k) use(static_cast<u8>(k));
  use(1);
  EXPECT_NE(number(false), user);
}

// What another vCPU asks before it leaves one out of its maintenance.
TEST_F(SoftTlbTest, SaysWhetherItMayHaveAnyOfARange) {
  EXPECT_FALSE(tlb.may_have_any(0, 1u << 20));
  fill(0x41000, k_ram);
  EXPECT_TRUE(tlb.may_have_any(0x41000, 1));
  EXPECT_TRUE(tlb.may_have_any(0x3f000, 3));
  EXPECT_FALSE(tlb.may_have_any(0x3f000, 2));
  EXPECT_FALSE(tlb.may_have_any(0x42000, (1u << 20) - 0x42));
  EXPECT_EQ(tlb.drop_pages(0, 1u << 20, nullptr), 2u);  // data and execute side
  EXPECT_FALSE(tlb.may_have_any(0, 1u << 20));
  fill(0xfffff000, k_ram);
  EXPECT_TRUE(tlb.may_have_any(0xfff00000, 256));
  EXPECT_TRUE(tlb.may_have_any(0xfffff000, 5));  // ends with the address space
  tlb.drop_pages(0xfffff000, 5, nullptr);
  fill(0x312000, k_ram + 0x112000, true, 20);
  EXPECT_TRUE(tlb.may_have_any(0x3ff000, 1));  // of the same section
  EXPECT_FALSE(tlb.may_have_any(0x400000, 256));
  EXPECT_EQ(tlb.drop_pages(0x300000, 256, nullptr), 2u);
  EXPECT_FALSE(tlb.may_have_any(0x300000, 256));
  tlb.begin_walk();
  EXPECT_TRUE(tlb.may_have_any(0x400000, 1));
  tlb.end_walk();
  EXPECT_FALSE(tlb.may_have_any(0x400000, 1));
}

TEST_F(SoftTlbTest, MaintenanceOfOneAsidLeavesWhatOthersMayHave) {
  fill(0x1000, k_ram);
  use(2);
  fill(0x1000, k_ram + 0x1000);
  const Asid one{1};
  tlb.drop_pages(0, 16, &one);
  EXPECT_TRUE(reads(0x1000));
  EXPECT_TRUE(tlb.may_have_any(0, 16));
}

TEST_F(SoftTlbTest, LargePagesOfOneMibAreFlushedOneByOne) {
  fill(0x0, k_ram, false, 16);
  fill(0x10000, k_ram + 0x10000, false, 16);
  tlb.drop_page(0x1000, nullptr);
  tlb.drop_page(0x15000, nullptr);
  EXPECT_FALSE(reads(0x0));
  EXPECT_FALSE(reads(0x10000));
}

/// A window, and tables as keep_what_holds() asks for them.
class WindowKeeps : public SoftTlbTest {
 protected:
  WindowKeeps() : window(Window::create(ram.memfd(), ram.size(), 1000)) {
    mibs.fill(~u64{0});
    said[0xfff] = {
        .first = 0xfff00000, .last = 0xffffffff, .origin = u64{0} - 0xfff00000, .mapped = true, .writable = true};
  }
  /// Pages are mapped as the section says that the tables have for 0xfff00000.
  void map(u32 va, u32 count = 1, bool writable = true, u64 moved = 0) {
    ASSERT_TRUE(window->map(va, (va & 0xfffff) + moved, count, writable, true, false));
  }
  void keep() {
    window->keep_what_holds(mibs, [this](u32 va) {
      ++looks;
      const auto it = said.find(va >> 20);
      return it != said.end() ? it->second : Window::Extent{.first = va & ~k_page_mask, .last = va | k_page_mask};
    });
  }
  std::unique_ptr<Window> window;
  MibSet mibs{};
  std::unordered_map<u32, Window::Extent> said;
  u32 looks = 0;
};

TEST_F(WindowKeeps, WhatASectionStillMapsForOneLook) {
  map(0xfff00000, 256);
  keep();
  EXPECT_EQ(window->size(), 256u);
  EXPECT_EQ(looks, 1u);
  window->drop(0xfff30000, 16, false);
  keep();
  EXPECT_EQ(window->size(), 240u);
  said[0xfff].origin += k_page_size;
  keep();
  EXPECT_EQ(window->size(), 0u);
  EXPECT_FALSE(window->is_settled());
}

TEST_F(WindowKeeps, NothingThatTablesDoNotMapOrThatIsNotNamed) {
  map(0xfff01000);
  map(0x00101000);
  map(0x00201000);
  mibs.fill(0);
  mark_mib(mibs, 0x00100000, 20, true);
  keep();
  EXPECT_TRUE(window->has(0xfff01000, true));
  EXPECT_FALSE(window->has(0x00101000, false));
  EXPECT_TRUE(window->has(0x00201000, true));
}

TEST_F(WindowKeeps, WritablePagesOnlyWhereTablesSaySo) {
  map(0xfff01000);
  map(0xfff02000, 1, false);
  said[0xfff].writable = false;
  keep();
  EXPECT_FALSE(window->has(0xfff01000, false));
  EXPECT_TRUE(window->has(0xfff02000, false));
  keep();
  EXPECT_TRUE(window->has(0xfff02000, false));
}

TEST_F(WindowKeeps, NoPageWithAnotherFrameThanTheRestOfItsMib) {
  map(0xfff01000);
  map(0xfff02000, 1, false);
  map(0xfff02000, 1, true, 0x10000);  // in the place of another
  keep();
  EXPECT_TRUE(window->has(0xfff01000, true));
  EXPECT_FALSE(window->has(0xfff02000, false));
  map(0xfff03000, 1, true, 0x20000);
  keep();
  EXPECT_TRUE(window->has(0xfff01000, true));
  EXPECT_FALSE(window->has(0xfff03000, false));
}

TEST_F(SoftTlbTest, AWindowThatWasFullHasRoomWhenItIsEmpty) {
  const auto window = Window::create(ram.memfd(), ram.size(), 8);
  ASSERT_TRUE(window);
  u32 refused = 0;
  for (u32 k = 0; k < 100; ++k) {
    if (!window->map(k << 12, 0, 1, true, true, false)) {
      ++refused;
      window->drop_all();
      EXPECT_TRUE(window->map(k << 12, 0, 1, true, true, false)) << k;
    }
    EXPECT_TRUE(window->has(k << 12, true));
    window->drop(k << 12, 12, false);
    if (k % 3 == 0) window->settle();
  }
  EXPECT_LT(refused, 60u);
}

}  // namespace
}  // namespace armvisor::mmu
