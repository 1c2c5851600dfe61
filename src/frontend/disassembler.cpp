#include "frontend/disassembler.h"

#include <fmt/core.h>

#include <cstdlib>
#include <iterator>

#include "base/bits.h"
#include "frontend/disassemble_simd.h"

namespace armvisor::frontend {
namespace {

constexpr std::string_view k_registers[] = {"r0", "r1", "r2",  "r3",  "r4", "r5", "r6", "r7",
                                            "r8", "r9", "r10", "r11", "ip", "sp", "lr", "pc"};
constexpr std::string_view k_conditions[] = {"eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc",
                                             "hi", "ls", "ge", "lt", "gt", "le", "",   ""};
constexpr std::string_view k_shifts[] = {"lsl", "lsr", "asr", "ror"};

/// One {…} item: field letters, type, and the number after '*' or '+'.
struct Item {
  std::string_view fields, type;
  std::string_view alternatives;  ///< after '?'
  char scale_kind = 0;
  u32 scale = 1;
};

Item parse_item(std::string_view text) {
  Item item;
  const auto colon = text.find(':');
  item.fields = text.substr(0, colon);
  if (colon == std::string_view::npos) return item;
  item.type = text.substr(colon + 1);
  if (item.type.starts_with('?')) {
    item.alternatives = item.type.substr(1);
    item.type = "?";
    return item;
  }
  const auto mark = item.type.find_first_of("*+");
  if (mark == std::string_view::npos) return item;
  item.scale_kind = item.type[mark];
  item.scale = static_cast<u32>(std::atoi(std::string(item.type.substr(mark + 1)).c_str()));
  item.type = item.type.substr(0, mark);
  return item;
}

class Formatter {
 public:
  explicit Formatter(const Inst& inst) : inst_(inst) {}

  std::string run(std::string_view syntax) {
    while (!syntax.empty()) {
      const auto open = syntax.find('{');
      out_ += syntax.substr(0, open);
      if (open == std::string_view::npos) break;
      const auto close = syntax.find('}', open);
      format(parse_item(syntax.substr(open + 1, close - open - 1)));
      syntax.remove_prefix(close + 1);
    }
    return out_;
  }

 private:
  template <class... Values>
  void add(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Values>(values)...);
  }

  bool has(char letter) const {
    for (u32 k = 0; k < inst_.encoding->piece_count; ++k)
      if (inst_.encoding->pieces[k].letter == static_cast<u8>(letter)) return true;
    return false;
  }

  u32 width(char letter) const {
    u32 w = 0;
    for (u32 k = 0; k < inst_.encoding->piece_count; ++k)
      if (inst_.encoding->pieces[k].letter == static_cast<u8>(letter)) w += inst_.encoding->pieces[k].width;
    return w;
  }

  u32 joined(std::string_view fields, u32& total) const {
    u32 value = 0;
    total = 0;
    for (const char letter : fields) {
      value = (value << width(letter)) | inst_(letter);
      total += width(letter);
    }
    return value;
  }

  u32 pc_value() const { return inst_.pc + (inst_.thumb ? 4 : 8); }

  void format(const Item& item) {
    if (item.type.empty()) {
      if (!inst_.encoding->simd || !format_simd_item(inst_, item.fields, out_)) format_plain(item.fields);
      return;
    }
    u32 bits_total = 0;
    u32 v = joined(item.fields, bits_total);
    if (format_target(item, v, bits_total)) return;
    if (item.scale_kind == '*') v *= item.scale;
    if (item.scale_kind == '+') v += item.scale;
    if (format_number(item, v) || format_register(item, v, bits_total)) return;
    add("<{}>", item.type);
  }

