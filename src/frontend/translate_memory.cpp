// Loads and stores that A32 and T32 share (ARM DDI 0406C A4.6, A4.7; B9.3 for the system forms).
#include <algorithm>
#include <bit>
#include <vector>

#include "base/bits.h"
#include "frontend/translator.h"

namespace armvisor::frontend {
namespace {

struct Rule {
  u32 element;
  bool always;
};
constexpr bool Yes = true, No = false;
constexpr Rule k_rules[] = {
#define ACCESS(kind, element, always) {element, always},
#include "frontend/accesses.inc"
#undef ACCESS
};

/// `attr`: MemAttr with the size.
Translator::Access single(u8 attr) {
  return {AccessKind::Single, attr & u32{MemAttr::size_mask}, static_cast<u8>(attr & ~MemAttr::size_mask)};
}
constexpr Translator::Access k_word_of_list{AccessKind::Multiple, 4};
constexpr Translator::Access k_dual{AccessKind::Dual, 8};

constexpr u32 k_user_reg(u32 n) { return arm::k_mode_usr << 8 | n; }

}  // namespace

/// Endianness and alignment are the context's.
ir::AccessCode Translator::access_code(const Access& access) const {
  const Rule& rule = k_rules[static_cast<u32>(access.kind)];
  const u32 element = rule.element ? rule.element : access.element ? access.element : access.bytes;
  const u32 asked = rule.always || context.align_strict ? element : 1;
  ir::AccessCode code = ir::encode({access.bytes, element, std::max(asked, access.named_alignment)});
  code.attr |= access.extra;
  if (context.big_endian) code.attr |= MemAttr::big;
  return code;
}

Value Translator::read(const Access& access, Operand address, Address disp, Value dst) {
  const ir::AccessCode code = access_code(access);
  return ir.load(dst, address, disp, code.attr, code.attr2);
}

void Translator::write(const Access& access, Operand address, u32 disp, Operand value) {
  const ir::AccessCode code = access_code(access);
  ir.store(address, disp, value, code.attr, code.attr2);
}

Operand Translator::index_address(const Index& x, u32& disp) {
  const Operand base = x.n == 15 ? Operand(pc_aligned()) : reg(x.n);
  disp = 0;
  if (!x.index) return base;
  if (!x.offset.is_constant) return ir.emit(x.add ? Op::Add : Op::Sub, base, x.offset);
  const u32 offset = static_cast<u32>(x.add ? x.offset.constant : 0 - x.offset.constant);
  if (base.is_constant) return base.address() + offset;
  disp = offset;
  return base;
}

/// Rn = the address with the offset applied. `address` is what index_address() returned.
void Translator::index_writeback(const Index& x, Operand address) {
  if (!x.writeback) return;
  if (x.index && !x.offset.is_constant) return set_reg(x.n, address);
  if (x.offset.is_constant && x.offset.constant == 0) return;
  const bool constant = x.offset.is_constant;
  const Operand offset = constant && !x.add ? imm(static_cast<u32>(0 - x.offset.constant)) : x.offset;
  ir.emit_to(Value::reg(x.n), constant || x.add ? Op::Add : Op::Sub, reg(x.n), offset);
}

void Translator::load(u32 t, u8 attr, const Index& index) {
  if (index.writeback && (index.n == 15 || index.n == t)) return unpredictable();
  Index x = index;
  // A post-indexed load may overwrite its own offset register before the base is updated.
  if (x.writeback && !x.index && !x.offset.is_constant && t != 15 && x.offset.value == Value::reg(t))
    x.offset = ir.emit(Op::Mov, x.offset);
  u32 disp = 0;
  const Operand address = index_address(x, disp);
  const Value dst = t == 15 ? ir.new_temp() : Value::reg(t);
  read(single(attr), address, disp, dst);
  index_writeback(x, address);
  if (t != 15) return;
  const BranchHint table = x.offset.is_constant ? BranchHint::None : BranchHint::Table;
  bx_write_pc(dst, x.n == 13 ? BranchHint::Return : table);
}

void Translator::store(u32 t, u8 attr, const Index& x) {
  if (x.writeback && (x.n == 15 || x.n == t)) return unpredictable();
  u32 disp = 0;
  const Operand address = index_address(x, disp);
  write(single(attr), address, disp, reg(t));
  index_writeback(x, address);
}

// Doublewords. Rt is at the lower address, so it is the low word of a little-endian doubleword and the high word of a
// big-endian one.
void Translator::write_doubleword(u32 t, u32 t2, Value v) {
  if (context.big_endian) std::swap(t, t2);
  write_pair(t, t2, v);
}

Value Translator::read_doubleword(u32 t, u32 t2) {
  if (context.big_endian) std::swap(t, t2);
  return ir.emit(Op::Pack64, reg(t), reg(t2));
}

void Translator::load_dual(u32 t, u32 t2, const Index& x) {
  if (x.writeback && (x.n == 15 || x.n == t || x.n == t2)) return unpredictable();
  u32 disp = 0;
  const Operand address = index_address(x, disp);
  const Value v = read(k_dual, address, disp);
  index_writeback(x, address);
  write_doubleword(t, t2, v);
}

void Translator::store_dual(u32 t, u32 t2, const Index& x) {
  if (x.writeback && (x.n == 15 || x.n == t || x.n == t2)) return unpredictable();
  u32 disp = 0;
  const Operand address = index_address(x, disp);
  write(k_dual, address, disp, read_doubleword(t, t2));
  index_writeback(x, address);
}

void Translator::load_exclusive(u32 size, u32 t, u32 t2, u32 n, u32 disp) {
  const u8 attr = access_code({AccessKind::Exclusive, size}).attr;
  const Value dst = size == 8 ? ir.new_temp() : Value::reg(t);
  ir.append({.op = size == 8 ? Op::LoadEx64 : Op::LoadEx, .attr = attr, .dst = dst, .a = Value::reg(n), .disp = disp});
  if (size == 8) write_doubleword(t, t2, dst);
}

void Translator::store_exclusive(u32 size, u32 d, u32 t, u32 t2, u32 n, u32 disp) {
  if (d == n || d == t || (size == 8 && d == t2)) return unpredictable();
  const u8 attr = access_code({AccessKind::Exclusive, size}).attr;
  const Value value = size == 8 ? read_doubleword(t, t2) : Value::reg(t);
  ir.append({.op = size == 8 ? Op::StoreEx64 : Op::StoreEx,
             .attr = attr,
             .dst = Value::reg(d),
             .a = Value::reg(n),
             .b = value,
             .disp = disp});
}

void Translator::clear_exclusive() { ir.emit(Op::ClearEx); }

// Multiple registers. The base is updated, or loaded, after the last access, so an abort leaves it as it was.
Translator::BlockAddress Translator::block_address(BlockMode mode, u32 registers) {
  const u32 size = registers * 4;
  switch (mode) {
    case BlockMode::DA: return {4 - size, 0 - size};
    case BlockMode::IA: return {0, size};
    case BlockMode::DB: return {0 - size, 0 - size};
    default: return {4, size};
  }
}

/// Loads the registers of `list` but R`n` and PC in place; those two are returned in temps.
Translator::Loaded Translator::load_list(u32 n, u32 list, u32 disp) {
  Loaded loaded;
  for (u32 k = 0; k < 16; ++k) {
    if (((list >> k) & 1) == 0) continue;
    Value dst = k == n || k == 15 ? ir.new_temp() : Value::reg(k);
    if (k == n) loaded.base = dst;
    if (k == 15) loaded.pc = dst;
    read(k_word_of_list, reg(n), disp, dst);
    disp += 4;
  }
  return loaded;
}

void Translator::finish_base(u32 n, const BlockAddress& address, bool writeback, Value loaded_base) {
  if (writeback) ir.emit_to(Value::reg(n), Op::Add, reg(n), imm(address.new_base_disp));
  if (!loaded_base.is_none()) set_reg(n, loaded_base);
}

void Translator::load_multiple(u32 n, u32 list, BlockMode mode, bool writeback) {
  if (n == 15 || list == 0 || (writeback && ((list >> n) & 1))) return unpredictable();
  const BlockAddress address = block_address(mode, static_cast<u32>(std::popcount(list)));
  const Loaded loaded = load_list(n, list, address.first_disp);
  finish_base(n, address, writeback, loaded.base);
  if (!loaded.pc.is_none()) bx_write_pc(loaded.pc, BranchHint::Return);
}

void Translator::store_multiple(u32 n, u32 list, BlockMode mode, bool writeback) {
  if (n == 15 || list == 0) return unpredictable();
  const BlockAddress address = block_address(mode, static_cast<u32>(std::popcount(list)));
  u32 disp = address.first_disp;
  for (u32 k = 0; k < 16; ++k) {
    if (((list >> k) & 1) == 0) continue;
    write(k_word_of_list, reg(n), disp, reg(k));
    disp += 4;
  }
  finish_base(n, address, writeback, {});
}

void Translator::load_multiple_user(u32 n, u32 list, BlockMode mode) {
  if (n == 15 || list == 0 || !context.privileged) return unpredictable();
  u32 disp = block_address(mode, static_cast<u32>(std::popcount(list))).first_disp;
  std::vector<std::pair<u32, Value>> values;
  for (u32 k = 0; k < 15; ++k) {
    if (((list >> k) & 1) == 0) continue;
    values.emplace_back(k, read(k_word_of_list, reg(n), disp));
    disp += 4;
  }
  for (const auto& [k, value] : values) {
    if (k < 8)
      set_reg(k, value);
    else
      ir.emit_imm(Op::WriteModeReg, k_user_reg(k), value);
  }
}

void Translator::store_multiple_user(u32 n, u32 list, BlockMode mode) {
  if (n == 15 || list == 0 || !context.privileged) return unpredictable();
  u32 disp = block_address(mode, static_cast<u32>(std::popcount(list))).first_disp;
  for (u32 k = 0; k < 16; ++k) {
    if (((list >> k) & 1) == 0) continue;
    const Operand value = k >= 8 && k < 15 ? Operand(ir.emit_imm(Op::ReadModeReg, k_user_reg(k))) : reg(k);
    write(k_word_of_list, reg(n), disp, value);
    disp += 4;
  }
}

void Translator::load_multiple_return(u32 n, u32 list, BlockMode mode, bool writeback) {
  if (n == 15 || (writeback && ((list >> n) & 1)) || !context.privileged) return unpredictable();
  const BlockAddress address = block_address(mode, static_cast<u32>(std::popcount(list)));
  const Loaded loaded = load_list(n, list, address.first_disp);
  finish_base(n, address, writeback, loaded.base);
  leave_return(loaded.pc, ir.emit(Op::ReadSpsr));
}

void Translator::srs(u32 mode, BlockMode block_mode, bool writeback) {
  if (!context.privileged || !arm::mode_is_valid(mode)) return unpredictable();
  const BlockAddress address = block_address(block_mode, 2);
  const Value base = ir.emit_imm(Op::ReadModeReg, mode << 8 | 13);
  write(k_word_of_list, base, address.first_disp, reg(14));
  write(k_word_of_list, base, address.first_disp + 4, ir.emit(Op::ReadSpsr));
  if (writeback) ir.emit_imm(Op::WriteModeReg, mode << 8 | 13, ir.emit(Op::Add, base, imm(address.new_base_disp)));
}

void Translator::rfe(u32 n, BlockMode block_mode, bool writeback) {
  if (n == 15 || !context.privileged) return unpredictable();
  const BlockAddress address = block_address(block_mode, 2);
  const Value target = read(k_word_of_list, reg(n), address.first_disp);
  const Value psr = read(k_word_of_list, reg(n), address.first_disp + 4);
  finish_base(n, address, writeback, {});
  leave_return(target, psr);
}

}  // namespace armvisor::frontend
