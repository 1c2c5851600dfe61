#include "oracle/generate.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/bits.h"
#include "frontend/disassembler.h"
#include "frontend/translate.h"

namespace armvisor::oracle {
namespace {

using frontend::Encoding;
using frontend::Isa;

constexpr u32 k_modes[] = {arm::k_mode_usr, arm::k_mode_fiq, arm::k_mode_irq, arm::k_mode_svc,
                           arm::k_mode_abt, arm::k_mode_und, arm::k_mode_sys};

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view p) { return name.starts_with(p); });
}

class Generator {
 public:
  Generator(const Encoding& e, bool as_thumb, Random& random) : e_(e), random_(random) {
    case_.encoding = &e;
    case_.isa = e.simd && as_thumb ? Isa::T32 : e.isa;
  }

  Generator(const Case& c, Random& random) : e_(*c.encoding), random_(random), case_(c) {}

  /// The same code in another state: what points to data still does, small numbers stay (offsets, shifts).
  Case vary() {
    MachineState& s = case_.initial;
    s.cpsr ^= static_cast<u32>(random_()) & (0xf0000000u | arm::k_psr_q | arm::k_psr_ge);
    fill_vectors();
    if (starts_with_any(e_.name, {"MSR", "RFE", "LDM_return"})) return case_;
    for (u32 n = 0; n < 15; ++n) {
      u32& r = s.r[n];
      if (r - k_data < k_data_size)
        r = random_pointer(8) + (r & 7);
      else if (r >= 0x400 || chance(10))
        r = random_value();
    }
    return case_;
  }

  Case run() {
    u32 word = random_word();
    fill_registers();
    fill_vectors();
    steer(word);
    case_.word = e_.simd && case_.isa == Isa::T32 ? to_t32(word) : word;
    prepare_exclusive();
    append(case_.word, case_.isa);
    return case_;
  }

 private:
  u32 below(u32 n) { return static_cast<u32>(random_() % n); }
  bool chance(u32 percent) { return below(100) < percent; }
  bool thumb() const { return case_.isa != Isa::A32; }

  u32 field(u32 word, char letter) const {
    frontend::Inst inst;
    inst.encoding = &e_;
    inst.raw = word;
    return inst(letter);
  }

  u32 field_width(char letter) const {
    u32 w = 0;
    for (u32 k = 0; k < e_.piece_count; ++k)
      if (e_.pieces[k].letter == static_cast<u8>(letter)) w += e_.pieces[k].width;
    return w;
  }

  u32 set_field(u32 word, char letter, u32 value) const {
    for (u32 k = e_.piece_count; k-- > 0;) {
      const auto& p = e_.pieces[k];
      if (p.letter != static_cast<u8>(letter)) continue;
      const u32 mask = static_cast<u32>(low_mask(p.width)) << p.lsb;
      word = (word & ~mask) | ((value << p.lsb) & mask);
      value >>= p.width;
    }
    return word;
  }

  u32 random_word() {
    u32 word = e_.value | (static_cast<u32>(random_()) & ~e_.mask);
    if (e_.isa == Isa::T16) word &= 0xffff;
    fill_should_be(word);
    fix_should_be(word);
    for (const char letter : std::string_view("dnmtsahlu"))
      if (field_width(letter) == 4) avoid_special(word, letter);
    if (e_.isa == Isa::A32 && field_width('c') == 4) {
      const u32 cond = thumb() || chance(75) ? 14 : below(14);
      word = set_field(word, 'c', cond);
    } else if (field_width('c') == 4 && field(word, 'c') >= 14) {
      word = set_field(word, 'c', below(14));
    }
    const bool branch = starts_with_any(e_.name, {"B_", "BL_", "BLX_imm"}) || e_.name == "B" || e_.name == "BL";
    if (branch && field_width('i') > 8) word = set_field(word, 'i', static_cast<u32>(below(2000)) - 1000);
    return word;
  }