  /// Items without a type.
  void format_plain(std::string_view name) {
    if (name == "c") {
      if (inst_.thumb ? has('c') : !inst_.encoding->simd || has('c'))
        out_ += k_conditions[has('c') ? inst_('c') & 15 : 14];
    } else if (name == "s") {
      if (inst_('S')) out_ += 's';
    } else if (name == "addr") {
      format_address(name, 1);
    } else if (name == "addr4") {
      format_address(name, 4);
    } else if (name == "addrm" || name == "addrh" || name == "addrhm") {
      format_address(name, 1);
    } else if (name == "cps") {
      format_cps();
    } else if (name.size() == 1) {
      out_ += k_registers[inst_(name[0]) & 15];
    } else {
      add("<{}>", name);
    }
  }

  /// Fields P, U, W, n and i, or m with y and i. The names with 'h' (memory hints) are offset forms without P and W.
  void format_address(std::string_view name, u32 scale) {
    const bool hint = name.starts_with("addrh"), by_register = name.ends_with('m');
    const bool up = inst_('U') != 0, index = hint || inst_('P') != 0;
    const char* const sign = up ? "" : "-";
    std::string offset;
    if (by_register) {
      offset = fmt::format(", {}{}{}", sign, k_registers[inst_('m')], shift_text(inst_('y') << 5 | inst_('i')));
    } else if (inst_('i') != 0 || !up || !index) {
      offset = fmt::format(", #{}{}", sign, inst_('i') * scale);
    }
    const char* const back = index && inst_('W') && !hint ? "!" : "";
    if (index)
      add("[{}{}]{}", k_registers[inst_('n')], offset, back);
    else
      add("[{}]{}", k_registers[inst_('n')], offset);
  }

  void format_cps() {
    const u32 imod = inst_('I');
    if (imod >= 2) {
      out_ += imod == 2 ? "ie " : "id ";
      if (inst_('a')) out_ += 'a';
      if (inst_('b')) out_ += 'i';
      if (inst_('f')) out_ += 'f';
    }
    if (inst_('M')) add("{} #{}", imod >= 2 ? "," : "", inst_('m'));
  }

  static std::string shift_text(u32 type_imm5) {
    const u32 type = (type_imm5 >> 5) & 3, amount = type_imm5 & 31;
    if (amount == 0 && type == 0) return {};
    if (amount == 0 && type == 3) return ", rrx";
    return fmt::format(", {} #{}", k_shifts[type], amount == 0 ? 32 : amount);
  }

  /// rel, urel, arel, aurel, jrel, ajrel.
  bool format_target(const Item& item, u32 v, u32 bits_total) {
    std::string_view type = item.type;
    if (!type.ends_with("rel")) return false;
    u32 base = pc_value();
    if (type.starts_with('a')) {
      base &= ~3u;
      type.remove_prefix(1);
    }
    if (type == "jrel") {  // S:J1:J2:...: I1 = NOT(J1 EOR S), I2 = NOT(J2 EOR S)
      const u32 s = (v >> (bits_total - 1)) & 1;
      if (s == 0) v ^= 3u << (bits_total - 3);
    }
    if (type != "urel") v = sign_extend(v, bits_total);
    add("{:#x}", base + v * item.scale);
    return true;
  }

  bool format_number(const Item& item, u32 v) {
    if (item.type == "imm") {
      add("#{}", v);
    } else if (item.type == "int") {
      add("{}", v);
    } else if (item.type == "hex") {
      add("#{:#x}", v);
    } else if (item.type == "modimm") {
      add("#{}", static_cast<s32>(ror32(v & 0xff, bits<11, 8>(v) * 2)));
    } else if (item.type == "t32imm") {
      add("#{}", static_cast<s32>(t32_imm(v)));
    } else if (item.type == "shimm") {
      add("#{}", v == 0 ? 32 : v);
    } else if (item.type == "bfwidth") {  // msb:lsb of BFI and BFC
      add("#{}", (v >> 5) - (v & 31) + 1);
    } else if (item.type == "shift") {
      out_ += shift_text(v);
    } else if (item.type == "satshift") {
      out_ += shift_text((v & 32) << 1 | (v & 31));
    } else if (item.type == "shname") {
      out_ += k_shifts[v & 3];
    } else if (item.type == "cond") {
      out_ += k_conditions[v & 15];
    } else if (item.type == "sign") {
      out_ += v == 0 ? "-" : "";
    } else if (item.type == "esize") {
      add("{}", 8u << (v & 7));
    } else if (item.type == "?") {
      format_choice(item.alternatives, v);
    } else {
      return false;
    }
    return true;
  }

