#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "arm/cp15.h"

namespace armvisor::arm {
namespace {

class FakePort final : public SystemPort {
 public:
  u64 ticks = 1000;
  u32 context_changes = 0, debug_changes = 0, lines = 0;
  std::vector<std::string> log;
  Fault walk_fault;
  Translation walk_result;

  u64 counter() override { return ticks; }
  void timer_changed(bool virtual_timer) override { log.push_back(virtual_timer ? "virt" : "phys"); }
  void translation_context_changed() override { ++context_changes; }
  void tlb_flush_all(bool is) override { log.push_back("all " + std::to_string(is)); }
  void tlb_flush_asid(Asid a, bool is) override {
    log.push_back("asid " + std::to_string(a.value) + " " + std::to_string(is));
  }
  void tlb_flush_va(u32 va, Asid a, bool is) override {
    log.push_back("va " + std::to_string(va) + " " + std::to_string(a.value) + " " + std::to_string(is));
  }
  void tlb_flush_va_all_asids(u32 va, bool is) override {
    log.push_back("vaa " + std::to_string(va) + " " + std::to_string(is));
  }
  void icache_invalidate_all(bool is) override { log.push_back("icache " + std::to_string(is)); }
  void icache_invalidate_va(u32 va) override { log.push_back("icache va " + std::to_string(va)); }
  Fault walk(u32 va, Access access, bool privileged, Translation& out) override {
    log.push_back("walk " + std::to_string(va) + " " + std::to_string(static_cast<int>(access)) + " " +
                  std::to_string(privileged));
    out = walk_result;
    return walk_fault;
  }
  u32 interrupt_lines() override { return lines; }
  void debug_changed() override { ++debug_changes; }
};

class Cp15 : public testing::Test {
 protected:
  CpuState s = reset_state(1, 4);
  FakePort port;

  static SysRegId id(std::string_view name) {
    for (std::size_t i = 0; i < sysregs().size(); ++i)
      if (sysregs()[i].name == name) return static_cast<SysRegId>(i);
    ADD_FAILURE() << "no register " << name;
    return 0;
  }
  u64 read(std::string_view name) {
    u64 value = 0xdeadbeef;
    EXPECT_TRUE(read_sysreg(s, port, id(name), value)) << name;
    return value;
  }
  void write(std::string_view name, u64 value) { EXPECT_TRUE(write_sysreg(s, port, id(name), value)) << name; }
  bool readable(std::string_view name) {
    u64 value = 0;
    return read_sysreg(s, port, id(name), value);
  }
};

TEST_F(Cp15, EncodingsAndNamesAreUniqueAndFound) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < sysregs().size(); ++i) {
    const SysReg& r = sysregs()[i];
    EXPECT_TRUE(names.insert(r.name).second) << r.name;
    const SysRegId found =
        r.is64 ? find_sysreg64(r.coproc, r.op1, r.crm) : find_sysreg32(r.coproc, r.op1, r.crn, r.crm, r.op2);
    EXPECT_EQ(found, i) << r.name;
  }
  EXPECT_EQ(find_sysreg32(15, 0, 1, 1, 0), k_no_sysreg) << "SCR needs the Security Extensions";
  EXPECT_EQ(find_sysreg32(15, 4, 1, 0, 0), k_no_sysreg) << "HSCTLR needs the Virtualization Extensions";
  EXPECT_EQ(find_sysreg64(15, 4, 14), k_no_sysreg);
}

TEST_F(Cp15, EveryRowCanBeReadAndWrittenInEveryPrivilege) {
  for (std::size_t i = 0; i < sysregs().size(); ++i) {
    const SysReg& r = sysregs()[i];
    for (const u32 mode : {k_mode_svc, k_mode_usr}) {
      for (const u64 value : {u64{0}, ~u64{0}, u64{0x5555555555555555}}) {
        CpuState state = reset_state(0, 1);
        change_mode(state, mode);
        u64 out = 0;
        const bool wrote = write_sysreg(state, port, static_cast<SysRegId>(i), value);
        const bool was_read = read_sysreg(state, port, static_cast<SysRegId>(i), out);
        EXPECT_TRUE(mode == k_mode_usr || (wrote && was_read)) << r.name;
        EXPECT_TRUE(r.is64 || out >> 32 == 0) << r.name;
      }
    }
  }
}

