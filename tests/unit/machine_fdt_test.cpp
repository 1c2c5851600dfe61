#include <gtest/gtest.h>
#include <libfdt.h>

#include "machine/fdt.h"
#include "machine/virt.h"

namespace armvisor::machine {
namespace {

FdtConfig config() {
  FdtConfig c;
  c.board = &k_virt;
  c.ram_size = u64{1} << 30;
  c.vcpus = 2;
  c.bootargs = "console=ttyAMA0";
  c.initrd_start = 0x48000000;
  c.initrd_end = 0x48001234;
  c.rng_seed[0] = 7;
  return c;
}

u32 cell(const void* fdt, const char* path, const char* name, int index) {
  int length = 0;
  const void* p = fdt_getprop(fdt, fdt_path_offset(fdt, path), name, &length);
  EXPECT_NE(p, nullptr) << path << " " << name;
  EXPECT_GE(length, (index + 1) * 4);
  return p ? fdt32_ld(static_cast<const fdt32_t*>(p) + index) : 0;
}

std::string text(const void* fdt, const char* path, const char* name) {
  int length = 0;
  const void* p = fdt_getprop(fdt, fdt_path_offset(fdt, path), name, &length);
  return p ? static_cast<const char*>(p) : "(none)";
}

TEST(Fdt, DescribesTheBoard) {
  auto made = make_fdt(config());
  ASSERT_TRUE(made);
  const void* fdt = made->data();
  ASSERT_EQ(fdt_check_full(fdt, made->size()), 0);
  EXPECT_EQ(cell(fdt, "/memory@40000000", "reg", 1), 0x40000000u);
  EXPECT_EQ(cell(fdt, "/memory@40000000", "reg", 3), 0x40000000u);
  EXPECT_EQ(text(fdt, "/cpus/cpu@1", "enable-method"), "psci");
  EXPECT_EQ(text(fdt, "/cpus/cpu@1", "compatible"), "arm,cortex-a15");
  EXPECT_LT(fdt_path_offset(fdt, "/cpus/cpu@2"), 0);
  EXPECT_EQ(text(fdt, "/psci", "method"), "hvc");
  EXPECT_EQ(cell(fdt, "/timer", "interrupts", 2), 0x304u);
  EXPECT_EQ(cell(fdt, "/virtio_mmio@a003e00", "interrupts", 1), 47u);
  EXPECT_EQ(cell(fdt, "/", "interrupt-parent", 0), fdt_get_phandle(fdt, fdt_path_offset(fdt, "/intc@8000000")));
  EXPECT_EQ(text(fdt, "/chosen", "stdout-path"), "/pl011@9000000");
  EXPECT_EQ(text(fdt, "/chosen", "bootargs"), "console=ttyAMA0");
  EXPECT_EQ(cell(fdt, "/chosen", "linux,initrd-start", 1), 0x48000000u);
  EXPECT_EQ(cell(fdt, "/chosen", "linux,initrd-end", 1), 0x48001234u);
  EXPECT_EQ(cell(fdt, "/chosen", "rng-seed", 0), 0x07000000u);
}

TEST(Fdt, OneVcpuNeedsNoEnableMethodAndNoInitrdLeavesNoTrace) {
  FdtConfig c = config();
  c.vcpus = 1;
  c.initrd_end = c.initrd_start;
  c.bootargs.reset();
  auto made = make_fdt(c);
  ASSERT_TRUE(made);
  EXPECT_EQ(text(made->data(), "/cpus/cpu@0", "enable-method"), "(none)");
  EXPECT_EQ(text(made->data(), "/chosen", "bootargs"), "(none)");
  EXPECT_EQ(text(made->data(), "/chosen", "linux,initrd-start"), "(none)");
}

TEST(Fdt, CompletesTheUsersTreeAndKeepsTheRest) {
  FdtConfig first = config();
  first.ram_size = u64{64} << 20;
  first.bootargs = "old";
  auto user = make_fdt(first);
  ASSERT_TRUE(user);
  FdtConfig second = config();
  second.bootargs.reset();
  auto completed = complete_fdt(*user, "user.dtb", second);
  ASSERT_TRUE(completed);
  const void* fdt = completed->data();
  EXPECT_EQ(cell(fdt, "/memory@40000000", "reg", 3), 0x40000000u);
  EXPECT_EQ(text(fdt, "/chosen", "bootargs"), "old") << "no command line was given";
  EXPECT_EQ(text(fdt, "/pl011@9000000", "compatible"), "arm,pl011");
}

TEST(Fdt, RefusesWhatIsNoTree) {
  auto made = make_fdt(config());
  ASSERT_TRUE(made);
  std::vector<u8> cut(made->begin(), made->begin() + 100);
  for (const std::vector<u8>& bad : {std::vector<u8>{}, std::vector<u8>(1000, 0), cut}) {
    const auto result = complete_fdt(bad, "user.dtb", config());
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::BadInput);
    EXPECT_NE(result.error().message.find("user.dtb"), std::string::npos);
  }
}

}  // namespace
}  // namespace armvisor::machine
