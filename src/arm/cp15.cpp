#include "arm/cp15.h"

#include <array>
#include <cstddef>
#include <cstring>

#include "arm/cp15_accessors.h"
#include "arm/debug_registers.h"
#include "base/assert.h"

namespace armvisor::arm {
namespace {

struct Rights {
  bool pl0_read, pl0_write, pl1_read, pl1_write;
};
constexpr Rights RO{false, false, true, false}, RW{false, false, true, true}, WO{false, false, false, true},
    U_RO{true, false, true, false}, U_RW{true, true, true, true}, U_WO{false, true, false, true},
    U_RO_P_RW{true, false, true, true};

/// How a register reads: a member, a constant or a function.
struct Reader {
  s32 offset = -1;
  u64 constant = 0;
  SysRead function = nullptr;
  bool is_constant = true;
};
/// How a register is written: a member, a function, or not at all.
struct Writer {
  s32 offset = -1;
  u32 mask = 0;
  SysWrite function = nullptr;
  bool is_ignored = true;
};

struct Row {
  SysReg reg;
  Reader reader;
  Writer writer;
};

constexpr Row make_row(std::string_view name, u32 coproc, u32 op1, u32 crn, u32 crm, u32 op2, bool is64, Rights rights,
                       SysEffect effect, Reader reader, Writer writer) {
  return {{name, static_cast<u8>(coproc), static_cast<u8>(op1), static_cast<u8>(crn), static_cast<u8>(crm),
           static_cast<u8>(op2), is64, rights.pl0_read, rights.pl0_write, rights.pl1_read, rights.pl1_write, effect,
           reader.offset, writer.offset, writer.mask, reader.is_constant, writer.is_ignored, reader.constant},
          reader,
          writer};
}

#define REG32(name, coproc, op1, crn, crm, op2, rights, effect, read, write) \
  make_row(#name, coproc, op1, crn, crm, op2, false, rights, SysEffect::effect, read, write),
#define REG64(name, coproc, op1, crm, rights, effect, read, write) \
  make_row(#name, coproc, op1, 0, crm, 0, true, rights, SysEffect::effect, read, write),
#define AT(member) (Reader{static_cast<s32>(offsetof(CpuState, cp15) + offsetof(Cp15State, member)), 0, nullptr, false})
#define VALUE(constant) (Reader{-1, constant})
#define GET(function) (Reader{-1, 0, function, false})
#define PUT_AT(member, mask) \
  (Writer{static_cast<s32>(offsetof(CpuState, cp15) + offsetof(Cp15State, member)), mask, nullptr, false})
#define PUT(function) (Writer{-1, 0, function, false})
#define IGNORED (Writer{})
#define NOTHING \
  {}
#define RESERVED_ID(crm, op2) REG32(ID_c##crm##_##op2, 15, 0, 0, crm, op2, RO, None, VALUE(0), NOTHING)
#define RESERVED_ID_ROW(crm) \
  RESERVED_ID(crm, 0)        \
  RESERVED_ID(crm, 1)        \
  RESERVED_ID(crm, 2)        \
  RESERVED_ID(crm, 3)        \
  RESERVED_ID(crm, 4)        \
  RESERVED_ID(crm, 5)        \
  RESERVED_ID(crm, 6)        \
  RESERVED_ID(crm, 7)

constexpr Row k_rows[] = {
#include "arm/cp15.inc"
};

#undef REG32
#undef REG64
#undef AT
#undef VALUE
#undef GET
#undef PUT_AT
#undef PUT
#undef IGNORED
#undef NOTHING

constexpr std::size_t k_row_count = std::size(k_rows);
static_assert(k_row_count < k_no_sysreg);

constexpr auto k_sysregs = [] {
  std::array<SysReg, k_row_count> regs{};
  for (std::size_t i = 0; i < k_row_count; ++i) regs[i] = k_rows[i].reg;
  return regs;
}();

constexpr u32 encoding_key(u32 is64, u32 coproc, u32 op1, u32 crn, u32 crm, u32 op2) {
  return is64 << 20 | (coproc & 15) << 16 | (op1 & 15) << 12 | (crn & 15) << 8 | (crm & 15) << 4 | (op2 & 7);
}

constexpr auto k_keys = [] {
  std::array<u32, k_row_count> keys{};
  for (std::size_t i = 0; i < k_row_count; ++i) {
    const SysReg& r = k_sysregs[i];
    keys[i] = encoding_key(r.is64, r.coproc, r.op1, r.crn, r.crm, r.op2);
  }
  return keys;
}();

SysRegId find_key(u32 key) {
  for (std::size_t i = 0; i < k_row_count; ++i)
    if (k_keys[i] == key) return static_cast<SysRegId>(i);
  return k_no_sysreg;
}

}  // namespace

std::span<const SysReg> sysregs() { return k_sysregs; }

SysRegId find_sysreg32(u32 coproc, u32 op1, u32 crn, u32 crm, u32 op2) {
  return find_key(encoding_key(0, coproc, op1, crn, crm, op2));
}

SysRegId find_sysreg64(u32 coproc, u32 op1, u32 crm) { return find_key(encoding_key(1, coproc, op1, 0, crm, 0)); }

bool read_sysreg(CpuState& s, SystemPort& port, SysRegId id, u64& value) {
  AV_ASSERT(id < k_row_count);
  const Row& row = k_rows[id];
  if (row.reader.function) return row.reader.function(s, port, value);
  value = row.reader.constant;
  if (row.reader.offset >= 0) {
    const auto* member = reinterpret_cast<const unsigned char*>(&s) + row.reader.offset;
    std::memcpy(&value, member, row.reg.is64 ? 8 : 4);
  }
  return true;
}

bool write_sysreg(CpuState& s, SystemPort& port, SysRegId id, u64 value) {
  AV_ASSERT(id < k_row_count);
  const Row& row = k_rows[id];
  if (!row.reg.is64) value = static_cast<u32>(value);
  if (row.writer.function) return row.writer.function(s, port, value);
  if (row.writer.offset >= 0) {
    if (!row.reg.is64) value &= row.writer.mask;
    auto* member = reinterpret_cast<unsigned char*>(&s) + row.writer.offset;
    std::memcpy(member, &value, row.reg.is64 ? 8 : 4);
  }
  return true;
}

/// CCSIDR of the cache that CSSELR selects.
bool read_ccsidr(CpuState& s, SystemPort&, u64& value) {
  const auto& caches = s.cp15.ids.ccsidr;
  value = s.cp15.csselr < caches.size() ? caches[s.cp15.csselr] : 0;
  return true;
}

/// Number of processors less one in [25:24], interrupt controller present in [23].
bool read_l2ctlr(CpuState& s, SystemPort&, u64& value) {
  const u32 cpus = s.cp15.l2ctlr_cpus > 4 ? 4 : s.cp15.l2ctlr_cpus;
  value = u64{cpus - 1} << 24 | 1u << 23;
  return true;
}

bool read_isr(CpuState&, SystemPort& port, u64& value) {
  value = port.interrupt_lines() & (k_psr_a | k_psr_i | k_psr_f);
  return true;
}

}  // namespace armvisor::arm
