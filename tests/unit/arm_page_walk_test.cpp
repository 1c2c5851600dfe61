#include <gtest/gtest.h>

#include <map>
#include <set>

#include "arm/page_walk.h"

namespace armvisor::arm {
namespace {

constexpr u32 k_sctlr_m = 1u << 0, k_sctlr_i = 1u << 12, k_sctlr_wxn = 1u << 19, k_sctlr_uwxn = 1u << 20,
              k_sctlr_ee = 1u << 25, k_sctlr_tre = 1u << 28, k_sctlr_afe = 1u << 29;

class Tables final : public WalkMemory {
 public:
  std::map<u64, u32> words;
  std::set<u64> broken;  ///< reads of these abort

  bool read32(GuestPa pa, u32& value) override {
    EXPECT_EQ(pa.value % 4, 0u);
    if (broken.contains(pa.value)) return false;
    value = words[pa.value];
    return true;
  }
  bool read64(GuestPa pa, u64& value) override {
    EXPECT_EQ(pa.value % 8, 0u);
    if (broken.contains(pa.value)) return false;
    value = words[pa.value] | u64{words[pa.value + 4]} << 32;
    return true;
  }
  void put64(u64 pa, u64 value) {
    words[pa] = static_cast<u32>(value);
    words[pa + 4] = static_cast<u32>(value >> 32);
  }
};

class PageWalk : public testing::Test {
 protected:
  CpuState s = reset_state(0, 1);
  Tables tables;
  Translation out;

