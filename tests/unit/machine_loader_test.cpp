#include <elf.h>
#include <gtest/gtest.h>
#include <libfdt.h>
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "machine/loader.h"

namespace armvisor::machine {
namespace {

constexpr u64 k_mib = u64{1} << 20;
constexpr GuestPa k_ram_base = k_virt.ram.base;
using Bytes = std::vector<u8>;

void put_le32(Bytes& b, std::size_t at, u32 v) {
  for (int i = 0; i < 4; ++i) b[at + static_cast<std::size_t>(i)] = static_cast<u8>(v >> 8 * i);
}
void put_be32(Bytes& b, std::size_t at, u32 v) {
  for (int i = 0; i < 4; ++i) b[at + static_cast<std::size_t>(i)] = static_cast<u8>(v >> (24 - 8 * i));
}

/// As other programs than Linux make them.
Bytes zimage(u32 header_size, std::size_t file_size) {
  Bytes b(file_size);
  put_le32(b, 0x24, 0x016f2818);
  put_le32(b, 0x2c, header_size);
  return b;
}

Bytes elf(u32 physical, u32 virtual_address, u32 entry, const Bytes& code, u32 memory_size, u16 machine = EM_ARM) {
  constexpr std::size_t k_headers = sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr);
  Bytes b(k_headers + code.size());
  Elf32_Ehdr h{};
  std::memcpy(h.e_ident, ELFMAG, SELFMAG);
  h.e_ident[EI_CLASS] = ELFCLASS32;
  h.e_ident[EI_DATA] = ELFDATA2LSB;
  h.e_type = ET_EXEC;
  h.e_machine = machine;
  h.e_entry = entry;
  h.e_phoff = sizeof h;
  h.e_phentsize = sizeof(Elf32_Phdr);
  h.e_phnum = 1;
  Elf32_Phdr p{};
  p.p_type = PT_LOAD;
  p.p_offset = k_headers;
  p.p_paddr = physical;
  p.p_vaddr = virtual_address;
  p.p_filesz = static_cast<u32>(code.size());
  p.p_memsz = memory_size;
  std::memcpy(b.data(), &h, sizeof h);
  std::memcpy(b.data() + sizeof h, &p, sizeof p);
  std::copy(code.begin(), code.end(), b.begin() + k_headers);
  return b;
}

Bytes uimage(const Bytes& data, u8 compression, u32 load, u32 entry) {
  Bytes b(64 + data.size());
  put_be32(b, 0, 0x27051956);
  put_be32(b, 12, static_cast<u32>(data.size()));
  put_be32(b, 16, load);
  put_be32(b, 20, entry);
  put_be32(b, 24, static_cast<u32>(crc32_z(0, data.data(), data.size())));
  b[28] = 5;  // Linux
  b[29] = 2;  // ARM
  b[30] = 2;  // kernel
  b[31] = compression;
  put_be32(b, 4, static_cast<u32>(crc32_z(0, b.data(), 64)));
  std::copy(data.begin(), data.end(), b.begin() + 64);
  return b;
}

Bytes gzip(const Bytes& data) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  Bytes out(data.size() + 1000);
  stream.next_in = const_cast<u8*>(data.data());
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class Loader : public testing::Test {
 protected:
  Loader() {
    char name[] = "/tmp/loader_test.XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~Loader() override { std::filesystem::remove_all(directory_); }
  std::string file(const std::string& name, const Bytes& content) {
    const std::string path = directory_ + "/" + name;
    FILE* f = fopen(path.c_str(), "wb");
    fwrite(content.data(), 1, content.size(), f);
    fclose(f);
    return path;
  }
  static void expect_bad(const Result<Image>& result, const std::string& part) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::BadInput);
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  }
  Result<Image> load(const std::string& argument, u64 ram = 64 * k_mib) {
    return load_image(ImageArgument::parse(argument), {k_ram_base, ram});
  }
  std::string directory_;
};

TEST_F(Loader, ParsesTheAddressOfARawImage) {
  EXPECT_EQ(ImageArgument::parse("a@0x40008000").address, 0x40008000u);
  EXPECT_EQ(ImageArgument::parse("a@0x40008000").path, "a");
  for (const char* plain : {"a", "a@b", "a@0x", "a@0xzz", "a@1000", "a@0x1ffffffff0"})
    EXPECT_EQ(ImageArgument::parse(plain).path, plain);
}