  /// Runs of should-be bits are all zeros or all ones; what they should be is not in the table.
  void fill_should_be(u32& word) {
    const u32 width = static_cast<u32>(e_.pattern.size());
    bool ones = false;
    for (u32 k = 0; k < width; ++k) {
      if (e_.pattern[k] != '-') continue;
      if (k == 0 || e_.pattern[k - 1] != '-') ones = chance(50);
      const u32 b = 1u << (width - 1 - k);
      word = ones ? word | b : word & ~b;
    }
  }

  /// Lines whose should-be bits are a mixture within one run.
  void fix_should_be(u32& word) const {
    if (starts_with_any(e_.name, {"CLREX", "DSB", "DMB", "ISB"}) && e_.isa == Isa::A32)
      word = (word & ~0xfff00u) | 0xff000;
    if (e_.name == "SRS") word = (word & ~0xfffe0u) | 0xd0500;
    if (e_.name == "RFE" && e_.isa == Isa::A32) word = (word & ~0xffffu) | 0x0a00;
    if (e_.name == "CLREX" && e_.isa == Isa::A32) word |= 15;
  }

  /// PC and SP are mostly UNPREDICTABLE: rarer than chance would have it.
  void avoid_special(u32& word, char letter) {
    while ((field(word, letter) == 15 && chance(90)) || (field(word, letter) == 13 && chance(60)))
      word = set_field(word, letter, below(16));
  }

  u32 random_value() {
    static constexpr u32 k_edges[] = {0,          1,          2,          0x7fffffff, 0x80000000,
                                      0xffffffff, 0x7fff8000, 0x80008000, 0x8000,     0xff};
    const u32 kind = below(100);
    if (kind < 30) return k_edges[below(10)];
    if (kind < 50) return below(256);
    return static_cast<u32>(random_());
  }

  u32 random_pointer(u32 alignment) { return k_data + 0x4000 + (below(0x8000) & ~(alignment - 1)); }

  void fill_registers() {
    MachineState& s = case_.initial;
    for (u32 n = 0; n < 15; ++n) s.r[n] = random_value();
    s.r[13] = random_pointer(8);
    // Not Undefined and Abort mode: the exception that ends a case would overwrite their LR and SPSR.
    static constexpr u32 k_start[] = {arm::k_mode_usr, arm::k_mode_usr, arm::k_mode_svc, arm::k_mode_svc,
                                      arm::k_mode_fiq, arm::k_mode_irq, arm::k_mode_sys};
    const u32 mode = k_start[below(7)];
    s.cpsr = (static_cast<u32>(random_()) & (0xf0000000u | arm::k_psr_q | arm::k_psr_ge)) | mode | arm::k_psr_a |
             arm::k_psr_i | arm::k_psr_f;
    if (chance(15)) s.cpsr |= arm::k_psr_e;
    if (thumb()) {
      s.cpsr |= arm::k_psr_t;
      if (chance(30)) s.cpsr |= arm::it_to_psr(static_cast<u8>(below(14) << 4 | 8));
    }
    s.spsr = (static_cast<u32>(random_()) & 0xf80f01c0u) | k_modes[below(7)] | (chance(50) ? arm::k_psr_t : 0);
    s.r[15] = k_code;
  }

  u32 random_single() {
    static constexpr u32 k_edges[] = {0,          0x80000000, 0x7f800000, 0xff800000, 0x7fc00000,
                                      0x7f800001, 0x00000001, 0x807fffff, 0x3f800000, 0xbf800000,
                                      0x4f000000, 0xcf000000, 0x7f7fffff, 0x00800000};
    const u32 kind = below(100);
    if (kind < 30) return k_edges[below(14)];
    if (kind < 70) return (static_cast<u32>(random_()) & 0x807fffff) | (0x70 + below(0x20)) << 23;
    return static_cast<u32>(random_());
  }