TEST_F(Cp15, PlainStorageRowsAgreeWithTheirOffsets) {
  for (std::size_t i = 0; i < sysregs().size(); ++i) {
    const SysReg& r = sysregs()[i];
    if (r.write_offset < 0) continue;
    EXPECT_TRUE(r.pl1_write) << r.name;
    CpuState state = reset_state(0, 1);
    ASSERT_TRUE(write_sysreg(state, port, static_cast<SysRegId>(i), ~u64{0}));
    u64 stored = 0;
    std::memcpy(&stored, reinterpret_cast<const char*>(&state) + r.write_offset, r.is64 ? 8 : 4);
    EXPECT_EQ(stored, r.is64 ? ~u64{0} : u64{r.write_mask}) << r.name;
  }
}

TEST_F(Cp15, UserModeRightsAreTheArchitectures) {
  std::set<std::string_view> user;
  for (const SysReg& r : sysregs())
    if (r.coproc == 15 && (r.pl0_read || r.pl0_write)) user.insert(r.name);
  const std::set<std::string_view> expected = {
      "CP15ISB",   "CP15DSB",  "CP15DMB",   "PMCR",       "PMCNTENSET", "PMCNTENCLR", "PMOVSR",    "PMSWINC",  "PMSELR",
      "PMCEID0",   "PMCEID1",  "PMCCNTR",   "PMXEVTYPER", "PMXEVCNTR",  "PMUSERENR",  "TPIDRURW",  "TPIDRURO", "CNTFRQ",
      "CNTP_TVAL", "CNTP_CTL", "CNTV_TVAL", "CNTV_CTL",   "CNTPCT",     "CNTVCT",     "CNTP_CVAL", "CNTV_CVAL"};
  EXPECT_EQ(user, expected);
  EXPECT_FALSE(sysregs()[id("TPIDRURO")].pl0_write);
  EXPECT_TRUE(sysregs()[id("TPIDRURW")].pl0_write);
  EXPECT_FALSE(sysregs()[id("MIDR")].pl1_write);
  EXPECT_FALSE(sysregs()[id("TLBIALL")].pl1_read);
}

TEST_F(Cp15, IdentificationShowsACortexA15WithoutSecurityAndVirtualization) {
  EXPECT_EQ(read("MIDR") & 0xff0ffff0, 0x410fc0f0u);
  EXPECT_EQ(read("MPIDR"), 0x80000001u);
  EXPECT_EQ(read("ID_PFR1"), 0x00010001u) << "generic timer, no Security, no Virtualization";
  EXPECT_EQ((bits<3, 0>(read("ID_MMFR0"))), 5u) << "VMSAv7 with long descriptors";
  EXPECT_EQ((bits<27, 24>(read("ID_ISAR0"))), 2u) << "SDIV and UDIV in A32 and T32";
  EXPECT_EQ((bits<15, 12>(read("ID_ISAR4"))), 0u) << "no SMC";
  EXPECT_EQ(read("L2CTLR"), 3u << 24 | 1u << 23);
  EXPECT_EQ(read("CBAR"), 0x08000000u);
}

TEST_F(Cp15, ModelsDifferInWhatTheySayOfThemselvesAlone) {
  struct {
    CpuModel model;
    u32 midr, mmfr1, pmcr, debug;  ///< `debug`: variant and revision in DBGDIDR
  } const models[] = {{CpuModel::CortexA15, 0x414fc0f0, 0x20000000, 0x410f3000, 0x40},
                      {CpuModel::CortexA7, 0x410fc075, 0x40000000, 0x41072000, 0x05},
                      {CpuModel::Max, 0x411fd070, 0x40000000, 0x41013000, 0x10}};
  s = reset_state(1, 4);
  std::vector<u64> usual;
  for (std::size_t i = 0; i < sysregs().size(); ++i) {
    u64 value = 0;
    EXPECT_TRUE(!sysregs()[i].pl1_read || read_sysreg(s, port, static_cast<SysRegId>(i), value));
    usual.push_back(value);
  }
  const std::set<std::string_view> of_model = {"MIDR",     "MIDR_4", "MIDR_7", "CTR",     "ID_MMFR0",
                                               "ID_MMFR1", "CCSIDR", "PMCR",   "DBGDIDR", "FPSID"};
  ASSERT_EQ(cpu_models().size(), std::size(models));
  for (const auto& m : models) {
    s = reset_state(1, 4, m.model);
    for (const char* name : {"MIDR", "MIDR_4", "MIDR_7"}) EXPECT_EQ(read(name), m.midr);
    EXPECT_EQ(read("ID_MMFR1"), m.mmfr1);
    EXPECT_EQ(read("PMCR"), m.pmcr);
    EXPECT_EQ(read("DBGDIDR") & 0xff, m.debug);
    EXPECT_EQ(find_cpu_model(row(m.model).name), m.model);
    for (std::size_t i = 0; i < sysregs().size(); ++i) {
      if (!sysregs()[i].pl1_read || of_model.contains(sysregs()[i].name)) continue;
      u64 value = 0;
      EXPECT_TRUE(read_sysreg(s, port, static_cast<SysRegId>(i), value));
      EXPECT_EQ(value, usual[i]) << sysregs()[i].name;
    }
  }
  EXPECT_FALSE(find_cpu_model("cortex-a53"));
}