  static u32 t32_imm(u32 imm12) {
    static constexpr u32 k_repeat[] = {0x00000001, 0x00010001, 0x01000100, 0x01010101};
    if (bits<11, 10>(imm12) == 0) return (imm12 & 0xff) * k_repeat[bits<9, 8>(imm12)];
    return ror32(0x80 | (imm12 & 0x7f), bits<11, 7>(imm12));
  }

  void format_choice(std::string_view alternatives, u32 v) {
    for (; v != 0; --v) {
      const auto bar = alternatives.find('|');
      if (bar == std::string_view::npos) break;
      alternatives.remove_prefix(bar + 1);
    }
    out_ += alternatives.substr(0, alternatives.find('|'));
  }

  bool format_register(const Item& item, u32 v, u32 bits_total) {
    if (item.type == "r") {
      out_ += k_registers[v & 15];
    } else if (item.type == "list" || item.type == "list15") {
      format_list(item.type == "list15" ? v | 0x8000 : v);
    } else if (item.type == "listlr" || item.type == "listpc") {
      format_list((v & 0xff) | (v >> 8) << (item.type == "listlr" ? 14 : 15));
    } else if (item.type == "s" || item.type == "d") {
      add("{}{}", item.type, v);
    } else if (item.type == "q") {
      add("q{}", v / 2);
    } else if (item.type == "dq") {
      const bool quad = (v >> (bits_total - 1)) & 1;
      v &= static_cast<u32>(low_mask(bits_total - 1));
      add("{}{}", quad ? 'q' : 'd', quad ? v / 2 : v);
    } else if (item.type == "psrmask") {
      static constexpr char k_letters[] = {'c', 'x', 's', 'f'};
      for (int k = 3; k >= 0; --k)
        if ((v >> k) & 1) out_ += k_letters[k];
    } else if (item.type == "barrier") {
      format_barrier(v);
    } else {
      return false;
    }
    return true;
  }

  void format_list(u32 list) {
    out_ += '{';
    bool first = true;
    for (u32 k = 0; k < 16; ++k) {
      if (((list >> k) & 1) == 0) continue;
      if (!first) out_ += ", ";
      first = false;
      out_ += k_registers[k];
    }
    out_ += '}';
  }

  void format_barrier(u32 option) {
    static constexpr std::string_view k_names[] = {"", "", "oshst", "osh", "", "", "nshst", "nsh",
                                                   "", "", "ishst", "ish", "", "", "st",    "sy"};
    const std::string_view name = k_names[option & 15];
    if (name.empty())
      add("#{}", option);
    else
      out_ += name;
  }

  const Inst& inst_;
  std::string out_;
};

}  // namespace

std::string disassemble(u32 word, u32 pc, Isa isa) {
  Inst inst;
  inst.raw = word;
  inst.pc = pc;
  inst.bytes = isa == Isa::T16 ? 2 : 4;
  inst.thumb = isa != Isa::A32;
  switch (isa) {
    case Isa::A32: inst.encoding = decode_a32(word); break;
    case Isa::T32: inst.encoding = decode_t32(word, inst.raw); break;
    case Isa::T16: inst.encoding = decode_t16(static_cast<u16>(word)); break;
  }
  if (inst.encoding == nullptr) return fmt::format("udf {:#x}", word);
  return Formatter(inst).run(inst.encoding->syntax);
}

}  // namespace armvisor::frontend
