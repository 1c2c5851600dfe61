#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "devices/gic.h"
#include "devices/gic_registers.h"

namespace armvisor::devices {
namespace {

using namespace gicv2;

class GicTest : public testing::Test {
 protected:
  std::array<bool, Gic::k_max_cpus> irq{};
  std::unique_ptr<Gic> gic;

  GicTest() { make(4); }
  void make(u32 cpus) {
    irq = {};
    gic = std::make_unique<Gic>(cpus, [this](u32 cpu, bool level) { irq[cpu] = level; });
    dist(GICD_CTLR, 1);
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
      iface(cpu, GICC_CTLR, 1);
      iface(cpu, GICC_PMR, 0xf0);
      for (u32 i = 0; i < 8; ++i) dist(GICD_IPRIORITYR + 4 * i, 0xa0a0a0a0, cpu);
    }
  }
  void dist(u32 offset, u32 value, u32 cpu = 0, u32 size = 4) { gic->write_distributor(cpu, offset, size, value); }
  u32 dist_read(u32 offset, u32 cpu = 0, u32 size = 4) {
    return static_cast<u32>(gic->read_distributor(cpu, offset, size));
  }
  void iface(u32 cpu, u32 offset, u32 value) { gic->write_cpu_interface(cpu, offset, 4, value); }
  u32 iface_read(u32 cpu, u32 offset) { return static_cast<u32>(gic->read_cpu_interface(cpu, offset, 4)); }
  u32 ack(u32 cpu) { return iface_read(cpu, GICC_IAR); }
  void eoi(u32 cpu, u32 id) { iface(cpu, GICC_EOIR, id); }
  void setup_spi(u32 n, u8 priority, u8 targets, bool edge = false) {
    const u32 id = 32 + n;
    dist(GICD_IPRIORITYR + id, priority, 0, 1);
    dist(GICD_ITARGETSR + id, targets, 0, 1);
    u32 config = dist_read(GICD_ICFGR + id / 16 * 4) & ~(3u << (2 * (id % 16)));
    if (edge) config |= 2u << (2 * (id % 16));
    dist(GICD_ICFGR + id / 16 * 4, config);
    dist(GICD_ISENABLER + id / 32 * 4, 1u << (id % 32));
  }
};

TEST_F(GicTest, Identification) {
  EXPECT_EQ(dist_read(GICD_TYPER), 8u | 3u << 5);
  EXPECT_EQ(dist_read(GICD_IIDR), 0x0200143bu);
  EXPECT_EQ(iface_read(0, GICC_IIDR), 0x0202143bu);
  EXPECT_EQ(dist_read(0xfe8), 0x2bu) << "architecture revision 2";
}

TEST_F(GicTest, LevelInterruptLifecycle) {
  setup_spi(5, 0x80, 1);
  gic->spi(5).set(true);
  EXPECT_TRUE(irq[0]);
  EXPECT_FALSE(irq[1]);
  EXPECT_EQ(iface_read(0, GICC_HPPIR), 37u);
  EXPECT_EQ(ack(0), 37u);
  EXPECT_FALSE(irq[0]) << "active interrupts are not signalled again";
  EXPECT_EQ(iface_read(0, GICC_RPR), 0x80u);
  EXPECT_EQ(dist_read(GICD_ISACTIVER + 4), 1u << 5);
  EXPECT_EQ(dist_read(GICD_ISPENDR + 4), 1u << 5) << "pending as long as the line is high";
  eoi(0, 37);
  EXPECT_TRUE(irq[0]) << "the line is still high";
  EXPECT_EQ(ack(0), 37u);
  gic->spi(5).set(false);
  eoi(0, 37);
  EXPECT_FALSE(irq[0]);
  EXPECT_EQ(ack(0), 1023u);
  EXPECT_EQ(iface_read(0, GICC_RPR), 0xffu);
}

TEST_F(GicTest, EdgeInterruptIsRememberedOnce) {
  setup_spi(6, 0x80, 1, true);
  gic->spi(6).set(true);
  gic->spi(6).set(false);
  EXPECT_TRUE(irq[0]);
  EXPECT_EQ(ack(0), 38u);
  gic->spi(6).set(true);
  gic->spi(6).set(false);
  EXPECT_FALSE(irq[0]) << "active and pending";
  eoi(0, 38);
  EXPECT_TRUE(irq[0]);
  EXPECT_EQ(ack(0), 38u);
  eoi(0, 38);
  EXPECT_FALSE(irq[0]);
}

TEST_F(GicTest, DisableAnywhereSilences) {
  setup_spi(5, 0x80, 1);
  gic->spi(5).set(true);
  EXPECT_TRUE(irq[0]);
  dist(GICD_ICENABLER + 4, 1u << 5);
  EXPECT_FALSE(irq[0]);
  dist(GICD_ISENABLER + 4, 1u << 5);
  EXPECT_TRUE(irq[0]);
  dist(GICD_CTLR, 0);
  EXPECT_FALSE(irq[0]);
  EXPECT_EQ(ack(0), 1023u);
  dist(GICD_CTLR, 1);
  iface(0, GICC_CTLR, 0);
  EXPECT_FALSE(irq[0]);
  iface(0, GICC_CTLR, 1);
  iface(0, GICC_PMR, 0x80);
  EXPECT_FALSE(irq[0]) << "the mask lets only higher priorities through";
  EXPECT_EQ(ack(0), 1023u);
  iface(0, GICC_PMR, 0x88);
  EXPECT_TRUE(irq[0]);
}

TEST_F(GicTest, HigherPrioritiesPreempt) {
  setup_spi(1, 0x80, 1);
  setup_spi(2, 0x40, 1);
  setup_spi(3, 0x80, 1);
  gic->spi(1).set(true);
  EXPECT_EQ(ack(0), 33u);
  gic->spi(3).set(true);
  EXPECT_FALSE(irq[0]) << "equal priority does not preempt";
  gic->spi(2).set(true);
  EXPECT_TRUE(irq[0]);
  EXPECT_EQ(ack(0), 34u);
  EXPECT_EQ(iface_read(0, GICC_APR0), 1u << 8 | 1u << 16);
  EXPECT_EQ(iface_read(0, GICC_RPR), 0x40u);
  gic->spi(2).set(false);
  eoi(0, 34);
  EXPECT_EQ(iface_read(0, GICC_RPR), 0x80u);
  gic->spi(1).set(false);
  eoi(0, 33);
  EXPECT_EQ(ack(0), 35u);
}

TEST_F(GicTest, BinaryPointGroupsPriorities) {
  setup_spi(1, 0x90, 1);
  setup_spi(2, 0x80, 1);
  iface(0, GICC_BPR, 4);  // group priority in [7:5]
  gic->spi(1).set(true);
  EXPECT_EQ(ack(0), 33u);
  gic->spi(2).set(true);
  EXPECT_FALSE(irq[0]);
  eoi(0, 33);
  EXPECT_EQ(ack(0), 34u) << "within a group the higher priority still comes first";
  iface(0, GICC_BPR, 0);
  EXPECT_EQ(iface_read(0, GICC_BPR), 2u);
  EXPECT_EQ(iface_read(0, GICC_ABPR), 3u);
}

TEST_F(GicTest, PrioritiesHave32LevelsAndLowestIdWinsTies) {
  dist(GICD_IPRIORITYR + 40, 0xff, 0, 1);
  EXPECT_EQ(dist_read(GICD_IPRIORITYR + 40, 0, 1), 0xf8u);
  iface(0, GICC_PMR, 0xff);
  EXPECT_EQ(iface_read(0, GICC_PMR), 0xf8u);
  setup_spi(9, 0x80, 1);
  setup_spi(7, 0x80, 1);
  gic->spi(9).set(true);
  gic->spi(7).set(true);
  EXPECT_EQ(ack(0), 39u);
}

TEST_F(GicTest, SplitEoiDropsThenDeactivates) {
  iface(0, GICC_CTLR, 1 | 1u << 9);
  setup_spi(5, 0x80, 1);
  setup_spi(6, 0x80, 1);
  gic->spi(5).set(true);
  gic->spi(6).set(true);
  EXPECT_EQ(ack(0), 37u);
  eoi(0, 37);
  EXPECT_EQ(iface_read(0, GICC_RPR), 0xffu);
  EXPECT_EQ(ack(0), 38u) << "37 is still active";
  eoi(0, 38);
  iface(0, GICC_DIR, 37);
  EXPECT_EQ(ack(0), 37u);
}

TEST_F(GicTest, SpiGoesToItsTargetsAndOneTakesIt) {
  setup_spi(5, 0x80, 0b0110);
  gic->spi(5).set(true);
  EXPECT_EQ(irq[0], false);
  EXPECT_TRUE(irq[1] && irq[2]);
  EXPECT_EQ(ack(2), 37u);
  EXPECT_FALSE(irq[1] || irq[2]);
  EXPECT_EQ(ack(1), 1023u);
  eoi(2, 37);
  EXPECT_TRUE(irq[1] && irq[2]);
  dist(GICD_ITARGETSR + 36, 0xffff0100);
  EXPECT_EQ(dist_read(GICD_ITARGETSR + 36), 0x0f0f0100u);
  EXPECT_TRUE(irq[0]);
  EXPECT_FALSE(irq[1] || irq[2]);
}

TEST_F(GicTest, PrivateInterruptsAreBanked) {
  dist(GICD_ISENABLER, 1u << 27, 2);
  EXPECT_EQ(dist_read(GICD_ISENABLER, 2), 0x0800ffffu);
  EXPECT_EQ(dist_read(GICD_ISENABLER, 1), 0x0000ffffu);
  gic->ppi(1, 11).set(true);
  gic->ppi(2, 11).set(true);
  EXPECT_FALSE(irq[1]);
  EXPECT_TRUE(irq[2]);
  EXPECT_EQ(ack(2), 27u);
  EXPECT_EQ(dist_read(GICD_ISACTIVER, 2), 1u << 27);
  EXPECT_EQ(dist_read(GICD_ISACTIVER, 1), 0u);
  dist(GICD_IPRIORITYR + 27, 0x10, 1, 1);
  EXPECT_EQ(dist_read(GICD_IPRIORITYR + 27, 1, 1), 0x10u);
  EXPECT_EQ(dist_read(GICD_IPRIORITYR + 27, 2, 1), 0xa0u);
  for (u32 cpu = 0; cpu < 4; ++cpu) EXPECT_EQ(dist_read(GICD_ITARGETSR, cpu), 0x01010101u << cpu);
}

TEST_F(GicTest, SgisCarryTheirSource) {
  dist(GICD_SGIR, 0b0110u << 16 | 3, 0);
  dist(GICD_SGIR, 0b0010u << 16 | 3, 2);
  EXPECT_TRUE(irq[1] && irq[2]);
  EXPECT_EQ(dist_read(GICD_SPENDSGIR + 3, 1, 1), 0b101u);
  EXPECT_EQ(iface_read(1, GICC_HPPIR), 3u);
  EXPECT_EQ(ack(1), 3u);
  EXPECT_FALSE(irq[1]) << "pending from CPU 2, but active";
  eoi(1, 3);
  EXPECT_EQ(ack(1), 3u | 2u << 10);
  eoi(1, 3 | 2u << 10);
  EXPECT_FALSE(irq[1]);
  dist(GICD_SGIR, 1u << 24 | 5, 1);
  EXPECT_TRUE(irq[0] && irq[2] && irq[3]);
  EXPECT_FALSE(irq[1]);
  EXPECT_EQ(ack(3), 5u | 1u << 10);
  dist(GICD_SGIR, 2u << 24 | 6, 1);
  EXPECT_EQ(ack(1), 6u | 1u << 10);
}

TEST_F(GicTest, SgiPendingRegisters) {
  dist(GICD_SPENDSGIR + 4, 0b1001, 1, 1);
  EXPECT_TRUE(irq[1]);
  EXPECT_EQ(dist_read(GICD_ISPENDR, 1), 1u << 4);
  dist(GICD_ICPENDR, 0xffff, 1);
  EXPECT_EQ(dist_read(GICD_ISPENDR, 1), 1u << 4) << "read-only for SGIs";
  dist(GICD_CPENDSGIR + 4, 0b0001, 1, 1);
  EXPECT_EQ(ack(1), 4u | 3u << 10);
  dist(GICD_ICENABLER, 0xffffffff, 1);
  EXPECT_EQ(dist_read(GICD_ISENABLER, 1), 0xffffu) << "SGIs cannot be disabled";
}

TEST_F(GicTest, SoftwareCanSetAndClearPending) {
  setup_spi(5, 0x80, 1);
  dist(GICD_ISPENDR + 4, 1u << 5);
  EXPECT_TRUE(irq[0]);
  dist(GICD_ICPENDR + 4, 1u << 5);
  EXPECT_FALSE(irq[0]);
  dist(GICD_ISPENDR + 4, 1u << 5);
  EXPECT_EQ(ack(0), 37u);
  eoi(0, 37);
  EXPECT_FALSE(irq[0]) << "acknowledging took the latch away";
  dist(GICD_ISACTIVER + 4, 1u << 5);
  gic->spi(5).set(true);
  EXPECT_FALSE(irq[0]);
  dist(GICD_ICACTIVER + 4, 1u << 5);
  EXPECT_TRUE(irq[0]);
}

TEST_F(GicTest, ConfigurationRegisters) {
  EXPECT_EQ(dist_read(GICD_ICFGR), 0xaaaaaaaau);
  dist(GICD_ICFGR, 0);
  EXPECT_EQ(dist_read(GICD_ICFGR), 0xaaaaaaaau);
  dist(GICD_ICFGR + 8, 0xffff0000);
  EXPECT_EQ(dist_read(GICD_ICFGR + 8), 0xaaaa0000u);
  EXPECT_EQ(dist_read(GICD_IGROUPR), 0u);
}

/// What a guest may try to learn of the distributor: which CPUs and interrupts there are, by writing all ones.
TEST_F(GicTest, DistributorShowsAnyNumberOfCpus) {
  for (u32 cpus = 1; cpus <= Gic::k_max_cpus; ++cpus) {
    make(cpus);
    const std::string of = " of " + std::to_string(cpus);
    const u32 typer = dist_read(GICD_TYPER);
    const u32 interrupts = 32 * ((typer & 31) + 1);
    EXPECT_EQ(((typer >> 5) & 7) + 1, cpus);
    for (const u32 offset : {GICD_TYPER, GICD_IIDR, 0xfe8u}) {
      const u32 before = dist_read(offset);
      for (const u32 value : {0xffffffffu, 0xa5a55a5au}) {
        dist(offset, value);
        EXPECT_EQ(dist_read(offset), before) << std::hex << offset << of << ": read-only";
      }
    }
    // A uniprocessor's are RAZ/WI (IHI 0048B 4.3.12).
    const u32 mask = cpus == 1 ? 0 : ((1u << cpus) - 1) * 0x01010101;
    dist(GICD_ITARGETSR + 32, 0xffffffff);
    EXPECT_EQ(dist_read(GICD_ITARGETSR + 32), mask) << "no CPUs that are not there" << of;
    dist(GICD_ITARGETSR + 32, 0x0103020f);
    EXPECT_EQ(dist_read(GICD_ITARGETSR + 32), 0x0103020f & mask) << of;
    EXPECT_EQ(dist_read(GICD_ITARGETSR + 33, 0, 1), 0x02 & mask & 0xff) << of;
    dist(GICD_ITARGETSR + 34, 0x1f, 0, 1);
    EXPECT_EQ(dist_read(GICD_ITARGETSR + 32), 0x011f020f & mask) << "of one byte" << of;
    dist(GICD_IPRIORITYR + 32, 0xff7fbfdf);
    EXPECT_EQ(dist_read(GICD_IPRIORITYR + 32), 0xf878b8d8u) << of;
    dist(GICD_IPRIORITYR + 34, 0x1f, 0, 1);
    EXPECT_EQ(dist_read(GICD_IPRIORITYR + 32), 0xf818b8d8u) << of;
    EXPECT_EQ(dist_read(GICD_IPRIORITYR + 33, 0, 1), 0xb8u) << of;
    for (const u32 registers : {GICD_ITARGETSR, GICD_IPRIORITYR}) {
      dist(registers + interrupts - 4, 0xffffffff);
      EXPECT_EQ(dist_read(registers + interrupts - 4), registers == GICD_ITARGETSR ? mask : 0xf8f8f8f8) << of;
      dist(registers + interrupts, 0xffffffff);
      EXPECT_EQ(dist_read(registers + interrupts), 0u) << "behind the last interrupt" << of;
    }
  }
}

TEST_F(GicTest, AnActiveInterruptCanBeCleared) {
  dist(GICD_SGIR, 2u << 24 | 1);
  EXPECT_EQ(ack(0), 1u);
  EXPECT_EQ(dist_read(GICD_ISACTIVER), 2u);
  dist(GICD_ICACTIVER, 2);
  EXPECT_EQ(dist_read(GICD_ISACTIVER), 0u);
  EXPECT_FALSE(irq[0]);
  EXPECT_EQ(ack(0), 1023u);
}

TEST_F(GicTest, UniprocessorHasNoTargets) {
  make(1);
  EXPECT_EQ(dist_read(GICD_ITARGETSR), 0u);
  dist(GICD_ITARGETSR + 36, 0);
  setup_spi(5, 0x80, 0);
  gic->spi(5).set(true);
  EXPECT_TRUE(irq[0]);
}

TEST_F(GicTest, ResetKeepsLinesAndForgetsTheRest) {
  setup_spi(5, 0x80, 1);
  gic->spi(5).set(true);
  gic->reset();
  EXPECT_FALSE(irq[0]);
  dist(GICD_CTLR, 1);
  iface(0, GICC_CTLR, 1);
  iface(0, GICC_PMR, 0xf0);
  setup_spi(5, 0x80, 1);
  EXPECT_TRUE(irq[0]);
}

TEST_F(GicTest, AnyAccessIsHarmless) {
  std::mt19937 random(1);
  for (u32 i = 0; i < 200000; ++i) {
    const u32 cpu = random() % 4, size = 1u << (random() % 4), value = random();
    const u64 offset = random() % 0x1100;
    switch (random() % 4) {
      case 0: gic->read_distributor(cpu, offset, size); break;
      case 1: gic->write_distributor(cpu, offset, size, value); break;
      case 2: gic->read_cpu_interface(cpu, offset & 0x1fff, size); break;
      default: gic->write_cpu_interface(cpu, offset & 0x1fff, size, value); break;
    }
    gic->spi(value % 256).set(random() & 1);
  }
}

TEST_F(GicTest, LinesAndAccessesFromSeveralThreadsLoseNothing) {
  setup_spi(5, 0x80, 1, true);
  constexpr u32 k_pulses = 20000;
  std::atomic<bool> done = false;
  std::thread device([&] {
    for (u32 i = 0; i < k_pulses; ++i) {
      gic->spi(5).set(true);
      gic->spi(5).set(false);
    }
    done = true;
  });
  u32 taken = 0;
  for (bool last = false; !last;) {
    last = done;
    for (u32 id = ack(0); id != 1023; id = ack(0)) {
      EXPECT_EQ(id, 37u);
      ++taken;
      eoi(0, id);
    }
  }
  device.join();
  EXPECT_GE(taken, 1u);
  EXPECT_LE(taken, k_pulses);
  EXPECT_EQ(ack(0), 1023u);
}

}  // namespace
}  // namespace armvisor::devices