TEST_F(Cp15, CcsidrFollowsCsselr) {
  write("CSSELR", 0);
  EXPECT_EQ(read("CCSIDR"), 0x701fe00au);
  write("CSSELR", 1);
  EXPECT_EQ(read("CCSIDR"), 0x201fe00au);
  write("CSSELR", 2);
  EXPECT_EQ(read("CCSIDR"), 0x711fe07au);
  write("CSSELR", 0xff);
  EXPECT_EQ(read("CSSELR"), 0xfu);
  EXPECT_EQ(read("CCSIDR"), 0u);
}

TEST_F(Cp15, SctlrKeepsItsFixedBits) {
  write("SCTLR", 0);
  EXPECT_EQ(read("SCTLR"), 0x00c50078u);
  write("SCTLR", 0xffffffff);
  EXPECT_EQ(read("SCTLR"), 0x72dd3c7fu);
}

TEST_F(Cp15, CpacrHasCp10Cp11AndTheDisableBits) {
  write("CPACR", 0x0fffffff);
  EXPECT_EQ(read("CPACR"), 0x00f00000u);
  write("CPACR", 1u << 31);
  EXPECT_EQ(read("CPACR"), 1u << 31);
  write("CPACR", 1u << 30);
  EXPECT_EQ(read("CPACR"), 3u << 30) << "no Advanced SIMD without D16-D31";
}

TEST_F(Cp15, WritesThatChangeTranslationTellThePort) {
  for (const auto* name :
       {"SCTLR", "TTBR0", "TTBR1", "TTBCR", "TTBR0_64", "TTBR1_64", "DACR", "MAIR0", "MAIR1", "CONTEXTIDR"}) {
    const u32 before = port.context_changes;
    write(name, 0);
    EXPECT_EQ(port.context_changes, before + 1) << name;
  }
  EXPECT_EQ(sysregs()[id("SCTLR")].effect, SysEffect::EndBlock);
}

TEST_F(Cp15, TtbrHasA32BitAndA64BitView) {
  write("TTBR0_64", 0xffffffffffffffff);
  EXPECT_EQ(read("TTBR0_64"), 0x00ff00ffffffffffu);
  EXPECT_EQ(read("TTBR0"), 0xffffffffu);
  write("TTBR0", 0x1234);
  EXPECT_EQ(read("TTBR0_64"), 0x00ff00ff00001234u);
}

TEST_F(Cp15, TtbcrHasTheFieldsOfItsFormat) {
  write("TTBCR", 0x7fffffff);
  EXPECT_EQ(read("TTBCR"), 0x37u);
  write("TTBCR", 0xffffffff);
  EXPECT_EQ(read("TTBCR"), 0xbfc73f87u);
}

TEST_F(Cp15, MaintenanceReachesThePort) {
  write("TLBIALL", 0);
  write("TLBIALLIS", 0);
  write("TLBIMVA", 0x5007);
  write("TLBIMVAIS", 0x5007);
  write("TLBIASID", 0x1ff);
  write("TLBIASIDIS", 9);
  write("TLBIMVAA", 0x5fff);
  write("TLBIMVAAIS", 0x5fff);
  write("ITLBIMVA", 0x5007);
  write("DTLBIASID", 3);
  write("ICIALLU", 0);
  write("ICIALLUIS", 0);
  write("ICIMVAU", 0x1040);
  EXPECT_EQ(port.log, (std::vector<std::string>{"all 0", "all 1", "va 20480 7 0", "va 20480 7 1", "asid 255 0",
                                                "asid 9 1", "vaa 20480 0", "vaa 20480 1", "va 20480 7 0", "asid 3 0",
                                                "icache 0", "icache 1", "icache va 4160"}));
}