TEST_F(Loader, ZImageGoesAboveTheFirstPagesWithWhatIsAppended) {
  auto image = load(file("z", zimage(0x1000, 0x1200)));
  ASSERT_TRUE(image);
  EXPECT_EQ(image->entry, 0x40010000u);
  EXPECT_EQ(image->segments[0].bytes.size(), 0x1200u);
}

TEST_F(Loader, RefusesTruncatedAndTooLargeZImages) {
  for (const std::size_t mark : {0x30, 0x34}) {
    Bytes linux_image = zimage(0x1000, 0xfff);
    put_le32(linux_image, mark, mark == 0x30 ? 0x04030201 : 0x45454545);
    expect_bad(load(file("z", linux_image)), "truncated");
  }
  Bytes damaged = zimage(0x1000, 0x1000);
  put_le32(damaged, 0x28, 0x2000);
  expect_bad(load(file("z", damaged)), "damaged");
  expect_bad(load(file("z", zimage(0x1000, 33 * k_mib)), 32 * k_mib), "RAM");
}

TEST_F(Loader, AZImageOfOthersThanLinuxMayCountItsBss) {
  const auto image = load(file("z", zimage(0x10000, 0x1000)));
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->segments[0].bytes.size(), 0x1000u);
  EXPECT_EQ(image->segments[0].memory_size, 0x10000u);
  EXPECT_EQ(image->end.value, 0x40020000u) << "the tree keeps off the bss";
  expect_bad(load(file("z", zimage(33 * k_mib, 0x1000)), 32 * k_mib), "RAM");
}

TEST_F(Loader, ElfFilesSayForWhichCpuTheyAre) {
  const auto built_for = [](u8 arch, u8 profile) {
    // Tag_CPU_name "x", Tag_CPU_arch, Tag_CPU_arch_profile, Tag_ARM_ISA_use.
    Bytes section = {'A', 28, 0, 0, 0,   'a', 'e', 'a',  'b', 'i',     0, 1, 17,
                     0,   0,  0, 5, 'x', 0,   6,   arch, 7,   profile, 8, 1};
    Bytes b = elf(0x40100000, 0x40100000, 0x40100000, {1, 2, 3, 4}, 4);
    Elf32_Shdr s{};
    s.sh_type = 0x70000003;
    s.sh_offset = static_cast<u32>(b.size());
    s.sh_size = static_cast<u32>(section.size());
    b.insert(b.end(), section.begin(), section.end());
    Elf32_Ehdr h;
    std::memcpy(&h, b.data(), sizeof h);
    h.e_shoff = static_cast<u32>(b.size());
    h.e_shnum = 1;
    h.e_shentsize = sizeof s;
    std::memcpy(b.data(), &h, sizeof h);
    b.resize(b.size() + sizeof s);
    std::memcpy(b.data() + h.e_shoff, &s, sizeof s);
    return b;
  };
  EXPECT_EQ(newer_or_other_cpu(built_for(10, 'A')), "");
  EXPECT_EQ(newer_or_other_cpu(built_for(14, 'A')), "ARMv8-A");
  EXPECT_EQ(newer_or_other_cpu(built_for(22, 'A')), "ARMv9-A");
  EXPECT_EQ(newer_or_other_cpu(built_for(13, 'M')), "the M profile (Cortex-M)");
  EXPECT_EQ(newer_or_other_cpu(elf(0x40100000, 0, 0, {1}, 1)), "");
  EXPECT_TRUE(load(file("e", built_for(14, 'A')))) << "it may do without what is new";
  Bytes cut = built_for(14, 'A');
  for (std::size_t size = sizeof(Elf32_Ehdr); size < cut.size(); ++size)
    newer_or_other_cpu(Bytes(cut.begin(), cut.begin() + static_cast<std::ptrdiff_t>(size)));
}