  u64 random_double() {
    static constexpr u64 k_edges[] = {0,
                                      0x8000000000000000,
                                      0x7ff0000000000000,
                                      0x7ff8000000000001,
                                      0x7ff0000000000001,
                                      1,
                                      0x800fffffffffffff,
                                      0x3ff0000000000000,
                                      0x41e0000000000000,
                                      0xc1e0000000000000,
                                      0x7fefffffffffffff};
    if (chance(30)) return k_edges[below(11)];
    return (random_() & 0x800fffffffffffff) | u64{0x3e0 + below(0x40)} << 52;
  }

  void fill_vectors() {
    for (u64& d : case_.initial.d) {
      const u32 kind = below(100);
      if (kind < 50)
        d = random_single() | u64{random_single()} << 32;
      else if (kind < 75)
        d = random_double();
      else
        d = random_();
    }
    case_.initial.fpscr = static_cast<u32>(random_()) & 0xf7c0009f;
    if (chance(50)) case_.initial.fpscr &= 0xf000009f;
  }

  /// Points base registers at the data window, keeps offsets small, and makes what is written to PSRs valid.
  void steer(u32& word) {
    MachineState& s = case_.initial;
    const std::string_view name = e_.name;
    if (starts_with_any(name, {"MSR", "RFE", "LDM_return"})) steer_psr(word);
    if (name.starts_with("CPS") || name.starts_with("SRS"))
      if (field_width('m') == 5)
        word = set_field(word, 'm', name.starts_with("CPS") ? k_modes[below(7)] : s.cpsr & arm::k_psr_mode);
    if (name.starts_with("SRS") && field_width('o') == 5) word = set_field(word, 'o', s.cpsr & arm::k_psr_mode);
    if (name.starts_with("RFE")) s.cpsr &= ~arm::k_psr_e;
    if (starts_with_any(name, {"LDM_user", "STM_user"})) word &= ~0x7f00u;  // banks are not part of a case's state
    const bool memory =
        starts_with_any(name, {"LD", "ST", "VLD", "VST", "TBB", "TBH", "PLD", "PLI", "RFE", "POP", "PUSH"});
    if (!memory) return;
    const bool by_word =
        starts_with_any(name, {"LDM", "STM", "LDRD", "STRD", "LDREX", "STREX", "VLD", "VST", "RFE", "POP"});
    const u32 n = field(word, 'n');
    if (field_width('n') != 0 && n < 15) s.r[n] = random_pointer(by_word || chance(60) ? 8 : 1);
    const u32 m = field(word, 'm');
    const bool register_offset = field_width('m') != 0 && !name.starts_with("VLD") && !name.starts_with("VST");
    if (register_offset && m < 15 && m != n) s.r[m] = below(0x400) & (by_word ? ~7u : ~0u);
  }

  void steer_psr(u32) {
    for (u32 n = 0; n < 13; ++n) case_.initial.r[n] = (random_value() & 0xf80f01c0u) | k_modes[below(7)];
  }

  /// Inverse of the mapping in decode_t32.
  static u32 to_t32(u32 word) {
    if ((word & 0xfe000000) == 0xf2000000) return 0xef000000 | ((word >> 24) & 1) << 28 | (word & 0x00ffffff);
    if ((word & 0xff000000) == 0xf4000000) return 0xf9000000 | (word & 0x00ffffff);
    return word;
  }

  /// STREX is judged after the LDREX of the same size and address.
  void prepare_exclusive() {
    if (!e_.name.starts_with("STREX")) return;
    const u32 n = field(case_.word, 'n');
    if (case_.isa == Isa::A32 && chance(80)) {
      const u32 load = (case_.word & 0x0ff00000) | 0xe0100000 | n << 16 | 0x00000f9f;
      u32 t = 0;
      while (t == n || t == n - 1) t += 2;
      append(load | t << 12, Isa::A32);
      case_.instructions = 2;
    }
  }

  void append(u32 word, Isa isa) {
    const auto put = [this](u32 half) {
      case_.code.push_back(static_cast<u8>(half));
      case_.code.push_back(static_cast<u8>(half >> 8));
    };
    if (isa == Isa::T32) put(word >> 16);
    put(word & 0xffff);
    if (isa == Isa::A32) put(word >> 16);
  }

