// ELF executables: Linux's vmlinux and bare-metal programs (System V ABI, ELF32; ARM IHI 0044).
#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "base/bits.h"
#include "base/log.h"
#include "machine/image.h"

namespace armvisor::machine {
namespace {

Error bad(const std::string& path, const std::string& expected_found) {
  return Error{ErrorKind::BadInput, "kernel " + path + ": " + expected_found};
}

std::string_view machine_name(u32 machine) {
  switch (machine) {
    case EM_386: return "32-bit x86";
    case EM_X86_64: return "x86-64";
    case EM_AARCH64: return "64-bit ARM";
    case EM_RISCV: return "RISC-V";
    case EM_MIPS: return "MIPS";
    case EM_PPC: return "PowerPC";
    case EM_PPC64: return "64-bit PowerPC";
    default: return "another CPU";
  }
}

Status check_header(const std::string& path, const std::vector<u8>& f, const Elf32_Ehdr& h) {
  const bool little32bit = f[EI_CLASS] == ELFCLASS32 && f[EI_DATA] == ELFDATA2LSB;
  const u32 machine = f[EI_DATA] == ELFDATA2MSB ? u32(f[18]) << 8 | f[19] : little16(f, 18);
  if (machine != EM_ARM)
    return bad(path, fmt::format("expected an ELF file for 32-bit ARM, found one for {}; build it for ARMv7",
                                 machine_name(machine)));
  if (!little32bit)
    return bad(path, "expected a little-endian 32-bit ELF file, found another class; build it for ARMv7");
  if (h.e_type != ET_EXEC && h.e_type != ET_DYN)
    return bad(path, "expected an executable ELF file, found an object file; link it");
  if (h.e_phentsize != sizeof(Elf32_Phdr) || h.e_phnum == 0 ||
      u64(h.e_phoff) + u64(h.e_phnum) * sizeof(Elf32_Phdr) > f.size())
    return bad(path, "expected program headers inside the file, found none; the file is truncated, copy it again");
  return {};
}

/// How far virtual addresses lie above physical ones in a vmlinux, whose program headers name virtual addresses only:
/// they begin in the first 256 MiB above PAGE_OFFSET. 0 when the segments fit RAM as they are.
u64 vmlinux_shift(const std::vector<Elf32_Phdr>& loads, GuestPa ram_base, u64 ram_size) {
  u64 lowest = ~u64{0};
  bool fits = true;
  for (const Elf32_Phdr& p : loads) {
    lowest = std::min<u64>(lowest, p.p_paddr);
    fits = fits && p.p_paddr >= ram_base.value && u64(p.p_paddr) + p.p_memsz <= ram_base.value + ram_size;
  }
  if (fits || lowest < 0x8000'0000) return 0;
  return align_down<u64>(lowest, 0x1000'0000) - ram_base.value;
}

constexpr u32 k_attributes_section = 0x7000'0003;  ///< SHT_ARM_ATTRIBUTES

/// The build attributes of the whole file: pairs of tag and value. Ends where they are not understood.
class Attributes {
 public:
  explicit Attributes(std::span<const u8> section) {
    constexpr std::string_view k_vendor("aeabi", 6);  // with its end
    constexpr std::size_t k_header = 1 + 4 + k_vendor.size() + 1 + 4;
    if (section.size() < k_header || section[0] != 'A' || section[k_header - 5] != 1) return;
    if (std::memcmp(section.data() + 5, k_vendor.data(), k_vendor.size()) == 0) left_ = section.subspan(k_header);
  }
  /// The value of a tag that holds a number, 0 if there is none.
  u32 number(u32 wanted) {
    for (auto rest = left_; !rest.empty();) {
      const u32 tag = uleb(rest);
      const bool text = tag == 4 || tag == 5 || (tag > 32 && tag % 2 != 0);
      const u32 value = text ? 0 : uleb(rest);
      if (tag == wanted) return value;
      if (text || tag == 32) skip_text(rest);
    }
    return 0;
  }

 private:
  static u32 uleb(std::span<const u8>& rest) {
    u32 value = 0;
    for (u32 shift = 0; !rest.empty() && shift < 28; shift += 7) {
      const u8 byte = rest[0];
      rest = rest.subspan(1);
      value |= u32(byte & 0x7f) << shift;
      if (!(byte & 0x80)) break;
    }
    return value;
  }
  static void skip_text(std::span<const u8>& rest) {
    while (!rest.empty() && rest[0] != 0) rest = rest.subspan(1);
    if (!rest.empty()) rest = rest.subspan(1);
  }
  std::span<const u8> left_;
};

std::span<const u8> attributes_section(const std::vector<u8>& file) {
  Elf32_Ehdr h;
  std::memcpy(&h, file.data(), sizeof h);
  if (h.e_shentsize != sizeof(Elf32_Shdr) || u64(h.e_shoff) + u64(h.e_shnum) * sizeof(Elf32_Shdr) > file.size())
    return {};
  for (u32 k = 0; k < h.e_shnum; ++k) {
    Elf32_Shdr s;
    std::memcpy(&s, file.data() + h.e_shoff + k * sizeof s, sizeof s);
    if (s.sh_type == k_attributes_section && u64(s.sh_offset) + s.sh_size <= file.size())
      return std::span(file).subspan(s.sh_offset, s.sh_size);
  }
  return {};
}

}  // namespace

std::string_view newer_or_other_cpu(const std::vector<u8>& file) {
  constexpr u32 k_tag_arch = 6, k_tag_profile = 7;
  Attributes attributes(attributes_section(file));
  if (attributes.number(k_tag_profile) == 'M') return "the M profile (Cortex-M)";
  switch (attributes.number(k_tag_arch)) {
    case 14: return "ARMv8-A";
    case 15: return "ARMv8-R";
    case 22: return "ARMv9-A";
    default: return {};
  }
}

bool is_elf(const std::vector<u8>& file) {
  return file.size() >= sizeof(Elf32_Ehdr) && std::memcmp(file.data(), ELFMAG, SELFMAG) == 0;
}

Result<Image> load_elf(const std::string& path, const std::vector<u8>& file, const ImageRoom& room) {
  Elf32_Ehdr header;
  std::memcpy(&header, file.data(), sizeof header);
  AV_TRY(check_header(path, file, header));
  if (const std::string_view cpu = newer_or_other_cpu(file); !cpu.empty())
    AV_LOG(Warn,
           "kernel %s was built for %s, its attributes say; this machine's CPU is ARMv7-A without "
           "Virtualization Extensions, where what that has more is undefined",
           path.c_str(), std::string(cpu).c_str());
  std::vector<Elf32_Phdr> loads;
  u64 loaded = 0;  ///< bytes of the file; they may overlap there, but not in RAM
  for (u32 i = 0; i < header.e_phnum; ++i) {
    Elf32_Phdr p;
    std::memcpy(&p, file.data() + header.e_phoff + i * sizeof p, sizeof p);
    if (p.p_type != PT_LOAD || p.p_memsz == 0) continue;
    if (u64(p.p_offset) + p.p_filesz > file.size() || p.p_filesz > p.p_memsz)
      return bad(
          path,
          fmt::format("expected a segment of {} bytes at offset {}, the file has {}; it is truncated, copy it again",
                      p.p_filesz, p.p_offset, file.size()));
    loads.push_back(p);
    loaded += p.p_filesz;
  }
  if (loaded > room.ram_size)
    return bad(
        path,
        fmt::format("expected segments that fit the machine's RAM together, found {} bytes; give it more with --memory",
                    loaded));
  if (loads.empty()) return bad(path, "expected segments to load, found none; link it as an executable");

  const u64 shift = vmlinux_shift(loads, room.ram_base, room.ram_size);
  Image image;
  image.entry = header.e_entry;
  for (const Elf32_Phdr& p : loads) {
    const auto first = file.begin() + static_cast<std::ptrdiff_t>(p.p_offset);
    const GuestPa pa(p.p_paddr - shift);
    image.segments.push_back({pa, {first, first + static_cast<std::ptrdiff_t>(p.p_filesz)}, p.p_memsz});
    image.end = std::max(image.end, pa + p.p_memsz);
    // The entry point is a virtual address; we start with the MMU off.
    if (header.e_entry - p.p_vaddr < p.p_memsz) image.entry = header.e_entry - p.p_vaddr + static_cast<u32>(pa.value);
  }
  return image;
}

}  // namespace armvisor::machine
