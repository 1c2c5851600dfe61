#include "oracle/compare.h"

#include <cstdarg>
#include <cstdio>

#include "frontend/disassembler.h"

namespace armvisor::oracle {
namespace {

constexpr u32 k_psr_reserved = 0x00f00000;

__attribute__((format(printf, 2, 3))) void add(std::string& text, const char* format, ...) {
  char line[160];
  va_list args;
  va_start(args, format);
  std::vsnprintf(line, sizeof line, format, args);
  va_end(args);
  text += line;
}

void field(std::string& text, const char* name, u64 before, u64 ours, u64 theirs) {
  if (ours != theirs)
    add(text, "    %-6s was %llx: ours %llx, reference %llx\n", name, static_cast<unsigned long long>(before),
        static_cast<unsigned long long>(ours), static_cast<unsigned long long>(theirs));
}

}  // namespace

std::string differences(const Case& c, const Result& ours, const Result& theirs) {
  std::string text;
  if (ours.outcome != theirs.outcome) {
    add(text, "    ours %s, reference %s\n", outcome_name(ours.outcome), outcome_name(theirs.outcome));
    return text;
  }
  const MachineState &a = ours.state, &b = theirs.state, &was = c.initial;
  if (ours.outcome != Outcome::Normal && ours.outcome != Outcome::Svc) return text;
  // Banked registers of a mode that was entered are not part of a case's state.
  const bool same_mode = ((a.cpsr ^ was.cpsr) & arm::k_psr_mode) == 0;
  const u32 mode = was.cpsr & arm::k_psr_mode;
  const bool overwritten = ours.outcome == Outcome::Svc && mode == arm::k_mode_svc;  // by the exception itself
  for (u32 n = 0; n < (!same_mode ? 8u : overwritten ? 14u : 15u); ++n)
    field(text, ("r" + std::to_string(n)).c_str(), was.r[n], a.r[n], b.r[n]);
  // A branch to ARM state with address bit 1 set is UNPREDICTABLE (A2.3.1).
  const u32 pc_mask = (b.cpsr & arm::k_psr_t) ? ~1u : ~3u;
  if (ours.outcome == Outcome::Normal) field(text, "pc", was.r[15], a.r[15] & pc_mask, b.r[15] & pc_mask);
  const u32 it = ours.outcome == Outcome::Svc ? arm::k_psr_it_low | arm::k_psr_it_high : 0;
  const u32 mask = ~(arm::k_psr_j | it);
  field(text, "cpsr", was.cpsr, a.cpsr & mask, b.cpsr & mask);
  if (same_mode && !overwritten && mode != arm::k_mode_usr && mode != arm::k_mode_sys)
    field(text, "spsr", was.spsr, a.spsr & ~k_psr_reserved, b.spsr & ~k_psr_reserved);
  // No short vectors and no trapped exceptions here: Len, Stride and the enable bits stay 0.
  constexpr u32 k_fpscr = ~0x00379f00u;
  field(text, "fpscr", was.fpscr, a.fpscr & k_fpscr, b.fpscr & k_fpscr);
  for (u32 n = 0; n < 32; ++n) field(text, ("d" + std::to_string(n)).c_str(), was.d[n], a.d[n], b.d[n]);
  return text;
}

std::string describe(const Case& c) {
  std::string text;
  add(text, "%.*s %08x  ", static_cast<int>(c.encoding->name.size()), c.encoding->name.data(), c.word);
  text += frontend::disassemble(c.word, c.initial.r[15], c.isa) + "\n   ";
  for (const Part& part : c.sequence)
    add(text, " %08x %s;", part.word, frontend::disassemble(part.word, 0, part.isa).c_str());
  if (!c.sequence.empty()) text += "\n   ";
  for (u32 n = 0; n < 15; ++n) add(text, " r%u=%x", n, c.initial.r[n]);
  add(text, " cpsr=%x fpscr=%x\n", c.initial.cpsr, c.initial.fpscr);
  return text;
}

}  // namespace armvisor::oracle