  const Encoding& e_;
  Random& random_;
  Case case_;
};

struct Exclusion {
  std::string_view prefix, reason;
};
constexpr Exclusion k_exclusions[] = {
#define EXCLUDE(prefix, reason) {prefix, reason},
#include "oracle/exclusions.inc"
#undef EXCLUDE
};

}  // namespace

Case generate(const frontend::Encoding& e, bool as_thumb, Random& random) {
  return Generator(e, as_thumb, random).run();
}

Case vary(const Case& c, Random& random) { return Generator(c, random).vary(); }

const frontend::Encoding* owner_of(const Case& c) {
  u32 form = c.word;
  if (c.isa == Isa::A32) return frontend::decode_a32(c.word);
  return c.isa == Isa::T32 ? frontend::decode_t32(c.word, form) : frontend::decode_t16(static_cast<u16>(c.word));
}

/// Whether `c` may stand in a sequence: no line that leaves it, and no use of PC.
static bool goes_straight_on(const Case& c) {
  const std::string_view name = c.encoding->name;
  if (name == "B" ||
      starts_with_any(
          name,
          {"B_",   "BL",     "BX",  "CB",    "TB",    "SVC",     "UDF",  "CPS",  "MSR",  "MRS",  "SRS",
           "RFE",  "SETEND", "ISB", "STREX", "LDREX", "SUBS_PC", "LDM_", "STM_", "VMSR", "VMRS", "VCVT_fixed_to_fp",
           "SMLAD"}))
    return false;
  if (owner_of(c) != c.encoding || !exclusion(*c.encoding).empty() || exclusion(c) != nullptr ||
      c.encoding->pattern.find('-') != c.encoding->pattern.npos)
    return false;
  if (frontend::disassemble(c.word, 0, c.isa).find("pc") != std::string::npos) return false;
  frontend::Context context;
  context.thumb = c.isa != Isa::A32;
  context.privileged = false;
  context.vfp_enabled = context.vfp_accessible = context.simd_enabled = true;
  ir::Block block;
  if (!frontend::translate(context, 0, c.code, {.max_insns = 1}, block)) return false;
  return std::none_of(block.insts.begin(), block.insts.end(),
                      [](const ir::Inst& inst) { return inst.op == ir::Op::ExitUndefined; });
}

/// The register that a load or store of `c` adds to its base; 16: none.
static u32 offset_register(const Case& c) {
  if (!starts_with_any(c.encoding->name, {"LD", "ST"})) return 16;
  frontend::Inst inst;
  inst.encoding = c.encoding;
  inst.raw = c.word;
  return c.encoding->pattern.find('m') == std::string_view::npos ? 16 : inst('m');
}

Case generate_sequence(bool thumb, u32 length, Random& random, Mix mix) {
  const auto lines = frontend::encodings();
  Case whole;
  int it_reach = 0;
  while (whole.sequence.size() < length) {
    const auto& e = lines[random() % lines.size()];
    if (!e.simd && thumb != (e.isa != Isa::A32)) continue;
    if (mix == Mix::Simd ? !e.simd && random() % 8 != 0 : e.simd && random() % 3 != 0) continue;
    const Case part = generate(e, thumb, random);
    if (!goes_straight_on(part)) continue;
    if (it_reach > 0 && e.name == "IT") continue;  // IT blocks do not nest
    it_reach = e.name == "IT" ? 4 : it_reach - 1;
    if (whole.sequence.empty()) whole = part;
    if (!whole.sequence.empty()) {
      whole.code.insert(whole.code.end(), part.code.begin(), part.code.end());
      const u32 offset = offset_register(part);
      for (u32 n = 0; n < 15; ++n)
        if (part.initial.r[n] - k_data < k_data_size || n == offset) whole.initial.r[n] = part.initial.r[n];
    }
    whole.sequence.push_back({part.isa, part.word});
  }
  whole.initial.cpsr &= ~(arm::k_psr_it_low | arm::k_psr_it_high);
  whole.instructions = length;
  return whole;
}

