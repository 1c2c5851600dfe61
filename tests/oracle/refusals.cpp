#include "oracle/refusals.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

namespace armvisor::oracle {
namespace {

using frontend::Encoding;
using frontend::Isa;

enum class Table : u8 { a32, t32, t16, simd };

struct Line {
  Table table;
  std::string_view name, conditions;
};
constexpr Line k_refusals[] = {
#define REFUSED(table, name, conditions, section) {Table::table, name, conditions},
#include "oracle/refusals.inc"
#undef REFUSED
};
constexpr Line k_alignments[] = {
#define ALIGNED(table, name, conditions) {Table::table, name, conditions},
#include "oracle/alignments.inc"
#undef ALIGNED
};

Table table_of(const Encoding& e) {
  return e.simd ? Table::simd : e.isa == Isa::A32 ? Table::a32 : e.isa == Isa::T32 ? Table::t32 : Table::t16;
}

/// The conditions of the line of `e`; empty: it has none.
template <std::size_t N>
std::string_view conditions_of(const Line (&lines)[N], const Encoding& e) {
  for (const Line& line : lines)
    if (line.table == table_of(e) && line.name == e.name) return line.conditions;
  return {};
}

/// Takes what stands before `separator`, and that, off `text`.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view first = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return first;
}

/// Evaluates conditions on an instruction.
class Conditions {
 public:
  explicit Conditions(const Executed& e) : e_(e) {
    inst_.encoding = e.encoding;
    inst_.raw = e.word;
  }

  bool all(std::string_view terms) {
    bool holds = true;
    while (!terms.empty()) holds &= term(take(terms, '&'));
    return holds;
  }
  bool any(std::string_view list) {
    bool holds = false;
    while (!list.empty()) holds |= all(take(list, ' '));
    return holds;
  }
  bool readable() const { return readable_; }

 private:
  bool term(std::string_view t) {
    if (t == "it") return (e_.cpsr & (arm::k_psr_it_low | arm::k_psr_it_high)) != 0;
    if (t == "thumb") return e_.isa != Isa::A32;
    if (const std::size_t dot = t.find('.'); dot != t.npos)
      return value(t.substr(0, dot)) >> number(t.substr(dot + 1)) & 1;
    const std::size_t at = t.find_first_of("!=>");
    if (at == 0 || at == t.npos) return readable_ = false;
    const u32 left = value(t.substr(0, at));
    if (t[at] == '>') return left > right(t.substr(at + 1));
    return t[at] == '=' ? left == right(t.substr(at + 1)) : left != right(t.substr(at + 2));
  }
  u32 right(std::string_view t) {
    if (t.empty()) return readable_ = false;
    if (t[0] >= '0' && t[0] <= '9') return number(t);
    const std::string_view field = take(t, '+');
    return value(field) + (t.empty() ? 0 : number(t));
  }
  u32 number(std::string_view t) {
    u32 n = 0;
    readable_ &= std::from_chars(t.begin(), t.end(), n).ptr == t.end() && !t.empty();
    return n;
  }
  /// Fields, joined.
  u32 value(std::string_view letters) {
    u32 v = 0;
    for (const char letter : letters) {
      const u32 width = static_cast<u32>(std::ranges::count(e_.encoding->pattern, letter));
      readable_ &= width != 0;
      v = v << width | inst_(letter);
    }
    return v;
  }

  const Executed& e_;
  frontend::Inst inst_;
  bool readable_ = true;
};

template <std::size_t N>
std::string errors_of(const Line (&lines)[N], const char* file) {
  std::string text;
  for (const Line& line : lines) {
    bool found = false, readable = true;
    for (const Encoding& e : frontend::encodings()) {
      if (table_of(e) != line.table || e.name != line.name) continue;
      found = true;
      const Executed any{&e, e.isa, e.value, 0};
      Conditions conditions(any);
      for (std::string_view list = line.conditions; !list.empty();) {
        std::string_view one = take(list, ' ');
        conditions.all(take(one, ':'));
      }
      readable &= conditions.readable();
    }
    if (!found || !readable)
      text += std::string(file) + ": " + std::string(line.name) +
              (found ? ": a condition has a field that the line has not\n" : ": no line of the tables\n");
  }
  return text;
}

bool holds(arm::Cond cond, u32 cpsr) {
  arm::CpuState s{};
  s.n = cpsr >> 31 & 1;
  s.z = cpsr >> 30 & 1;
  s.c = cpsr >> 29 & 1;
  s.v = cpsr >> 28 & 1;
  return arm::condition_holds(s, cond);
}

}  // namespace

Executed executed(const Case& c) {
  u32 form = c.word;
  if (c.isa == Isa::T32) (void)frontend::decode_t32(c.word, form);
  return {c.encoding, c.isa, form, c.initial.cpsr};
}

Executed executed_at(const Case& c, u32 pc, u32 cpsr) {
  Executed e = executed(c);
  e.cpsr = cpsr;
  u32 at = c.initial.r[15];
  for (const Part& part : c.sequence) {
    if (at == pc) {
      e.isa = part.isa;
      e.word = part.word;
      e.encoding = part.isa == Isa::A32   ? frontend::decode_a32(part.word)
                   : part.isa == Isa::T32 ? frontend::decode_t32(part.word, e.word)
                                          : frontend::decode_t16(static_cast<u16>(part.word));
      return e;
    }
    at += part.isa == Isa::T16 ? 2 : 4;
  }
  return e;
}

bool is_refused(const Executed& e) { return Conditions(e).any(conditions_of(k_refusals, *e.encoding)); }

u32 alignment_asked(const Executed& e) {
  for (std::string_view list = conditions_of(k_alignments, *e.encoding); !list.empty();) {
    std::string_view one = take(list, ' ');
    const std::string_view when = take(one, ':');
    u32 bytes = 1;
    std::from_chars(one.begin(), one.end(), bytes);
    if (Conditions(e).all(when)) return bytes;
  }
  return 1;
}

bool is_selected(const Executed& e) {
  if (e.isa != Isa::A32) {
    const u32 it = (e.cpsr >> 25 & 3) | (e.cpsr >> 10 & 0x3f) << 2;
    return (it & 15) == 0 || holds(static_cast<arm::Cond>(it >> 4), e.cpsr);
  }
  return !e.encoding->pattern.starts_with("cccc") || holds(static_cast<arm::Cond>(e.word >> 28), e.cpsr);
}

std::string file_errors() { return errors_of(k_refusals, "refusals.inc") + errors_of(k_alignments, "alignments.inc"); }

}  // namespace armvisor::oracle