TEST_F(Loader, OverlappingSegmentsAreNotReadOverAndOver) {
  constexpr u32 k_count = 200;
  Bytes b = elf(0x40100000, 0x40100000, 0x40100000, Bytes(k_mib), k_mib);
  Elf32_Ehdr h;
  std::memcpy(&h, b.data(), sizeof h);
  const Bytes segment(b.begin() + sizeof h, b.begin() + sizeof h + sizeof(Elf32_Phdr));
  h.e_phoff = static_cast<u32>(b.size());
  h.e_phnum = k_count;
  std::memcpy(b.data(), &h, sizeof h);
  for (u32 k = 0; k < k_count; ++k) b.insert(b.end(), segment.begin(), segment.end());
  expect_bad(load(file("e", b)), "RAM together");
}

TEST_F(Loader, ElfIsLoadedAtPhysicalAddressesAndEntryIsTranslated) {
  auto image = load(file("e", elf(0x40100000, 0x80000000, 0x80000005, {1, 2, 3}, 100)));
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->entry, 0x40100005u) << "bit 0 selects Thumb";
  EXPECT_EQ(image->segments[0].pa.value, 0x40100000u);
  EXPECT_EQ(image->segments[0].memory_size, 100u);
}

TEST_F(Loader, VmlinuxIsMovedToRamBase) {
  auto image = load(file("e", elf(0xc0208000, 0xc0208000, 0xc0208000, {1, 2, 3}, 100)));
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->segments[0].pa.value, 0x40208000u);
  EXPECT_EQ(image->entry, 0x40208000u);
}

TEST_F(Loader, PlacesKernelsAsQemuDoesWhereItIsAskedTo) {
  BootConfig config;
  config.kernel = file("raw@0x40000000", Bytes(100, 1));
  EXPECT_FALSE(plan_boot(config)) << "a name of another file and an address";
  config.qemu_kernels = true;
  const auto raw = plan_boot(config);
  ASSERT_TRUE(raw) << raw.error().message;
  EXPECT_EQ(raw->segments[0].pa.value, k_ram_base.value + 0x10000);
  EXPECT_EQ(raw->entry, 0x40010000u);
  EXPECT_GT(raw->fdt_address, 0x40010000u) << "the start of RAM is not free";

  config.kernel = file("elf", elf(0x40100000, 0x40100000, 0x40100000, {1, 2, 3}, 100));
  config.initrd = file("initrd", Bytes(100, 2));
  const auto above = plan_boot(config);
  ASSERT_TRUE(above) << above.error().message;
  EXPECT_EQ(above->fdt_address, k_ram_base.value) << "1 MiB below the program is free";
  EXPECT_TRUE(raw->kernel_protocol);
  EXPECT_FALSE(above->kernel_protocol) << "an ELF file starts with zeros in its registers";
  EXPECT_EQ(above->segments.back().bytes, Bytes(100, 2));
  EXPECT_GT(above->segments.back().pa.value, 0x40100000u);
  config.kernel = file("low", elf(0x400ff000, 0x400ff000, 0x400ff000, {1, 2, 3}, 100));
  EXPECT_GT(plan_boot(config)->fdt_address, 0x400ff000u);
  config.kernel = file("elf2", elf(0x40100000, 0x40100000, 0x40100000, {1}, 511 * k_mib));
  EXPECT_FALSE(plan_boot(config)) << "no room for the initrd";
  config.initrd.clear();
  EXPECT_TRUE(plan_boot(config));
}

TEST_F(Loader, RefusesOtherElfFiles) {
  expect_bad(load(file("e", elf(0x40000000, 0, 0, {1}, 1, EM_386))), "x86");
  expect_bad(load(file("e", elf(0x1000, 0x1000, 0x1000, {1}, 1))), "RAM");
  Bytes cut = elf(0x40000000, 0x40000000, 0x40000000, {1, 2, 3, 4}, 4);
  cut.resize(cut.size() - 2);
  expect_bad(load(file("e", cut)), "truncated");
}

TEST_F(Loader, UImagePlainAndCompressed) {
  const Bytes code(5000, 0x5a);
  for (const bool compressed : {false, true}) {
    auto image = load(file("u", uimage(compressed ? gzip(code) : code, compressed, 0x40008000, 0x40008040)));
    ASSERT_TRUE(image) << image.error().message;
    EXPECT_EQ(image->segments[0].pa.value, 0x40008000u);
    EXPECT_EQ(image->segments[0].bytes, code);
    EXPECT_EQ(image->entry, 0x40008040u);
  }
}

