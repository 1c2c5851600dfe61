#pragma once
// What only we refuse, line by line (refusals.inc), and where only we ask for alignment (alignments.inc).
#include <string>

#include "oracle/case.h"

namespace armvisor::oracle {

/// One instruction of a case, with the CPSR that it was executed with.
struct Executed {
  const frontend::Encoding* encoding = nullptr;
  frontend::Isa isa{};
  u32 word = 0;  ///< in the form of the line's pattern
  u32 cpsr = 0;
};

/// The one instruction of `c`, or what decides of a case with a preparing one.
Executed executed(const Case& c);
/// The instruction at `pc` of `c`, which may be a sequence, executed with `cpsr`.
Executed executed_at(const Case& c, u32 pc, u32 cpsr);

/// Whether a condition of refusals.inc holds.
bool is_refused(const Executed& e);
/// Bytes of which an address must be a multiple by alignments.inc; 1: of none.
u32 alignment_asked(const Executed& e);
/// Whether the instruction is executed, by its condition or that of its IT block.
bool is_selected(const Executed& e);

/// Checks both files: names that are in no table, conditions that cannot be read. Empty: none.
std::string file_errors();

}  // namespace armvisor::oracle
