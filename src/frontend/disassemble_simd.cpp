#include "frontend/disassemble_simd.h"

#include <fmt/core.h>

#include <bit>

#include "base/bits.h"

namespace armvisor::frontend {
namespace {

std::string number(u32 v) { return std::to_string(v); }
std::string hash(u32 v) { return fmt::format("#{}", v); }
std::string d_register(u32 n) { return fmt::format("d{}", n); }
/// A scalar: an element of a D register.
std::string element(u32 d, u32 index) { return fmt::format("d{}[{}]", d, index); }

std::string core_register(u32 n) {
  static constexpr const char* k_names[] = {"r0", "r1", "r2",  "r3",  "r4", "r5", "r6", "r7",
                                            "r8", "r9", "r10", "r11", "ip", "sp", "lr", "pc"};
  return k_names[n & 15];
}

std::string hex64(u64 v) { return fmt::format("#{:#x}", v); }

std::string vfp_register(const Inst& i, char high, char low) {
  return i('z') ? d_register(i(high) << 4 | i(low)) : fmt::format("s{}", i(low) << 1 | i(high));
}

/// The eight bits of a floating-point immediate: (-1)^s * (16 + fraction) / 16 * 2^e.
std::string float_immediate(u32 imm8) {
  const u32 e = (imm8 >> 4) & 7;
  double v = (16 + (imm8 & 15)) / 16.0;
  for (u32 k = e & 4 ? 7 - e : 0; k > 0; --k) v /= 2;  // exponents -3..0
  for (u32 k = e & 4 ? 0 : e + 1; k > 0; --k) v *= 2;  // and 1..4
  return fmt::format("#{:e}", imm8 & 0x80 ? -v : v);
}

std::string modified_immediate(const Inst& i) {
  const u32 imm8 = i('i') << 7 | i('j'), cmode = (i.raw >> 8) & 15, op = (i.raw >> 5) & 1;
  if (cmode == 15) return float_immediate(imm8);
  if (cmode == 14 && op == 0) return hex64(imm8);
  if (cmode == 14) {
    u64 v = 0;
    for (u32 k = 0; k < 8; ++k)
      if ((imm8 >> k) & 1) v |= u64{0xff} << (8 * k);
    return hex64(v);
  }
  if (cmode >= 12) return hex64(i('k') ? imm8 << 16 | 0xffff : imm8 << 8 | 0xff);
  return hex64(u64{imm8} << (8 * i('k')));
}

// L:imm6 of the shifts by immediate.
u32 element_bits(const Inst& i) { return i('L') ? 64 : std::bit_floor(i('i') | 7) & ~7u; }
u32 right_shift(const Inst& i) { return (i('L') ? 64 : 2 * element_bits(i)) - i('i'); }
u32 left_shift(const Inst& i) { return i('L') ? i('i') : i('i') - element_bits(i); }

std::string scalar(const Inst& i) {
  const u32 m = i('m'), high = i('M');
  return i('z') == 1 ? element(m & 7, high << 1 | m >> 3) : element(m, high);
}

std::string dup_lane(const Inst& i) {
  const u32 imm4 = i('i'), size = static_cast<u32>(std::countr_zero(imm4 | 8)), d = i('D') << 4 | i('d');
  return fmt::format("{} {}{}, {}", 8u << size, i('Q') ? 'q' : 'd', i('Q') ? d / 2 : d,
                     element(i('M') << 4 | i('m'), imm4 >> (size + 1)));
}

/// {d0, d2}: `count` registers from `first`, `step` apart, each followed by `lane`. Lists that pass the last register
/// are UNPREDICTABLE and are cut there.
std::string register_list(char kind, u32 first, u32 count, u32 step, const std::string& lane = {}) {
  std::string text("{");
  for (u32 k = 0; k < count && first + k * step < 32; ++k)
    text += fmt::format("{}{}{}{}", k ? ", " : "", kind, first + k * step, lane);
  return text += "}";
}

std::string vfp_list(const Inst& i) {
  if (i('z')) return register_list('d', i('D') << 4 | i('d'), i('i') / 2, 1);
  return register_list('s', i('d') << 1 | i('D'), i('i'), 1);
}

std::string vfp_address(const Inst& i) {
  if (i('i') == 0 && i('U')) return fmt::format("[{}]", core_register(i('n')));
  return fmt::format("[{}, #{}{}]", core_register(i('n')), i('U') ? "" : "-", i('i') * 4);
}

// Element and structure loads and stores. The registers that one carries follow from bits 11:8.
std::string structure_list(const Inst& i) {
  static constexpr u8 k_count[] = {4, 4, 4, 4, 3, 3, 3, 1, 2, 2, 2}, k_step[] = {1, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1};
  const u32 type = (i.raw >> 8) & 15;
  return register_list('d', i('D') << 4 | i('d'), k_count[type], k_step[type]);
}

std::string structure_address(const Inst& i, u32 alignment_bits) {
  std::string text = "[" + core_register(i('n'));
  if (alignment_bits != 0) text += ":" + number(alignment_bits);
  text += "]";
  if (i('m') == 13) text += "!";
  if (i('m') < 13 || i('m') == 14) text += ", " + core_register(i('m'));
  return text;
}

std::string lane_operands(const Inst& i) {
  const u32 members = ((i.raw >> 8) & 3) + 1, size = i('z'), ia = i('i');
  const u32 step = members > 1 && size != 0 ? 1 + ((ia >> size) & 1) : 1;
  const u32 low = ia & (size == 0 ? 1 : size == 1 ? 1 : 3);
  u32 alignment = 0;
  if (low != 0 && members != 3) alignment = members == 4 && size == 2 ? 32u << low : (members * 8) << size;
  const std::string lane = "[" + number(ia >> (size + 1)) + "]";
  return register_list('d', i('D') << 4 | i('d'), members, step, lane) + ", " + structure_address(i, alignment);
}

std::string all_lanes_operands(const Inst& i) {
  const u32 members = ((i.raw >> 8) & 3) + 1, size = i('z') == 3 ? 2 : i('z');
  const u32 count = members == 1 ? 1 + i('t') : members, step = members == 1 ? 1 : 1 + i('t');
  u32 alignment = i('a') ? (members * 8) << size : 0;
  if (i('a') && members == 4 && size == 2) alignment = i('z') == 3 ? 128 : 64;
  return register_list('d', i('D') << 4 | i('d'), count, step, "[]") + ", " + structure_address(i, alignment);
}

/// "8 d0[1], " without the comma for VMOV to a scalar, "8 r0, d0[1]" from one.
std::string core_lane(const Inst& i) {
  const bool from = (i.raw >> 20) & 1;
  const u32 o = i('o'), p = i('p');
  const u32 size = o & 2 ? 8 : p & 1 ? 16 : 32;
  const u32 lane = size == 8 ? (o & 1) << 2 | p : size == 16 ? (o & 1) << 1 | p >> 1 : o & 1;
  const u32 d = from ? i('N') << 4 | i('n') : i('D') << 4 | i('d');
  return fmt::format("{} {}{}", size, from ? core_register(i('t')) + ", " : "", element(d, lane));
}

using Format = std::string (*)(const Inst&);
struct Item {
  std::string_view name;
  Format format;
};

constexpr Item k_items[] = {
    {"fd", [](const Inst& i) { return vfp_register(i, 'D', 'd'); }},
    {"fn", [](const Inst& i) { return vfp_register(i, 'N', 'n'); }},
    {"fm", [](const Inst& i) { return vfp_register(i, 'M', 'm'); }},
    {"fimm", [](const Inst& i) { return float_immediate(i('i')); }},
    {"modimm", modified_immediate},
    {"isize", [](const Inst& i) { return number(element_bits(i)); }},
    {"isize2", [](const Inst& i) { return number(2 * element_bits(i)); }},
    {"rshift", [](const Inst& i) { return hash(right_shift(i)); }},
    {"lshift", [](const Inst& i) { return hash(left_shift(i)); }},
    {"lshift0", [](const Inst& i) { return left_shift(i) ? ", " + hash(left_shift(i)) : std::string(); }},
    {"shll", [](const Inst& i) { return std::string(left_shift(i) ? "vshll" : "vmovl"); }},
    {"fbits", [](const Inst& i) { return hash(64 - i('i')); }},
    {"vfbits", [](const Inst& i) { return hash((i('x') ? 32 : 16) - (i('i') << 1 | i('j'))); }},
    {"scalar", scalar},
    {"duplane", dup_lane},
    {"table", [](const Inst& i) { return register_list('d', i('N') << 4 | i('n'), i('l') + 1, 1); }},
    {"vregs", vfp_list},
    {"vaddr", vfp_address},
    {"vlist", structure_list},
    {"vmem", [](const Inst& i) { return structure_address(i, i('a') ? 32u << i('a') : 0); }},
    {"vlane", lane_operands},
    {"vall", all_lanes_operands},
    {"corelane", core_lane},
    {"coreext", [](const Inst& i) { return std::string(i('o') & 2 || i('p') & 1 ? (i('u') ? "u" : "s") : ""); }},
    {"vmrst", [](const Inst& i) { return i('t') == 15 ? std::string("apsr_nzcv") : core_register(i('t')); }},
};

}  // namespace

bool format_simd_item(const Inst& inst, std::string_view name, std::string& out) {
  for (const Item& item : k_items) {
    if (item.name != name) continue;
    out += item.format(inst);
    return true;
  }
  return false;
}

}  // namespace armvisor::frontend