TEST_F(Loader, ZImageInUImageGoesWhereAZImageGoes) {
  auto image = load(file("u", uimage(zimage(0x1000, 0x1000), 0, 0x80008000, 0x80008000)));
  ASSERT_TRUE(image);
  EXPECT_EQ(image->entry, 0x40010000u);
}

TEST_F(Loader, RefusesDamagedUImages) {
  const Bytes good = uimage(Bytes(100, 1), 0, 0x40008000, 0x40008000);
  Bytes header = good, data = good, cut = good;
  header[20] ^= 1;
  data.back() ^= 1;
  cut.resize(100);
  expect_bad(load(file("u", header)), "checksum");
  expect_bad(load(file("u", data)), "checksum");
  expect_bad(load(file("u", cut)), "truncated");
  expect_bad(load(file("u", uimage(Bytes(100, 1), 2, 0x40008000, 0x40008000))), "compression");
  expect_bad(load(file("u", uimage(Bytes(100, 1), 1, 0x40008000, 0x40008000))), "gzip");
}

TEST_F(Loader, PlanPlacesTreeAndInitrdClearOfTheKernelInAnyRam) {
  const std::string kernel = file("z", zimage(6 * k_mib, 6 * k_mib)), initrd = file("i", Bytes(3 * k_mib, 7));
  for (const u64 mib : {32, 64, 512, 3072}) {
    BootConfig c;
    c.kernel = kernel;
    c.initrd = initrd;
    c.ram_size = mib * k_mib;
    const auto plan = plan_boot(c);
    ASSERT_TRUE(plan) << plan.error().message;
    u64 end = k_ram_base.value;
    for (const Segment& s : plan->segments) {
      EXPECT_GE(s.pa.value, end);
      end = s.pa.value + s.memory_size;
    }
    EXPECT_LE(end, k_ram_base.value + c.ram_size);
    arm::CpuState s;
    start_state(*plan, s);
    EXPECT_EQ(s.r[0], 0u);
    EXPECT_EQ(s.r[1], ~0u);
    EXPECT_EQ(s.r[2], plan->fdt_address);
    EXPECT_EQ(s.r[15], 0x40010000u);
  }
}

TEST_F(Loader, PlanRefusesWhatTheBoardCannotDo) {
  const std::string kernel = file("z", zimage(0x1000, 0x1000));
  BootConfig c;
  EXPECT_EQ(plan_boot(c).error().kind, ErrorKind::BadArguments);
  c.kernel = kernel;
  c.ram_size = 32 * 1024 * k_mib;
  EXPECT_EQ(plan_boot(c).error().kind, ErrorKind::BadArguments);
  c.ram_size = 64 * k_mib + 1;
  EXPECT_EQ(plan_boot(c).error().kind, ErrorKind::BadArguments);
  c.ram_size = 64 * k_mib;
  c.vcpus = 9;
  EXPECT_EQ(plan_boot(c).error().kind, ErrorKind::BadArguments);
}

TEST_F(Loader, WhatIsBootedIsBelow4GibWhateverTheRam) {
  BootConfig c;
  c.kernel = file("z", zimage(0x1000, 0x1000));
  c.initrd = file("i", Bytes(5000, 'i'));
  c.ram_size = 8192 * k_mib;
  const auto plan = plan_boot(c);
  ASSERT_TRUE(plan) << plan.error().message;
  for (const Segment& s : plan->segments) EXPECT_LE(s.pa.value + s.size(), u64{1} << 32);
  c.kernel += "@0x100000000";
  EXPECT_EQ(plan_boot(c).error().kind, ErrorKind::BadInput);
  c.kernel.clear();
  c.initrd.clear();
  c.empty_flash = true;
  c.loaded = {{.path = {}, .address = 0x1'0000'0000, .data = Bytes(8, 1)}};
  ASSERT_TRUE(plan_boot(c));
  EXPECT_EQ(plan_boot(c)->segments.back().pa.value, 0x1'0000'0000u);
  c.loaded[0].vcpu = 0;
  EXPECT_EQ(plan_boot(c).error().kind, ErrorKind::BadInput) << "a CPU cannot start there";
}

/// What a guest reads of an item.
std::string item(const BootPlan& plan, devices::FwCfgKey key) {
  const auto bytes = plan.items->find(static_cast<u16>(key));
  return {bytes.begin(), bytes.end()};
}