/// Whether `c` leaves Rn alone, as far as its IR shows it.
static bool spares(const Case& c, u32 n) {
  for (const Part& part : c.sequence) {
    const bool thumb = part.isa != Isa::A32;
    frontend::Context context;
    context.thumb = thumb;
    context.privileged = false;
    context.vfp_enabled = context.vfp_accessible = context.simd_enabled = true;
    std::vector<u8> bytes;
    for (const u32 half : thumb&& part.isa == Isa::T16 ? std::vector<u32>{part.word}
                          : thumb                      ? std::vector<u32>{part.word >> 16, part.word & 0xffff}
                                                       : std::vector<u32>{part.word & 0xffff, part.word >> 16}) {
      bytes.push_back(static_cast<u8>(half));
      bytes.push_back(static_cast<u8>(half >> 8));
    }
    ir::Block block;
    if (!frontend::translate(context, 0, bytes, {.max_insns = 1}, block)) return false;
    if (std::any_of(block.insts.begin(), block.insts.end(),
                    [n](const ir::Inst& i) { return i.dst == ir::Value::reg(n); }))
      return false;
  }
  return true;
}

/// Whether the last instructions are out of reach of an IT.
static bool ends_outside_it(const Case& c) {
  const std::size_t first = c.sequence.size() > 4 ? c.sequence.size() - 4 : 0;
  for (std::size_t k = first; k < c.sequence.size(); ++k)
    if (c.sequence[k].isa == Isa::T16 && (c.sequence[k].word & 0xff00) == 0xbf00) return false;
  return true;
}

Loop generate_loop(bool thumb, Random& random, Mix mix) {
  constexpr u32 k_always = static_cast<u32>(arm::Cond::AL);
  const u32 counter = static_cast<u32>(random() % 13);
  const auto part = [&](u32 most) {
    while (true) {
      Case c = generate_sequence(thumb, 1 + static_cast<u32>(random() % most), random, mix);
      if (spares(c, counter) && ends_outside_it(c)) return c;
    }
  };
  Case loop = part(8);
  const Case skipped = part(4);
  const auto put = [&](u32 word, Isa isa) {
    const auto half = [&](u32 h) {
      loop.code.push_back(static_cast<u8>(h));
      loop.code.push_back(static_cast<u8>(h >> 8));
    };
    if (isa == Isa::T32) half(word >> 16);
    half(word & 0xffff);
    if (isa == Isa::A32) half(word >> 16);
    loop.sequence.push_back({isa, word});
  };
  const auto branch = [&](u32 cond, std::size_t from, std::size_t to) {
    const auto distance = static_cast<s32>(to) - static_cast<s32>(from) - (thumb ? 4 : 8);
    if (thumb)
      put(cond == k_always ? 0xe000 | (static_cast<u32>(distance >> 1) & 0x7ff)
                           : 0xd000 | cond << 8 | (static_cast<u32>(distance >> 1) & 0xff),
          Isa::T16);
    else
      put(0x0a000000 | cond << 28 | (static_cast<u32>(distance >> 2) & 0xffffff), Isa::A32);
  };
  // Over the second part, or to its beginning: then flags of the first may still be wanted behind the jump.
  const u32 cond = std::min(static_cast<u32>(random() % 21), k_always);
  const std::size_t over = cond == k_always ? 0 : skipped.code.size();
  branch(cond, loop.code.size(), loop.code.size() + (thumb ? 2 : 4) + over);
  loop.code.insert(loop.code.end(), skipped.code.begin(), skipped.code.end());
  loop.sequence.insert(loop.sequence.end(), skipped.sequence.begin(), skipped.sequence.end());
  put(thumb ? 0xf1b00001 | counter << 16 | counter << 8 : 0xe2500001 | counter << 16 | counter << 12,
      thumb ? Isa::T32 : Isa::A32);  // SUBS
  branch(static_cast<u32>(arm::Cond::NE), loop.code.size(), 0);
  for (u32 n = 0; n < 15; ++n)
    if (skipped.initial.r[n] - k_data < k_data_size) loop.initial.r[n] = skipped.initial.r[n];
  loop.initial.r[counter] = 2 + static_cast<u32>(random() % 6);
  loop.instructions = static_cast<u32>(loop.sequence.size());
  return {loop, counter};
}

