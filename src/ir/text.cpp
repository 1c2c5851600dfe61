// The text form of IR. A block is a header line and one line per instruction:
//
//   block pc=0x8000 bytes=8 insns=2 temps=1 labels=0
//   Insn attr=0x4 imm=0x8000
//   t0 = AddF r1, #0x5 attr=0xf
//   r0 = Load t0 attr=0x4 disp=0x10
//   ExitJump imm=0x8008
//
// Operands are r0..r14, tN, #constant, @address and _ (none). An address moves with the block (Moves), as do disp=@N
// and imm=@N. ';' starts a comment. Numbers are decimal or 0x hexadecimal.
#include <fmt/core.h>

#include <charconv>
#include <unordered_map>

#include "ir/ir.h"

namespace armvisor::ir {
namespace {

std::string operand_text(Value v, const Inst& inst) {
  if (v.is_none()) return "_";
  if (v.is_reg()) return fmt::format("r{}", v.reg_number());
  if (v.is_temp()) return fmt::format("t{}", v.temp_number());
  return fmt::format("{}{:#x}", inst.moves & Moves::imm ? '@' : '#', inst.imm);
}

void print_inst(const Inst& inst, std::string& out) {
  out += "  ";
  if (!inst.dst.is_none()) out += operand_text(inst.dst, inst) + " = ";
  out += info(inst.op).name;
  const Value operands[] = {inst.a, inst.b, inst.c};
  int count = 3;
  while (count > 0 && operands[count - 1].is_none()) --count;
  bool has_imm_operand = false;
  for (int k = 0; k < count; ++k) {
    out += (k ? ", " : " ") + operand_text(operands[k], inst);
    has_imm_operand |= operands[k].is_imm();
  }
  if (inst.attr) out += fmt::format(" attr={:#x}", inst.attr);
  if (inst.attr2) out += fmt::format(" attr2={:#x}", inst.attr2);
  const auto field = [&](const char* name, u8 mark, u64 value) {
    if (value || (inst.moves & mark)) out += fmt::format(" {}={}{:#x}", name, inst.moves & mark ? "@" : "", value);
  };
  field("disp", Moves::disp, inst.disp);
  if (!has_imm_operand) field("imm", Moves::imm, inst.imm);
  out += '\n';
}

/// Words of one line; commas and '=' between blanks are separators of their own.
std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> words;
  if (const auto comment = line.find(';'); comment != line.npos) line = line.substr(0, comment);
  std::size_t i = 0;
  while (i < line.size()) {
    const auto begin = line.find_first_not_of(" \t\r,", i);
    if (begin == line.npos) break;
    const auto end = std::min(line.find_first_of(" \t\r,", begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    i = end;
  }
  return words;
}

bool parse_number(std::string_view text, u64& out) {
  int base = 10;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    base = 16;
  }
  const auto r = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return !text.empty() && r.ec == std::errc() && r.ptr == text.data() + text.size();
}

bool parse_operand(std::string_view text, Value& out, Inst& inst) {
  u64 n = 0;
  if (text == "_") {
    out = Value();
    return true;
  }
  if (text.size() < 2 || !parse_number(text.substr(1), n)) return false;
  if (text[0] == '#' || text[0] == '@') {
    out = Value::immediate();
    inst.imm = n;
    if (text[0] == '@') inst.moves |= Moves::imm;
    return true;
  }
  if (text[0] == 'r' && n < 15) {
    out = Value::reg(static_cast<u32>(n));
    return true;
  }
  if (text[0] == 't' && n < 0xffff - 32) {
    out = Value::temp(static_cast<u32>(n));
    return true;
  }
  return false;
}

const std::unordered_map<std::string_view, Op>& ops_by_name() {
  static const auto map = [] {
    std::unordered_map<std::string_view, Op> m;
    for (u16 k = 0; k < static_cast<u16>(Op::Count); ++k) m[info(static_cast<Op>(k)).name] = static_cast<Op>(k);
    return m;
  }();
  return map;
}

/// "name=number"; false when `word` is not of that form.
bool parse_attribute(std::string_view word, std::string_view& name, u64& value) {
  const auto eq = word.find('=');
  if (eq == word.npos || eq == 0) return false;
  name = word.substr(0, eq);
  return parse_number(word.substr(eq + 1), value);
}

/// "disp=@number" or "imm=@number".
bool set_address(Inst& inst, std::string_view word) {
  const auto at = word.find("=@");
  u64 value = 0;
  if (at == word.npos || !parse_number(word.substr(at + 2), value) || value > 0xffffffff) return false;
  if (word.substr(0, at) == "disp") {
    inst.disp = static_cast<u32>(value);
    inst.moves |= Moves::disp;
    return true;
  }
  inst.imm = value;
  inst.moves |= Moves::imm;
  return word.substr(0, at) == "imm";
}

bool set_attribute(Inst& inst, std::string_view name, u64 value) {
  if (name == "attr" && value <= 0xff)
    inst.attr = static_cast<u8>(value);
  else if (name == "attr2" && value <= 0xff)
    inst.attr2 = static_cast<u8>(value);
  else if (name == "disp" && value <= 0xffffffff)
    inst.disp = static_cast<u32>(value);
  else if (name == "imm")
    inst.imm = value;
  else
    return false;
  return true;
}

/// Empty, or what was expected.
std::string parse_inst(const std::vector<std::string_view>& words, Inst& inst) {
  std::size_t k = 0;
  if (words.size() > 1 && words[1] == "=") {
    Inst ignored;
    if (!parse_operand(words[0], inst.dst, ignored) || inst.dst.is_imm()) return "r0..r14 or tN as the result";
    k = 2;
  }
  if (k == words.size()) return "an opcode";
  const auto op = ops_by_name().find(words[k]);
  if (op == ops_by_name().end()) return fmt::format("an opcode, found '{}'", words[k]);
  inst.op = op->second;
  Value* const operands[] = {&inst.a, &inst.b, &inst.c};
  int operand = 0;
  for (++k; k < words.size(); ++k) {
    std::string_view name;
    u64 value = 0;
    if (words[k].find('=') != words[k].npos) {
      const bool known = parse_attribute(words[k], name, value) && set_attribute(inst, name, value);
      if (!known && !set_address(inst, words[k]))
        return fmt::format("attr=, attr2=, disp= or imm= with a number, found '{}'", words[k]);
    } else if (operand == 3 || !parse_operand(words[k], *operands[operand++], inst)) {
      return fmt::format("an operand (r0..r14, tN, #N, @N or _), found '{}'", words[k]);
    }
  }
  return {};
}

std::string parse_header(const std::vector<std::string_view>& words, Block& block) {
  if (words.empty() || words[0] != "block") return "'block pc=...'";
  for (std::size_t k = 1; k < words.size(); ++k) {
    std::string_view name;
    u64 value = 0;
    if (!parse_attribute(words[k], name, value) || value > 0xffffffff) return "name=number after 'block'";
    const u32 v = static_cast<u32>(value);
    if (name == "pc")
      block.pc = v;
    else if (name == "bytes")
      block.guest_bytes = v;
    else if (name == "insns")
      block.insn_count = v;
    else if (name == "temps")
      block.temp_count = v;
    else if (name == "labels")
      block.label_count = v;
    else if (name == "before")
      block.before = v;
    else if (name == "heads")
      block.head_count = v;
    else if (name == "fp")
      block.fp = v != 0;
    else
      return fmt::format("pc=, bytes=, insns=, temps=, labels=, before=, heads= or fp=, found '{}'", name);
  }
  return {};
}

}  // namespace

std::string print(const Block& block) {
  std::string out = fmt::format("block pc={:#x} bytes={} insns={} temps={} labels={}", block.pc, block.guest_bytes,
                                block.insn_count, block.temp_count, block.label_count);
  if (block.head_count) out += fmt::format(" before={} heads={}", block.before, block.head_count);
  if (block.fp) out += " fp=1";
  out += "\n";
  for (const Inst& inst : block.insts) print_inst(inst, out);
  return out;
}

bool parse(std::string_view text, Block& block, std::string& error) {
  block = Block();
  bool header = false;
  for (int number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto words = split(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (words.empty()) continue;
    std::string expected;
    if (!header) {
      expected = parse_header(words, block);
      header = true;
    } else {
      expected = parse_inst(words, block.insts.emplace_back());
    }
    if (!expected.empty()) {
      error = fmt::format("line {}: expected {}", number, expected);
      return false;
    }
  }
  if (!header) error = "line 1: expected 'block pc=...'";
  return header;
}

}  // namespace armvisor::ir