TEST_F(Loader, FirmwareIsGivenAKernelInFwCfg) {
  using enum devices::FwCfgKey;
  BootConfig c;
  c.firmware = file("f", Bytes(100, 1));
  c.kernel = file("k", Bytes(5, 'k'));  // of no known format
  EXPECT_EQ(plan_boot(c).error().kind, ErrorKind::Internal) << "which of them starts";
  c.kernel_for_firmware = true;
  c.initrd = file("i", Bytes(300, 'i'));
  c.append = "console=ttyAMA0";
  c.vcpus = 3;
  const auto plan = plan_boot(c);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->entry, 0u);
  EXPECT_FALSE(plan->kernel_protocol);
  EXPECT_EQ(plan->segments.size(), 1u) << "the device tree alone";
  EXPECT_NE(std::string(plan->fdt.begin(), plan->fdt.end()).find("console=ttyAMA0"), std::string::npos);
  EXPECT_EQ(item(*plan, KernelSize), std::string("\5\0\0\0", 4));
  EXPECT_EQ(item(*plan, KernelData), "kkkkk");
  EXPECT_EQ(item(*plan, InitrdSize), std::string("\x2c\1\0\0", 4));
  EXPECT_EQ(item(*plan, InitrdData), std::string(300, 'i'));
  EXPECT_EQ(item(*plan, CommandLineSize), std::string("\x10\0\0\0", 4));
  EXPECT_EQ(item(*plan, CommandLineData), std::string("console=ttyAMA0\0", 16));
  EXPECT_EQ(item(*plan, CpuCount), std::string("\3\0", 2));
  EXPECT_EQ(item(*plan, NoGraphic), std::string("\1\0", 2));

  c.initrd.clear();
  c.append.reset();
  const auto bare = plan_boot(c);
  ASSERT_TRUE(bare);
  EXPECT_EQ(item(*bare, InitrdSize), "");
  EXPECT_EQ(item(*bare, CommandLineData), std::string(1, 0));
  c.flash.resize(1);
  std::swap(c.flash[0].path, c.firmware);
  const auto flash = plan_boot(c);
  ASSERT_TRUE(flash) << flash.error().message;
  EXPECT_EQ(item(*flash, KernelData), "kkkkk");
  EXPECT_FALSE(flash->kernel_protocol);
  c.kernel += "@0x40008000";
  EXPECT_EQ(plan_boot(c).error().kind, ErrorKind::BadArguments) << "firmware places it";
}

TEST_F(Loader, TheTreeNamesTheModelOfTheCpus) {
  BootConfig c;
  c.kernel = file("z", zimage(0x1000, 0x1000));
  const auto compatible = [&c] {
    const auto plan = plan_boot(c);
    EXPECT_TRUE(plan);
    const void* const fdt = plan->fdt.data();
    return std::string(
        static_cast<const char*>(fdt_getprop(fdt, fdt_path_offset(fdt, "/cpus/cpu@0"), "compatible", nullptr)));
  };
  EXPECT_EQ(compatible(), "arm,cortex-a15");
  c.cpu = arm::CpuModel::CortexA7;
  EXPECT_EQ(compatible(), "arm,cortex-a7");
  c.cpu = arm::CpuModel::Max;
  EXPECT_EQ(compatible(), "arm,cortex-a57") << "as QEMU says of its own";
}

TEST_F(Loader, FlashIsBlankButWhereAKernelWouldCrashUnseen) {
  BootConfig c;
  c.kernel = "z";
  EXPECT_EQ(c.first_blank_bank(), FlashBanks::k_all_erased);
  c.blank_flash = true;
  EXPECT_EQ(c.first_blank_bank(), 1u);
  c.kernel_for_firmware = true;
  EXPECT_EQ(c.first_blank_bank(), 0u);
  c.kernel.clear();
  EXPECT_EQ(c.first_blank_bank(), 0u);
}

TEST_F(Loader, AKernelThatStartsItselfIsNotInFwCfg) {
  BootConfig c;
  c.kernel = file("z", zimage(0x1000, 0x1000));
  const auto plan = plan_boot(c);
  ASSERT_TRUE(plan);
  EXPECT_EQ(item(*plan, devices::FwCfgKey::KernelSize), "");
  EXPECT_EQ(item(*plan, devices::FwCfgKey::Signature), "QEMU");
}