const char* exclusion(const Case& c) {
  const auto& e = *c.encoding;
  frontend::Inst i;
  i.encoding = &e;
  i.raw = c.word;
  const bool system_mode = (c.initial.cpsr & arm::k_psr_mode) == arm::k_mode_sys;
  const bool user_or_system = system_mode || (c.initial.cpsr & arm::k_psr_mode) == arm::k_mode_usr;
  const bool exception_return_alu = !e.simd && e.isa == Isa::A32 && i('S') != 0 && i('d') == 15;
  if (exception_return_alu && !e.name.starts_with("SUB") && !e.name.starts_with("MOV"))
    return "of SUBS PC, LR and related (B9.3.20) the reference knows SUBS and MOVS";
  const bool mrs_spsr = e.name.starts_with("MRS") && ((c.word >> (e.isa == Isa::T32 ? 20 : 22)) & 1) != 0;
  const bool uses_spsr = exception_return_alu || mrs_spsr || starts_with_any(e.name, {"LDM_return", "SUBS_PC", "SRS"});
  if (user_or_system && uses_spsr && !e.simd) return "there is no SPSR in User and System mode (UNPREDICTABLE)";
  if (e.name.starts_with("MSR") && user_or_system && !system_mode)
    return "PL0 may write E by MSR (B1.3.3), which the reference does not do";
  const bool in_it = (c.initial.cpsr & (arm::k_psr_it_low | arm::k_psr_it_high)) != 0;
  if (in_it && e.name == "IT") return "UNPREDICTABLE inside an IT block (A8.8.54)";
  if (in_it && starts_with_any(e.name, {"VMRS_system", "SRS"})) return "the reference does not advance ITSTATE over it";
  const bool loads_pc = starts_with_any(e.name, {"POP", "LDM", "LDR"}) &&
                        frontend::disassemble(c.word, 0, c.isa).find("pc") != std::string::npos;
  const bool list_of_one =
      e.isa == Isa::T32 && !e.simd && starts_with_any(e.name, {"LDM", "STM"}) && std::popcount(c.word & 0xffff) == 1;
  if (list_of_one) return "UNPREDICTABLE (A8.8.57), and the one register is transferred here";
  if (in_it && (e.name.starts_with("BLX") || e.name == "BX" || e.name.starts_with("RFE") || loads_pc))
    return "the reference runs on behind a change to A32 at the end of an IT block";
  if (e.name.starts_with("SMLAD") && c.initial.r[i('n')] == 0x80008000 && c.initial.r[i('m')] == 0x80008000)
    return "Q depends on the whole sum (A8.8.176); the reference sets it for the sum of the products alone";
  if (e.name == "VCVT_fixed_to_fp" && (c.initial.fpscr & 0x00c00000) != 0)
    return "rounds to nearest whatever FPSCR says (A8.8.309); the reference obeys FPSCR";
  if (system_mode && starts_with_any(e.name, {"LDM_user", "STM_user"})) return "UNPREDICTABLE in System mode (B9.3.6)";
  if (starts_with_any(e.name, {"VTRN", "VUZP", "VZIP"}) && i('d') == i('m') && i('D') == i('M'))
    return "UNKNOWN result where both operands are one register (A8.8.420)";
  return nullptr;
}

std::string_view exclusion(const frontend::Encoding& e) {
  for (const auto& x : k_exclusions)
    if (e.name == x.prefix || (e.name.starts_with(x.prefix) && e.name[x.prefix.size()] == '_')) return x.reason;
  return {};
}

}  // namespace armvisor::oracle