TEST_F(Cp15, AddressTranslationFillsParInTheShortFormat) {
  port.walk_result.pa = GuestPa(0x40123456);
  port.walk_result.par_attributes = 0x4f0;
  write("ATS1CUW", 0x1000);
  EXPECT_EQ(port.log.back(), "walk 4096 1 0");
  EXPECT_EQ(read("PAR"), 0x401234f0u);
  port.walk_result.pa = GuestPa(0x9a'bc123456);
  port.walk_result.par_attributes = 2;
  write("ATS1CPR", 0x1000);
  EXPECT_EQ(port.log.back(), "walk 4096 0 1");
  EXPECT_EQ(read("PAR"), 0xbc9a0002u);
  port.walk_fault.type = FaultType::Permission;
  port.walk_fault.level = 2;
  write("ATS1CPW", 0x1000);
  EXPECT_EQ(read("PAR_64"), 0x0fu << 1 | 1);
}

TEST_F(Cp15, AddressTranslationFillsParInTheLongFormat) {
  s.cp15.ttbcr = 1u << 31;
  port.walk_result.pa = GuestPa(0x9a'bc123456);
  port.walk_result.par_attributes = u64{0xff} << 56 | 3u << 7 | 1u << 11;
  write("ATS1CUR", 0x1000);
  EXPECT_EQ(read("PAR_64"), 0xff00009abc123980u);
  port.walk_fault.type = FaultType::Translation;
  port.walk_fault.level = 3;
  write("ATS1CUR", 0x1000);
  EXPECT_EQ(read("PAR_64"), 0x07u << 1 | 1 | 1u << 11);
}

TEST_F(Cp15, IsrShowsTheInputs) {
  port.lines = k_psr_i;
  EXPECT_EQ(read("ISR"), k_psr_i);
}

TEST_F(Cp15, VbarIsAlignedTo32Bytes) {
  write("VBAR", 0xffffffff);
  EXPECT_EQ(read("VBAR"), 0xffffffe0u);
}

// --- generic timer

TEST_F(Cp15, TimerValueIsASignedOffsetFromTheCounter) {
  write("CNTV_TVAL", 100);
  EXPECT_EQ(read("CNTV_CVAL"), 1100u);
  EXPECT_EQ(port.log.back(), "virt");
  port.ticks = 1150;
  EXPECT_EQ(read("CNTV_TVAL"), 0xffffffceu);
  write("CNTP_TVAL", 0xffffffff);
  EXPECT_EQ(read("CNTP_CVAL"), 1149u);
  EXPECT_EQ(port.log.back(), "phys");
}

TEST_F(Cp15, TimerStatusIsComputedFromTheCounter) {
  write("CNTV_CVAL", 2000);
  write("CNTV_CTL", 7);
  EXPECT_EQ(read("CNTV_CTL"), 3u);
  port.ticks = 2000;
  EXPECT_EQ(read("CNTV_CTL"), 7u);
  write("CNTV_CTL", 0);
  EXPECT_EQ(read("CNTV_CTL"), 0u) << "ISTATUS means nothing while disabled";
}

TEST_F(Cp15, UserAccessToTimersFollowsCntkctl) {
  const std::pair<u32, std::vector<const char*>> groups[] = {
      {1u << 0, {"CNTPCT", "CNTFRQ"}},
      {1u << 1, {"CNTVCT", "CNTFRQ"}},
      {1u << 8, {"CNTV_TVAL", "CNTV_CTL", "CNTV_CVAL"}},
      {1u << 9, {"CNTP_TVAL", "CNTP_CTL", "CNTP_CVAL"}},
  };
  change_mode(s, k_mode_usr);
  for (const auto& [enable, names] : groups)
    for (const auto* name : names) {
      s.cp15.cntkctl = 0;
      EXPECT_FALSE(readable(name)) << name;
      s.cp15.cntkctl = enable;
      EXPECT_TRUE(readable(name)) << name;
    }
}

// --- performance monitors

TEST_F(Cp15, CycleCounterRunsOnlyWhileEnabled) {
  EXPECT_EQ(read("PMCR"), 0x410f3000u);
  write("PMCCNTR", 5);
  port.ticks += 10;
  EXPECT_EQ(read("PMCCNTR"), 5u);
  write("PMCNTENSET", 1u << 31);
  write("PMCR", 1);
  port.ticks += 10;
  EXPECT_EQ(read("PMCCNTR"), 5u + 160);
  write("PMCNTENCLR", 1u << 31);
  port.ticks += 10;
  EXPECT_EQ(read("PMCCNTR"), 5u + 160);
  write("PMCR", 1 | 4);
  EXPECT_EQ(read("PMCCNTR"), 0u);
}

TEST_F(Cp15, CycleCounterDividesBy64OnRequest) {
  write("PMCNTENSET", 1u << 31);
  port.ticks = 6400;
  write("PMCR", 1 | 4 | 8);
  port.ticks += 640;
  EXPECT_EQ(read("PMCCNTR"), 640u * 16 / 64);
}

TEST_F(Cp15, CountersOverflowIntoPmovsr) {
  write("PMCNTENSET", 1u << 31 | 1u << 2 | 1u << 3);
  write("PMCR", 1);
  write("PMCCNTR", 0xfffffff0);
  write("PMSELR", 2);
  write("PMXEVTYPER", 0x11);
  write("PMXEVCNTR", 0xfffffff0);
  write("PMSELR", 3);
  write("PMXEVTYPER", 0);
  write("PMXEVCNTR", 0xffffffff);
  EXPECT_EQ(read("PMOVSR"), 0u);
  port.ticks += 2;
  EXPECT_EQ(read("PMOVSR"), 1u << 31 | 1u << 2);
  write("PMSWINC", 0x3f);
  EXPECT_EQ(read("PMOVSR"), 1u << 31 | 1u << 2 | 1u << 3);
  EXPECT_EQ(read("PMXEVCNTR"), 0u);
  write("PMSELR", 2);
  EXPECT_EQ(read("PMXEVCNTR"), 16u);
  write("PMOVSR", 1u << 2);
  EXPECT_EQ(read("PMOVSR"), 1u << 31 | 1u << 3);
}

TEST_F(Cp15, UnimplementedCountersReadAsZero) {
  write("PMSELR", 6);
  write("PMXEVTYPER", 0xff);
  write("PMXEVCNTR", 77);
  EXPECT_EQ(read("PMXEVTYPER"), 0u);
  EXPECT_EQ(read("PMXEVCNTR"), 0u);
  write("PMSELR", 31);
  write("PMXEVTYPER", 0xffffffff);
  EXPECT_EQ(read("PMXEVTYPER"), 0xc0000000u);
}

TEST_F(Cp15, ModelsHaveAsManyCountersAsTheySay) {
  for (const auto& [model, counters] : {std::pair{CpuModel::CortexA15, 6u}, {CpuModel::CortexA7, 4u}}) {
    s = reset_state(0, 1, model);
    ASSERT_EQ((bits<15, 11>(static_cast<u32>(read("PMCR")))), counters);
    const u32 all = 1u << 31 | ((1u << counters) - 1);
    for (const auto& [set, clear] : {std::pair{"PMCNTENSET", "PMCNTENCLR"}, {"PMINTENSET", "PMINTENCLR"}}) {
      write(set, 0xffffffff);
      EXPECT_EQ(read(set), all) << set;
      write(clear, 0xffffffff);
      EXPECT_EQ(read(clear), 0u) << clear;
    }
    write("PMOVSSET", 0xffffffff);
    EXPECT_EQ(read("PMOVSR"), all);
    for (u32 n = 0; n < 8; ++n) {
      write("PMSELR", n);
      write("PMXEVTYPER", 0x11);
      write("PMXEVCNTR", 77);
      EXPECT_EQ(read("PMXEVTYPER"), n < counters ? 0x11u : 0u) << n;
      EXPECT_EQ(read("PMXEVCNTR"), n < counters ? 77u : 0u) << n;
    }
  }
}

TEST_F(Cp15, UserAccessToPerformanceMonitorsFollowsPmuserenr) {
  change_mode(s, k_mode_usr);
  EXPECT_TRUE(readable("PMUSERENR"));
  EXPECT_FALSE(readable("PMCCNTR"));
  EXPECT_FALSE(write_sysreg(s, port, id("PMSELR"), 1));
  s.cp15.pmuserenr = 1;
  EXPECT_TRUE(readable("PMCCNTR"));
  EXPECT_TRUE(write_sysreg(s, port, id("PMSELR"), 1));
}

}  // namespace
}  // namespace armvisor::arm