TEST_F(Loader, FilesOfFwCfg) {
  BootConfig c;
  c.kernel = file("z", zimage(0x1000, 0x1000));
  c.ram_size = 32 * k_mib;
  const auto refused = [&](FirmwareOptions::File added) {
    BootConfig with = c;
    with.items.files.push_back(std::move(added));
    const auto plan = plan_boot(with);
    return plan ? ErrorKind::Internal : plan.error().kind;
  };
  c.items.files = {{"opt/text", "", "as it is"}, {"opt/file", file("f", Bytes(3, 'f'))}, {"opt/empty", file("e", {})}};
  const auto plan = plan_boot(c);
  ASSERT_TRUE(plan) << plan.error().message;
  // Behind those of the board: bios-geometry, bootorder, etc/boot-fail-wait.
  EXPECT_EQ(item(*plan, devices::FwCfgKey{0x22}), "\xff\xff\xff\xff");
  EXPECT_EQ(item(*plan, devices::FwCfgKey{0x23}), "");
  EXPECT_EQ(item(*plan, devices::FwCfgKey{0x24}), "fff");
  EXPECT_EQ(item(*plan, devices::FwCfgKey{0x25}), "as it is");
  EXPECT_EQ(input_files(c).size(), 3u);
  EXPECT_EQ(refused({"", "", "x"}), ErrorKind::BadArguments);
  EXPECT_EQ(refused({std::string(56, 'n'), "", "x"}), ErrorKind::BadArguments);
  EXPECT_EQ(refused({"opt/text", "", "x"}), ErrorKind::BadArguments) << "there is one";
  EXPECT_EQ(refused({"bootorder", "", "x"}), ErrorKind::BadArguments) << "it is the board's";
  EXPECT_EQ(refused({"opt/x", "/nowhere"}), ErrorKind::BadInput);
  EXPECT_EQ(refused({"opt/x", "/dev/zero"}), ErrorKind::BadInput) << "more than RAM";
  c.items.files.push_back({std::string(55, 'n'), "", "x"});
  EXPECT_TRUE(plan_boot(c));
  while (c.items.files.size() < devices::FwCfgItems::k_most_files - 3)
    c.items.files.push_back({"opt/" + std::to_string(c.items.files.size()), "", "x"});
  EXPECT_TRUE(plan_boot(c));
  EXPECT_EQ(refused({"opt/more", "", "x"}), ErrorKind::BadArguments);
}

TEST_F(Loader, FirmwareStartsAtZeroWithTheTreeAtRamBase) {
  BootConfig c;
  c.firmware = file("f", Bytes(100, 1));
  const auto plan = plan_boot(c);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->entry, 0u);
  EXPECT_EQ(plan->fdt_address, 0x40000000u);
  arm::CpuState s;
  start_state(*plan, s);
  EXPECT_EQ(s.r[2], 0u);
}

const Segment* segment_at(const BootPlan& plan, u64 address) {
  const auto at = std::ranges::find(plan.segments, GuestPa(address), &Segment::pa);
  return at == plan.segments.end() ? nullptr : &*at;
}