  PageWalk() {
    s.cp15.sctlr |= k_sctlr_m;
    s.cp15.dacr = 0x55555555;
  }
  Fault walk(u32 va, Access access = Access::Read, bool privileged = true) {
    return translate(s, tables, va, access, privileged, out);
  }
  void expect_fault(const Fault& f, FaultType type, u32 level) {
    EXPECT_EQ(f.type, type);
    EXPECT_EQ(f.level, level);
  }
};

/// Permissions as six letters, PL1 rwx then PL0 rwx.
std::string rights(const Translation& t) {
  std::string r;
  const auto add = [&r](bool granted, char letter) { r += granted ? letter : '-'; };
  add(t.pl1_read, 'r');
  add(t.pl1_write, 'w');
  add(t.pl1_execute, 'x');
  add(t.pl0_read, 'r');
  add(t.pl0_write, 'w');
  add(t.pl0_execute, 'x');
  return r;
}

/// A fault must come exactly when the permissions deny the access.
template <class WalkFunction>
void expect_faults_follow_rights(const std::string& expected, WalkFunction walk) {
  const Access kinds[] = {Access::Read, Access::Write, Access::Execute};
  for (u32 i = 0; i < 6; ++i) {
    const Fault f = walk(kinds[i % 3], i < 3);
    EXPECT_EQ(f.type, expected[i] == '-' ? FaultType::Permission : FaultType::None) << expected << " " << i;
    EXPECT_EQ(f.write, f.type != FaultType::None && kinds[i % 3] == Access::Write);
  }
}

// --- translation off

TEST_F(PageWalk, FlatWhenTheMmuIsOff) {
  s.cp15.sctlr &= ~k_sctlr_m;
  EXPECT_FALSE(walk(0xdeadbeef, Access::Write, false));
  EXPECT_EQ(out.pa.value, 0xdeadbeefu);
  EXPECT_EQ(out.type, MemoryType::StronglyOrdered);
  EXPECT_EQ(rights(out), "rwxrwx");
  EXPECT_FALSE(walk(0xdeadbeef, Access::Execute, false));
  EXPECT_EQ(out.type, MemoryType::Normal);
}

// --- short-descriptor format

class ShortWalk : public PageWalk {
 protected:
  static constexpr u32 k_ttbr0 = 0x4000, k_ttbr1 = 0x8000, k_l2 = 0x10000;
  ShortWalk() {
    s.cp15.ttbr0 = k_ttbr0 | 0x6a;  // cacheability bits of the walk, not address bits
    s.cp15.ttbr1 = k_ttbr1 | 0x6a;
  }
  static u32 ap_section(u32 ap) { return (ap & 3) << 10 | (ap >> 2) << 15; }
  static u32 ap_page(u32 ap) { return (ap & 3) << 4 | (ap >> 2) << 9; }
  void section(u32 va, u32 descriptor) { tables.words[k_ttbr0 + (va >> 20) * 4] = descriptor; }
  void page(u32 va, u32 descriptor, u32 first = 0) {
    section(va, k_l2 | first | 1);
    tables.words[k_l2 + ((va >> 12) & 0xff) * 4] = descriptor;
  }
};

TEST_F(ShortWalk, Section) {
  section(0x12345678, 0xabc00002 | ap_section(3));
  EXPECT_FALSE(walk(0x12345678));
  EXPECT_EQ(out.pa.value, 0xabc45678u);
  EXPECT_EQ(out.page_bits, 20u);
  EXPECT_TRUE(out.global);
  section(0x12345678, 0xabc00002 | ap_section(3) | 1u << 17);
  EXPECT_FALSE(walk(0x12345678));
  EXPECT_FALSE(out.global);
}

TEST_F(ShortWalk, SupersectionReaches40BitsInDomain0) {
  s.cp15.dacr = 1;
  section(0x12345678, 0xab000002 | 1u << 18 | 0xc << 20 | 0xd << 5 | ap_section(3));
  EXPECT_FALSE(walk(0x12345678));
  EXPECT_EQ(out.pa.value, 0xdcab345678u);
  EXPECT_EQ(out.page_bits, 24u);
  EXPECT_EQ(out.par_attributes & 2, 2u);
}

TEST_F(ShortWalk, SmallAndLargePages) {
  page(0x12345678, 0xabcde002 | ap_page(3));
  EXPECT_FALSE(walk(0x12345678));
  EXPECT_EQ(out.pa.value, 0xabcde678u);
  EXPECT_EQ(out.page_bits, 12u);
  page(0x12345678, 0xabcd0001 | ap_page(3) | 1u << 11);
  EXPECT_FALSE(walk(0x12345678));
  EXPECT_EQ(out.pa.value, 0xabcd5678u);
  EXPECT_EQ(out.page_bits, 16u);
  EXPECT_FALSE(out.global);
}

TEST_F(ShortWalk, InvalidDescriptorsAreTranslationFaults) {
  section(0x12345678, 0xabc00000);
  const Fault f = walk(0x12345678, Access::Write);
  expect_fault(f, FaultType::Translation, 1);
  EXPECT_EQ(f.va, 0x12345678u);
  EXPECT_TRUE(f.write);
  page(0x12345678, 0xabcde000, 5 << 5);
  const Fault f2 = walk(0x12345678);
  expect_fault(f2, FaultType::Translation, 2);
  EXPECT_EQ(f2.domain, 5);
}

TEST_F(ShortWalk, AbortsOfTheWalkTellTheirLevel) {
  tables.broken = {k_ttbr0 + 0x123 * 4, k_l2 + 0x45 * 4};
  expect_fault(walk(0x12345678), FaultType::SyncExternalOnWalk, 1);
  page(0x22345678, 0, 7 << 5);
  const Fault f = walk(0x22345678);
  expect_fault(f, FaultType::SyncExternalOnWalk, 2);
  EXPECT_EQ(f.domain, 7);
}

TEST_F(ShortWalk, TtbcrNSplitsTheAddressSpace) {
  for (u32 n = 0; n < 8; ++n) {
    s.cp15.ttbcr = n;
    s.cp15.ttbr0 = 0xfff00000 + (0x4000u >> n);  // aligned to the size of the table and no more
    s.cp15.ttbr1 = 0x80000000;
    tables.words.clear();
    const u32 last_low = n == 0 ? 0xffffffff : (1u << (32 - n)) - 1;
    tables.words[static_cast<u32>(s.cp15.ttbr0) + (last_low >> 20) * 4] = 0x11100002 | ap_section(3);
    EXPECT_FALSE(walk(last_low)) << n;
    EXPECT_EQ(out.pa.value, 0x111fffffu);
    if (n == 0) continue;
    tables.words[0x80000000u + ((last_low + 1) >> 20) * 4] = 0x22200002 | ap_section(3);
    EXPECT_FALSE(walk(last_low + 1)) << n;
    EXPECT_EQ(out.pa.value, 0x22200000u);
  }
}

TEST_F(ShortWalk, Pd0AndPd1DisableWalks) {
  s.cp15.ttbcr = 1 | 1u << 4;
  section(0x10000000, 0x11100002 | ap_section(3));
  tables.words[k_ttbr1 + 0x900 * 4] = 0x22200002 | ap_section(3);
  expect_fault(walk(0x10000000), FaultType::Translation, 1);
  EXPECT_FALSE(walk(0x90000000));
  s.cp15.ttbcr = 1 | 1u << 5;
  EXPECT_FALSE(walk(0x10000000));
  expect_fault(walk(0x90000000), FaultType::Translation, 1);
}

/// Table B3-6 with SCTLR.AFE clear, XN and PXN clear.
constexpr const char* k_ap_rights[8] = {"------", "rwx---", "rwxr-x", "rwxrwx", "------", "r-x---", "r-xr-x", "r-xr-x"};

TEST_F(ShortWalk, AccessPermissions) {
  for (u32 ap = 0; ap < 8; ++ap) {
    section(0, 2 | ap_section(ap));
    expect_faults_follow_rights(k_ap_rights[ap], [&](Access a, bool p) { return walk(0, a, p); });
    page(0x100000, 0x5002 | ap_page(ap));
    expect_faults_follow_rights(k_ap_rights[ap], [&](Access a, bool p) { return walk(0x100000, a, p); });
    page(0x100000, 0x50001 | ap_page(ap));
    expect_faults_follow_rights(k_ap_rights[ap], [&](Access a, bool p) { return walk(0x100000, a, p); });
    if (k_ap_rights[ap][0] == 'r') {
      ASSERT_FALSE(walk(0x100000));
      EXPECT_EQ(rights(out), k_ap_rights[ap]);
    }
  }
}

TEST_F(ShortWalk, AccessFlagEnabledModel) {
  s.cp15.sctlr |= k_sctlr_afe;
  for (u32 ap = 0; ap < 8; ++ap) {
    section(0, 2 | ap_section(ap) | 6 << 5);
    page(0x100000, 0x5002 | ap_page(ap));
    if (!(ap & 1)) {
      const Fault f = walk(0);
      expect_fault(f, FaultType::AccessFlag, 1);
      EXPECT_EQ(f.domain, 6);
      expect_fault(walk(0x100000), FaultType::AccessFlag, 2);
      continue;
    }
    ASSERT_FALSE(walk(0));
    const char* expected[] = {"rwx---", "rwxrwx", "r-x---", "r-xr-x"};
    EXPECT_EQ(rights(out), expected[ap >> 1]);
  }
}

TEST_F(ShortWalk, AccessFlagFaultComesBeforeDomainFault) {
  s.cp15.sctlr |= k_sctlr_afe;
  s.cp15.dacr = 0;
  section(0, 2 | ap_section(2));
  expect_fault(walk(0), FaultType::AccessFlag, 1);
  section(0, 2 | ap_section(3));
  expect_fault(walk(0), FaultType::Domain, 1);
}

TEST_F(ShortWalk, ExecuteNever) {
  struct Case {
    u32 descriptor, first, va;
    const char* expected;
  };
  const Case cases[] = {
      {2 | ap_section(3) | 1u << 4, 0, 0, "rw-rw-"},
      {2 | ap_section(3) | 1u << 0, 0, 0, "rw-rwx"},
      {0x5002 | ap_page(3) | 1, 0, 0x100000, "rw-rw-"},
      {0x5002 | ap_page(3), 1u << 2, 0x100000, "rw-rwx"},
      {0x50001 | ap_page(3) | 1u << 15, 0, 0x100000, "rw-rw-"},
      {0x50001 | ap_page(1), 1u << 2, 0x100000, "rw----"},
  };
  for (const Case& c : cases) {
    if (c.va == 0)
      section(0, c.descriptor);
    else
      page(c.va, c.descriptor, c.first);
    expect_faults_follow_rights(c.expected, [&](Access a, bool p) { return walk(c.va, a, p); });
  }
}

TEST_F(ShortWalk, WritableImpliesExecuteNever) {
  const auto with = [&](u32 sctlr, u32 ap, const char* expected) {
    s.cp15.sctlr = (s.cp15.sctlr & ~(k_sctlr_wxn | k_sctlr_uwxn)) | sctlr;
    section(0, 2 | ap_section(ap));
    ASSERT_FALSE(walk(0));
    EXPECT_EQ(rights(out), expected);
  };
  with(k_sctlr_wxn, 1, "rw----");
  with(k_sctlr_wxn, 2, "rw-r-x");
  with(k_sctlr_wxn, 3, "rw-rw-");
  with(k_sctlr_wxn, 7, "r-xr-x");
  with(k_sctlr_uwxn, 1, "rwx---");
  with(k_sctlr_uwxn, 3, "rw-rwx");
}

TEST_F(ShortWalk, Domains) {
  for (u32 domain = 0; domain < 16; ++domain) {
    section(0, 2 | domain << 5 | 1u << 4);  // no access, XN
    page(0x100000, 0x5002 | ap_page(0), domain << 5);
    s.cp15.dacr = ~(3u << (2 * domain));
    const Fault f = walk(0);
    expect_fault(f, FaultType::Domain, 1);
    EXPECT_EQ(f.domain, domain);
    expect_fault(walk(0x100000), FaultType::Domain, 2);
    s.cp15.dacr |= 2u << (2 * domain);
    expect_fault(walk(0), FaultType::Domain, 1);
    s.cp15.dacr = 1u << (2 * domain);
    expect_fault(walk(0), FaultType::Permission, 1);
    expect_fault(walk(0x100000), FaultType::Permission, 2);
    s.cp15.dacr = 3u << (2 * domain);
    EXPECT_FALSE(walk(0, Access::Execute, false));
    EXPECT_EQ(rights(out), "rwxrwx");
    EXPECT_FALSE(walk(0x100000, Access::Write, false));
  }
}

TEST_F(ShortWalk, BigEndianTables) {
  s.cp15.sctlr |= k_sctlr_ee;
  section(0x12345678, __builtin_bswap32(0xabc00002 | ap_section(3)));
  EXPECT_FALSE(walk(0x12345678));
  EXPECT_EQ(out.pa.value, 0xabc45678u);
}

TEST_F(ShortWalk, MemoryTypesWithoutRemap) {
  struct Case {
    u32 tex, c, b;
    MemoryType type;
    u32 par;  ///< Inner, Outer and SH with S clear
  };
  const Case cases[] = {
      {0, 0, 0, MemoryType::StronglyOrdered, 0x90}, {0, 0, 1, MemoryType::Device, 0xb0},
      {0, 1, 0, MemoryType::Normal, 0x68},          {0, 1, 1, MemoryType::Normal, 0x7c},
      {1, 0, 0, MemoryType::Normal, 0x00},          {1, 1, 1, MemoryType::Normal, 0x54},
      {2, 0, 0, MemoryType::Device, 0x30},          {5, 1, 0, MemoryType::Normal, 0x64},
  };
  for (const Case& c : cases) {
    section(0, 2 | ap_section(3) | c.tex << 12 | c.c << 3 | c.b << 2);
    EXPECT_FALSE(walk(0));
    EXPECT_EQ(out.type, c.type);
    EXPECT_EQ(out.par_attributes, c.par);
    page(0x100000, 0x5002 | ap_page(3) | c.tex << 6 | c.c << 3 | c.b << 2);
    EXPECT_FALSE(walk(0x100000));
    EXPECT_EQ(out.par_attributes, c.par);
    page(0x100000, 0x50001 | ap_page(3) | c.tex << 12 | c.c << 3 | c.b << 2);
    EXPECT_FALSE(walk(0x100000));
    EXPECT_EQ(out.par_attributes, c.par);
  }
}

TEST_F(ShortWalk, MemoryTypesWithRemap) {
  // What Linux programs: PRRR 0xff0a81a8, NMRR 0x40e040e0.
  s.cp15.sctlr |= k_sctlr_tre;
  s.cp15.mair0 = 0xff0a81a8;
  s.cp15.mair1 = 0x40e040e0;
  const auto type_of = [&](u32 n, bool shared) {
    page(0, 0x5002 | ap_page(3) | (n & 3) << 2 | (n >> 2) << 6 | u32{shared} << 10);
    EXPECT_FALSE(walk(0));
    return out.type;
  };
  EXPECT_EQ(type_of(0, false), MemoryType::StronglyOrdered);
  EXPECT_EQ(type_of(1, false), MemoryType::Normal);
  EXPECT_EQ(out.par_attributes, 0u);
  EXPECT_EQ(type_of(2, false), MemoryType::Normal);
  EXPECT_EQ(out.par_attributes, 0x68u);
  EXPECT_EQ(type_of(3, true), MemoryType::Normal);
  EXPECT_EQ(out.par_attributes, 0x4fcu) << "write-back, inner shareable";
  EXPECT_EQ(type_of(4, false), MemoryType::Device);
  EXPECT_EQ(out.par_attributes, 0x30u) << "PRRR.DS0 is clear";
  EXPECT_EQ(type_of(4, true), MemoryType::Device);
  EXPECT_EQ(out.par_attributes, 0xb0u);
  EXPECT_EQ(type_of(7, true), MemoryType::Normal);
}

// --- long-descriptor format

class LongWalk : public PageWalk {
 protected:
  static constexpr u64 k_l1 = 0x10'00004000, k_l1b = 0x6000, k_l2 = 0x20'00010000, k_l3 = 0x30'00020000;
  static constexpr u64 k_af = 1u << 10, k_ng = 1u << 11, k_ro = 1u << 7, k_user = 1u << 6;
  static constexpr u64 k_pxn = u64{1} << 53, k_xn = u64{1} << 54;
  static constexpr u64 k_pxn_table = u64{1} << 59, k_xn_table = u64{1} << 60, k_no_user = u64{1} << 61,
                       k_ro_table = u64{1} << 62;
  LongWalk() {
    s.cp15.ttbcr = 1u << 31;
    s.cp15.ttbr0 = k_l1 | u64{0x42} << 48;
    s.cp15.ttbr1 = k_l1b | u64{0x99} << 48;
    s.cp15.mair0 = 0x44ff0400;  // 0 Strongly-ordered, 1 Device, 2 Normal write-back, 3 Normal non-cacheable
  }
  void level1(u32 va, u64 d) { tables.put64(k_l1 + (va >> 30) * 8, d); }
  void level2(u32 va, u64 d, u64 table = 0) {
    level1(va, k_l2 | 3 | table);
    tables.put64(k_l2 + ((va >> 21) & 0x1ff) * 8, d);
  }
  void level3(u32 va, u64 d, u64 table1 = 0, u64 table2 = 0) {
    level2(va, k_l3 | 3 | table2, table1);
    tables.put64(k_l3 + ((va >> 12) & 0x1ff) * 8, d);
  }
};

TEST_F(LongWalk, BlocksAndPages) {
  level1(0x92345678, 0xab'c0000001 | k_af);
  EXPECT_FALSE(walk(0x92345678));
  EXPECT_EQ(out.pa.value, 0xab'd2345678u);
  EXPECT_EQ(out.page_bits, 30u);
  level2(0x92345678, 0xab'cde00001 | k_af | k_ng);
  EXPECT_FALSE(walk(0x92345678));
  EXPECT_EQ(out.pa.value, 0xab'cdf45678u);
  EXPECT_EQ(out.page_bits, 21u);
  EXPECT_FALSE(out.global);
  level3(0x92345678, 0xab'cdef1003 | k_af | u64{1} << 52);
  EXPECT_FALSE(walk(0x92345678));
  EXPECT_EQ(out.pa.value, 0xab'cdef1678u);
  EXPECT_EQ(out.page_bits, 12u);
  EXPECT_TRUE(out.global);
}

TEST_F(LongWalk, FaultsTellTheirLevel) {
  level1(0x92345678, 0);
  expect_fault(walk(0x92345678), FaultType::Translation, 1);
  level2(0x92345678, 2);
  expect_fault(walk(0x92345678), FaultType::Translation, 2);
  level3(0x92345678, 0xab'cdef1001 | k_af);
  expect_fault(walk(0x92345678), FaultType::Translation, 3);
  level1(0x92345678, 0xab'c0000001);
  expect_fault(walk(0x92345678), FaultType::AccessFlag, 1);
  level2(0x92345678, 0xab'cde00001);
  expect_fault(walk(0x92345678), FaultType::AccessFlag, 2);
  level3(0x92345678, 0xab'cdef1003);
  expect_fault(walk(0x92345678), FaultType::AccessFlag, 3);
  level3(0x92345678, 0xab'cdef1003 | k_af);
  expect_fault(walk(0x92345678, Access::Write, false), FaultType::Permission, 3);
  tables.broken = {k_l3 + 0x145 * 8};
  expect_fault(walk(0x92345678), FaultType::SyncExternalOnWalk, 3);
  tables.broken = {k_l2 + 0x91 * 8};
  expect_fault(walk(0x92345678), FaultType::SyncExternalOnWalk, 2);
  tables.broken = {k_l1 + 2 * 8};
  expect_fault(walk(0x92345678), FaultType::SyncExternalOnWalk, 1);
}

TEST_F(LongWalk, TableRegionsBySize) {
  // Where TTBR0 or TTBR1 (or neither) covers an address (B3.6.4), for every pair of sizes, at region borders. Where
  // both sizes cover it, it is TTBR1's.
  for (u32 t0 = 0; t0 < 8; ++t0)
    for (u32 t1 = 0; t1 < 8; ++t1) {
      s.cp15.ttbcr = 1u << 31 | t0 | t1 << 16;
      s.cp15.ttbr0 = 0x1000000;
      s.cp15.ttbr1 = 0x2000000;
      const u64 low_end = u64{1} << (32 - t0);                                 // exclusive
      const u64 high_start = t1 ? (u64{1} << 32) - (u64{1} << (32 - t1)) : 0;  // used where TTBR0 does not reach
      for (const u64 va : {u64{0}, low_end - 1, low_end, high_start - 1, high_start, u64{0xffffffff}}) {
        if (va > 0xffffffff) continue;
        const bool high = t1 ? va >= high_start : va >= low_end, low = !high && va < low_end;
        tables.words.clear();
        const u32 size = low ? t0 : t1;
        const u64 offset = va & ((u64{1} << (32 - size)) - 1);
        const u64 base = low ? 0x1000000 : 0x2000000;
        if (size > 1)
          tables.put64(base + (offset >> 21) * 8, 0x40000001 | k_af);
        else
          tables.put64(base + (offset >> 30) * 8, 0x40000001 | k_af);
        const Fault f = walk(static_cast<u32>(va));
        if (low || high) {
          EXPECT_FALSE(f) << t0 << " " << t1 << " " << std::hex << va;
          EXPECT_EQ(out.page_bits, size > 1 ? 21u : 30u);
        } else {
          expect_fault(f, FaultType::Translation, 1);
        }
      }
    }
}

TEST_F(LongWalk, EpdDisablesWalks) {
  s.cp15.ttbcr = 1u << 31 | 1 | 1u << 7;
  tables.put64(k_l1, 0x40000001 | k_af);
  tables.put64(k_l1b + 2 * 8, 0x80000001 | k_af);
  expect_fault(walk(0), FaultType::Translation, 1);
  EXPECT_FALSE(walk(0x80000000));
  s.cp15.ttbcr = 1u << 31 | 1 | 1u << 23;
  EXPECT_FALSE(walk(0));
  expect_fault(walk(0x80000000), FaultType::Translation, 1);
}

TEST_F(LongWalk, AccessPermissions) {
  struct Case {
    u64 bits;
    const char* expected;
  };
  const Case cases[] = {
      {0, "rwx---"},
      {k_user, "rwxrwx"},
      {k_ro, "r-x---"},
      {k_ro | k_user, "r-xr-x"},
      {k_user | k_xn, "rw-rw-"},
      {k_user | k_pxn, "rw-rwx"},
      {k_ro | k_user | k_xn, "r--r--"},
  };
  for (const Case& c : cases) {
    level3(0, 0x5003 | k_af | c.bits);
    expect_faults_follow_rights(c.expected, [&](Access a, bool p) { return walk(0, a, p); });
    level2(0, 1 | k_af | c.bits);
    expect_faults_follow_rights(c.expected, [&](Access a, bool p) { return walk(0, a, p); });
  }
}

TEST_F(LongWalk, TableAttributesRestrictWhatLiesBelow) {
  struct Case {
    u64 table1, table2;
    const char* expected;
  };
  const Case cases[] = {
      {k_no_user, 0, "rwx---"},   {0, k_no_user, "rwx---"},   {k_ro_table, 0, "r-xr-x"},
      {0, k_ro_table, "r-xr-x"},  {k_xn_table, 0, "rw-rw-"},  {0, k_xn_table, "rw-rw-"},
      {k_pxn_table, 0, "rw-rwx"}, {0, k_pxn_table, "rw-rwx"}, {k_ro_table, k_no_user | k_xn_table, "r-----"},
  };
  for (const Case& c : cases) {
    level3(0, 0x5003 | k_af | k_user, c.table1, c.table2);
    expect_faults_follow_rights(c.expected, [&](Access a, bool p) { return walk(0, a, p); });
  }
}

TEST_F(LongWalk, DomainsDoNotExist) {
  s.cp15.dacr = 0;
  level1(0, 1 | k_af);
  EXPECT_FALSE(walk(0));
}

TEST_F(LongWalk, MemoryTypesComeFromMair) {
  const MemoryType types[] = {MemoryType::StronglyOrdered, MemoryType::Device, MemoryType::Normal, MemoryType::Normal};
  const u64 par[] = {u64{2} << 7, u64{0x04} << 56 | u64{2} << 7, u64{0xff} << 56 | u64{3} << 7,
                     u64{0x44} << 56 | u64{3} << 7};
  for (u64 index = 0; index < 4; ++index) {
    level3(0, 0x5003 | k_af | index << 2 | 3u << 8);
    EXPECT_FALSE(walk(0));
    EXPECT_EQ(out.type, types[index]);
    EXPECT_EQ(out.par_attributes, par[index] | 1u << 11);
  }
  s.cp15.mair1 = 0x04000000;
  level3(0, 0x5003 | k_af | 7 << 2);
  EXPECT_FALSE(walk(0));
  EXPECT_EQ(out.type, MemoryType::Device);
}

TEST_F(LongWalk, BigEndianTables) {
  s.cp15.sctlr |= k_sctlr_ee;
  level1(0, __builtin_bswap64(0x40000001 | k_af));
  EXPECT_FALSE(walk(0x123));
  EXPECT_EQ(out.pa.value, 0x40000123u);
}

TEST_F(LongWalk, AsidComesFromTheTtbrThatA1Selects) {
  EXPECT_EQ(current_asid(s).value, 0x42);
  s.cp15.ttbcr |= 1u << 22;
  EXPECT_EQ(current_asid(s).value, 0x99);
  s.cp15.ttbcr = 0;
  s.cp15.contextidr = 0x1277;
  EXPECT_EQ(current_asid(s).value, 0x77);
}

}  // namespace
}  // namespace armvisor::arm
