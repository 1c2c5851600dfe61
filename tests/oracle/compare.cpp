#include "oracle/compare.h"

#include <cstdarg>
#include <cstdio>

#include "frontend/disassembler.h"

namespace armvisor::oracle {
bool reference_goes_on(const Case& c, const Result& ours, const Result& theirs) {
  constexpr u32 k_it = arm::k_psr_it_low | arm::k_psr_it_high;
  return theirs.outcome == Outcome::DataAbort && !c.sequence.empty() && (ours.state.cpsr & k_it) != 0;
}

namespace {

constexpr u32 k_psr_reserved = 0x00f00000;
constexpr u32 k_translation_of_section = 5;  ///< fault status (B3.13.3)

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

/// What taking the exception left behind (B1.8.3, B1.9), which the manual says and the reference does not do.
void compare_entry(std::string& text, const Case& c, const Result& ours, const Result& theirs) {
  const ExceptionEntry& e = ours.entry;
  static constexpr u32 k_modes[] = {0, arm::k_mode_und, arm::k_mode_svc, arm::k_mode_abt, arm::k_mode_abt};
  const u32 was = e.spsr, masks = arm::k_psr_i | (e.vector >= 3 ? arm::k_psr_a : 0);
  const u32 gone =
      arm::k_psr_mode | arm::k_psr_t | arm::k_psr_j | arm::k_psr_e | arm::k_psr_it_low | arm::k_psr_it_high;
  field(text, "entry", was, e.cpsr, (was & ~gone) | masks | k_modes[e.vector]);
  const bool prefetch = e.vector == 3, data = e.vector == 4;
  const bool aborted_fetch = prefetch && e.ifsr != 2 && !ours.table_overwritten;  // 2: BKPT
  if (aborted_fetch) field(text, "ifsr", 0, e.ifsr & 0x40f, k_translation_of_section);
  if (aborted_fetch) field(text, "ifar", 0, e.ifar, e.lr - 4);
  if (!data || ours.alignment_fault || theirs.outcome != Outcome::DataAbort) return;
  if (ours.table_overwritten || reference_goes_on(c, ours, theirs)) return;
  field(text, "dfsr", 0, e.dfsr & 0xc0f, k_translation_of_section | (theirs.abort_write ? 1u << 11 : 0));
  field(text, "dfar", c.initial.r[15], e.dfar, theirs.abort_address);
}

}  // namespace

std::string differences(const Case& c, const Result& ours, const Result& theirs) {
  std::string text;
  if (ours.outcome != theirs.outcome) {
    add(text, "    ours %s, reference %s\n", outcome_name(ours.outcome), outcome_name(theirs.outcome));
    return text;
  }
  const MachineState &a = ours.state, &b = theirs.state, &was = c.initial;
  compare_entry(text, c, ours, theirs);
  // At an abort in an IT block or a sequence the reference's PC and ITSTATE are those of an instruction before.
  constexpr u32 k_it = arm::k_psr_it_low | arm::k_psr_it_high;
  const bool vague = theirs.outcome == Outcome::DataAbort && (!c.sequence.empty() || (was.cpsr & k_it) != 0);
  if (reference_goes_on(c, ours, theirs)) return text;
  // Banked registers of a mode that was entered are not part of a case's state.
  const bool same_mode = ((a.cpsr ^ was.cpsr) & arm::k_psr_mode) == 0;
  const u32 mode = was.cpsr & arm::k_psr_mode;
  const bool overwritten = ours.outcome == Outcome::Svc && mode == arm::k_mode_svc;  // by the exception itself
  for (u32 n = 0; n < (!same_mode ? 8u : overwritten ? 14u : 15u); ++n)
    field(text, ("r" + std::to_string(n)).c_str(), was.r[n], a.r[n], b.r[n]);
  // A branch to ARM state with address bit 1 set is UNPREDICTABLE (A2.3.1).
  const u32 pc_mask = (b.cpsr & arm::k_psr_t) ? ~1u : ~3u;
  if (ours.outcome != Outcome::Svc && !vague) field(text, "pc", was.r[15], a.r[15] & pc_mask, b.r[15] & pc_mask);
  const u32 it = ours.outcome == Outcome::Svc || vague ? k_it : 0;
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
