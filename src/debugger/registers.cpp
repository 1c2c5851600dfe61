#include "debugger/registers.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <map>
#include <vector>

#include "arm/cp15.h"
#include "arm/vfp_regs.h"

namespace armvisor::debugger {
namespace {

// gdb's numbers: where its own features put them, and behind these what has none of its own.
constexpr u32 k_pc = 15, k_cpsr = 25, k_d0 = 26, k_q0 = 58, k_fpscr = 74, k_fpsid = 75, k_fpexc = 76, k_system = 77;

void put32(std::string& bytes, u32 value) {
  for (u32 k = 0; k < 4; ++k) bytes += static_cast<char>(value >> (8 * k));
}
void put64(std::string& bytes, u64 value) {
  put32(bytes, static_cast<u32>(value));
  put32(bytes, static_cast<u32>(value >> 32));
}
u64 get(std::string_view bytes) {
  u64 value = 0;
  for (std::size_t k = 0; k < bytes.size(); ++k) value |= u64{static_cast<u8>(bytes[k])} << (8 * k);
  return value;
}

/// System registers that can be shown without an effect.
const std::vector<arm::SysRegId>& system_registers() {
  static const std::vector<arm::SysRegId> rows = [] {
    std::vector<arm::SysRegId> all;
    const auto regs = arm::sysregs();
    for (std::size_t n = 0; n < regs.size(); ++n)
      if (regs[n].coproc >= 14 && regs[n].pl1_read && (regs[n].read_offset >= 0 || regs[n].constant) &&
          !regs[n].name.starts_with("ID_c"))
        all.push_back(static_cast<arm::SysRegId>(n));
    return all;
  }();
  return rows;
}

const arm::SysReg& system_register(u64 n) { return arm::sysregs()[system_registers()[n]]; }

u64 system_value(const arm::CpuState& state, const arm::SysReg& reg) {
  if (reg.constant) return reg.constant_value;
  const u8* const at = reinterpret_cast<const u8*>(&state) + reg.read_offset;
  u64 value = 0;
  std::memcpy(&value, at, reg.is64 ? 8 : 4);
  return value;
}

constexpr std::string_view k_head = "<?xml version=\"1.0\"?><!DOCTYPE feature SYSTEM \"gdb-target.dtd\">";

std::string target_xml() {
  return "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target><architecture>arm</architecture>"
         "<xi:include href=\"arm-core.xml\"/><xi:include href=\"arm-neon.xml\"/>"
         "<xi:include href=\"arm-vfp-sysregs.xml\"/><xi:include href=\"system-registers.xml\"/></target>";
}

std::string core_xml() {
  std::string text = std::string(k_head) + "<feature name=\"org.gnu.gdb.arm.core\">";
  for (u32 n = 0; n < 13; ++n) text += fmt::format("<reg name=\"r{}\" bitsize=\"32\"/>", n);
  return text +
         "<reg name=\"sp\" bitsize=\"32\" type=\"data_ptr\"/><reg name=\"lr\" bitsize=\"32\"/>"
         "<reg name=\"pc\" bitsize=\"32\" type=\"code_ptr\"/>"
         "<reg name=\"cpsr\" bitsize=\"32\" regnum=\"25\"/></feature>";
}

/// A register's lanes, as a union of vectors: "neon_d" of 64 bits, "neon_q" of 128.
std::string lanes_xml(std::string_view name, u32 bits) {
  constexpr struct {
    std::string_view field, type;
    u32 bits;
  } k_lanes[] = {{"u8", "uint8", 8},    {"u16", "uint16", 16},      {"u32", "uint32", 32},
                 {"u64", "uint64", 64}, {"f32", "ieee_single", 32}, {"f64", "ieee_double", 64}};
  std::string vectors, fields;
  for (const auto& lane : k_lanes) {
    const u32 count = bits / lane.bits;
    const std::string id = count == 1 ? std::string(lane.type) : fmt::format("neon_{}x{}", lane.field, count);
    if (count != 1) vectors += fmt::format("<vector id=\"{}\" type=\"{}\" count=\"{}\"/>", id, lane.type, count);
    fields += fmt::format("<field name=\"{}\" type=\"{}\"/>", lane.field, id);
  }
  return fmt::format("{}<union id=\"{}\">{}</union>", vectors, name, fields);
}

std::string neon_xml() {
  std::string text = std::string(k_head) + "<feature name=\"org.gnu.gdb.arm.vfp\">";
  text += lanes_xml("neon_d", 64) + lanes_xml("neon_q", 128);
  for (u32 n = 0; n < 32; ++n)
    text += fmt::format("<reg name=\"d{}\" bitsize=\"64\" type=\"neon_d\" regnum=\"{}\"/>", n, k_d0 + n);
  for (u32 n = 0; n < 16; ++n)
    text += fmt::format("<reg name=\"q{}\" bitsize=\"128\" type=\"neon_q\" regnum=\"{}\"/>", n, k_q0 + n);
  return text + "<reg name=\"fpscr\" bitsize=\"32\" type=\"int\" group=\"float\" regnum=\"74\"/></feature>";
}

std::string vfp_system_xml() {
  return std::string(k_head) +
         "<feature name=\"org.qemu.gdb.arm.vfp-sysregs\">"
         "<reg name=\"fpsid\" bitsize=\"32\" type=\"int\" group=\"float\" regnum=\"75\"/>"
         "<reg name=\"fpexc\" bitsize=\"32\" type=\"int\" group=\"float\" regnum=\"76\"/></feature>";
}

std::string system_xml() {
  std::string text = std::string(k_head) + "<feature name=\"org.qemu.gdb.arm.sys.regs\">";
  for (u32 n = 0; n < system_registers().size(); ++n) {
    const arm::SysReg& reg = system_register(n);
    text += fmt::format("<reg name=\"{}\" bitsize=\"{}\" regnum=\"{}\" group=\"cp_regs\"/>", reg.name,
                        reg.is64 ? 64 : 32, k_system + n);
  }
  return text + "</feature>";
}

/// A mode that the CPU does not have is not entered; the program counter stays one of the instruction set, and only
/// Thumb code has an IT block.
void write_cpsr(arm::CpuState& state, u32 value) {
  if (!arm::mode_is_valid(value)) value = (value & ~arm::k_psr_mode) | state.mode();
  arm::set_cpsr(state, value);
  state.r[k_pc] &= state.thumb() ? ~1u : ~3u;
  if (!state.thumb()) state.it = 0;
}

}  // namespace

bool read_register(const arm::CpuState& state, u64 n, std::string& bytes) {
  if (n <= k_pc) {
    put32(bytes, state.r[n]);
  } else if (n == k_cpsr) {
    put32(bytes, arm::cpsr(state));
  } else if (n >= k_d0 && n < k_d0 + 32) {
    put64(bytes, state.d[n - k_d0]);
  } else if (n >= k_q0 && n < k_q0 + 16) {
    for (const u64 half : {0, 1}) put64(bytes, state.d[2 * (n - k_q0) + half]);
  } else if (n == k_fpscr) {
    put32(bytes, arm::fpscr(state));
  } else if (n == k_fpsid) {
    put32(bytes, state.cp15.ids.fpsid);
  } else if (n == k_fpexc) {
    put32(bytes, state.fpexc);
  } else if (n >= k_system && n - k_system < system_registers().size()) {
    const arm::SysReg& reg = system_register(n - k_system);
    const u64 value = system_value(state, reg);
    if (reg.is64)
      put64(bytes, value);
    else
      put32(bytes, static_cast<u32>(value));
  } else {
    return false;
  }
  return true;
}

bool write_register(arm::CpuState& state, u64 n, std::string_view bytes) {
  std::string old;
  if (!read_register(state, n, old) || old.size() != bytes.size()) return false;
  const u32 value = static_cast<u32>(get(bytes.substr(0, 4)));
  if (n < k_pc) {
    state.r[n] = value;
  } else if (n == k_pc) {
    state.r[k_pc] = value & (state.thumb() ? ~1u : ~3u);
  } else if (n == k_cpsr) {
    write_cpsr(state, value);
  } else if (n >= k_d0 && n < k_d0 + 32) {
    state.d[n - k_d0] = get(bytes);
  } else if (n >= k_q0 && n < k_q0 + 16) {
    for (const u64 half : {0, 1}) state.d[2 * (n - k_q0) + half] = get(bytes.substr(8 * half, 8));
  } else if (n == k_fpscr) {
    arm::set_fpscr(state, value);
  } else if (n == k_fpexc) {
    state.fpexc = value & arm::k_fpexc_en;
  } else {
    return false;
  }
  return true;
}

std::string_view description(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> files = {{"target.xml", target_xml()},
                                                                        {"arm-core.xml", core_xml()},
                                                                        {"arm-neon.xml", neon_xml()},
                                                                        {"arm-vfp-sysregs.xml", vfp_system_xml()},
                                                                        {"system-registers.xml", system_xml()}};
  const auto at = files.find(name);
  return at == files.end() ? std::string_view() : at->second;
}

}  // namespace armvisor::debugger