TEST_F(Loader, FilesBesideTheKernelGoWhereTheySay) {
  BootConfig c;
  c.kernel = file("k", zimage(0x1000, 0x1000));
  const Bytes code = {1, 2, 3, 4};
  const std::string executable = file("e", elf(0x5000'0000, 0x8000'0000, 0x8000'0002, code, 8));
  c.loaded = {{.path = executable}, {.path = file("b", code), .address = 0x5100'0000}};
  c.loaded.push_back({.path = executable, .raw = true, .address = 0x5200'0000});
  c.loaded.push_back({.path = {}, .address = 0x5300'0001, .data = {9, 8}, .vcpu = 1});
  auto plan = plan_boot(c);
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_TRUE(segment_at(*plan, 0x5000'0000));
  EXPECT_EQ(segment_at(*plan, 0x5000'0000)->bytes, code);
  EXPECT_EQ(segment_at(*plan, 0x5000'0000)->memory_size, 8u);
  EXPECT_EQ(segment_at(*plan, 0x5100'0000)->bytes, code);
  EXPECT_EQ(segment_at(*plan, 0x5200'0000)->bytes[0], 0x7f);
  EXPECT_EQ(segment_at(*plan, 0x5300'0001)->bytes, (Bytes{9, 8}));
  EXPECT_TRUE(plan->kernel_protocol) << "the kernel is started";
  EXPECT_EQ(input_files(c).size(), 4u);
  c.loaded[0].vcpu = 0;
  plan = plan_boot(c);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->entry, 0x5000'0002u) << "a virtual address, of which the segment says where it is";
  EXPECT_FALSE(plan->kernel_protocol);
}

TEST_F(Loader, FilesBesideTheKernelThatHaveNoPlaceAreRefused) {
  BootConfig c;
  c.kernel = file("k", zimage(0x1000, 0x1000));
  const std::string bytes = file("b", Bytes(0x1000, 7));
  const auto refusal = [&](LoadedFile loaded) {
    c.loaded = {std::move(loaded)};
    const auto plan = plan_boot(c);
    return plan ? "" : plan.error().message;
  };
  EXPECT_EQ(refusal({.path = bytes, .address = 0x5fff'f000}), "");
  for (const u64 address : {u64{0}, u64{0x3fff'ffff}, u64{0x5fff'f001}, ~u64{0}, u64{1} << 32})
    EXPECT_NE(refusal({.path = bytes, .address = address}).find("expected a place in RAM"), std::string::npos);
  EXPECT_NE(refusal({.path = bytes, .address = 0x4001'0fff}).find("something else"), std::string::npos) << "the kernel";
  EXPECT_NE(refusal({.path = file("h", {':', '1', '0', '0', '0', '0', '0', '0', '0', '\n'}), .address = 0x5000'0000})
                .find("Intel HEX"),
            std::string::npos);
  EXPECT_NE(refusal({.path = directory_ + "/none", .address = 0x5000'0000}), "");
  EXPECT_NE(refusal({.path = file("x", elf(0x5000'0000, 0, 0, {1}, 1, EM_386))}), "") << "for another CPU";
  EXPECT_NE(refusal({.path = file("empty", {}), .address = 0x5000'0000}), "");
}

TEST_F(Loader, FilesOfFlashAreStartedLikeFirmware) {
  BootConfig c;
  c.flash.resize(2);
  c.flash[1].path = file("vars", Bytes(100, 1));
  EXPECT_EQ(plan_boot(c).error().kind, ErrorKind::BadArguments) << "nothing to start";
  c.flash[0].path = file("f", Bytes(100, 1));
  const auto plan = plan_boot(c);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->entry, 0u);
  EXPECT_EQ(plan->fdt_address, 0x40000000u);
  EXPECT_EQ(input_files(c).size(), 2u);
  c.firmware = c.flash[0].path;
  EXPECT_EQ(plan_boot(c).error().kind, ErrorKind::BadArguments) << "two for one bank";
  c.flash[0].path.clear();
  EXPECT_TRUE(plan_boot(c));
  c.firmware.clear();
  c.kernel = file("z", zimage(0x1000, 0x1000));
  c.flash[0].path = file("f", Bytes(100, 1));
  const auto kernel = plan_boot(c);
  ASSERT_TRUE(kernel) << kernel.error().message;
  EXPECT_TRUE(kernel->kernel_protocol) << "flash is there for it to use";
  c.flash.emplace_back();
  EXPECT_EQ(plan_boot(c).error().kind, ErrorKind::BadArguments) << "a third bank";
}

/// The tree as it lies in RAM after the plan was applied, and its room there.
struct PlacedTree {
  GuestRam ram;
  void* fdt;
  u32 room;
};

Result<PlacedTree> place_tree(const BootConfig& config) {
  AV_TRY_ASSIGN(const BootPlan plan, plan_boot(config));
  AV_TRY_ASSIGN(GuestRam ram, GuestRam::create(k_ram_base, config.ram_size));
  EXPECT_TRUE(apply(plan, ram));
  void* fdt = ram.host(GuestPa(plan.fdt_address));
  const auto s =
      std::ranges::find_if(plan.segments, [&](const Segment& seg) { return seg.pa.value == plan.fdt_address; });
  EXPECT_NE(s, plan.segments.end());
  return PlacedTree{std::move(ram), fdt, static_cast<u32>(s->memory_size)};
}

TEST_F(Loader, FirmwareAndKernelsMayAddToTheTreeWhereItLies) {
  BootConfig firmware, kernel;
  firmware.firmware = file("f", Bytes(100, 1));
  kernel.kernel = file("z", zimage(6 * k_mib, 6 * k_mib));
  kernel.initrd = file("i", Bytes(3 * k_mib, 7));
  kernel.ram_size = firmware.ram_size = 32 * k_mib;
  for (BootConfig config : {firmware, kernel}) {
    for (const bool own : {false, true}) {
      for (const u32 vcpus : {1u, 8u}) {
        config.vcpus = vcpus;
        config.dtb.clear();
        const auto packed = plan_boot(config);
        ASSERT_TRUE(packed);
        if (own) config.dtb = file("dtb", packed->fdt);
        auto placed = place_tree(config);
        ASSERT_TRUE(placed) << placed.error().message;
        EXPECT_EQ(fdt_totalsize(placed->fdt), k_mib);
        EXPECT_EQ(placed->room, k_mib) << "which no other segment uses";
        EXPECT_EQ(fdt_totalsize(packed->fdt.data()), packed->fdt.size()) << "what is dumped has no free space";
        const Bytes more(k_mib / 2, 5);
        EXPECT_EQ(fdt_setprop(placed->fdt, fdt_path_offset(placed->fdt, "/chosen"), "more", more.data(),
                              static_cast<int>(more.size())),
                  0);
        EXPECT_EQ(fdt_add_mem_rsv(placed->fdt, 0x41000000, 0x1000), 0);
        EXPECT_EQ(fdt_check_full(placed->fdt, placed->room), 0);
      }
    }
  }
}

TEST_F(Loader, TreesOfAnySizeUpToTheLimitHaveRoom) {
  BootConfig config;
  config.firmware = file("f", Bytes(100, 1));
  config.ram_size = 32 * k_mib;
  const auto small = plan_boot(config);
  ASSERT_TRUE(small);
  const auto with_tree_of = [&](u64 size) {
    Bytes blob(size);
    EXPECT_EQ(fdt_open_into(small->fdt.data(), blob.data(), static_cast<int>(size)), 0);
    const Bytes filling(size - small->fdt.size() - 100, 5);
    EXPECT_EQ(fdt_setprop(blob.data(), 0, "filling", filling.data(), static_cast<int>(filling.size())), 0);
    EXPECT_EQ(fdt_pack(blob.data()), 0);
    config.dtb = file("dtb", blob);
  };
  with_tree_of(k_mib);
  auto placed = place_tree(config);
  ASSERT_TRUE(placed) << placed.error().message;
  EXPECT_GE(fdt_totalsize(placed->fdt), k_mib + (60 << 10));
  EXPECT_EQ(fdt_totalsize(placed->fdt), placed->room);
  with_tree_of(2 * k_mib - 4096);
  placed = place_tree(config);
  ASSERT_TRUE(placed) << placed.error().message;
  EXPECT_EQ(fdt_totalsize(placed->fdt), 2 * k_mib);
  with_tree_of(40 * k_mib);
  const auto refused = plan_boot(config);
  ASSERT_FALSE(refused) << "more than RAM";
  EXPECT_EQ(refused.error().kind, ErrorKind::BadInput);
}

TEST_F(Loader, ApplyZeroesWhatFollowsTheFile) {
  auto ram = GuestRam::create(k_ram_base, 32 * k_mib);
  ASSERT_TRUE(ram);
  std::memset(ram->host(GuestPa(0x40100000)), 0xff, 200);
  BootPlan plan;
  plan.segments.push_back({GuestPa(0x40100000), {1, 2, 3}, 100});
  ASSERT_TRUE(apply(plan, *ram));
  const u8* p = ram->host(GuestPa(0x40100000));
  EXPECT_EQ(p[2], 3);
  EXPECT_EQ(p[3], 0);
  EXPECT_EQ(p[99], 0);
  EXPECT_EQ(p[100], 0xff);
  plan.segments[0].pa = GuestPa(0x1000);
  EXPECT_FALSE(apply(plan, *ram));
}

}  // namespace
}  // namespace armvisor::machine
