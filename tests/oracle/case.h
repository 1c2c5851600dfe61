#pragma once
// A test case: one instruction, the state it starts from, and what came of it.
#include <array>
#include <vector>

#include "arm/cpu_state.h"
#include "frontend/decoder.h"

namespace armvisor::oracle {

// The guest's memory map. Loads and stores are steered to the data window; our vectors and translation table lie where
// stray ones seldom reach.
inline constexpr u32 k_ram_base = 0x40000000, k_ram_size = 0x200000;
inline constexpr u32 k_code = k_ram_base + 0x20000;
inline constexpr u32 k_code_size = 160;                 ///< the longest case, and undefined instructions behind it
inline constexpr u32 k_system = k_ram_base + 0x1f0000;  ///< to the end of RAM
inline constexpr u32 k_data = k_ram_base + 0x100000, k_data_size = 0x10000;

enum class Outcome : u8 { Normal, Undefined, Svc, PrefetchAbort, DataAbort, Lost };

inline const char* outcome_name(Outcome o) {
  static constexpr const char* k_names[] = {"normal", "undefined", "svc", "prefetch abort", "data abort", "lost"};
  return k_names[static_cast<unsigned>(o)];
}

struct MachineState {
  std::array<u32, 16> r{};  ///< r[15]: next instruction
  u32 cpsr = 0, spsr = 0, fpscr = 0;
  std::array<u64, 32> d{};
};

struct Part {
  frontend::Isa isa{};
  u32 word = 0;  ///< as disassemble() takes it
};

struct Case {
  const frontend::Encoding* encoding = nullptr;
  frontend::Isa isa{};
  u32 word = 0;  ///< as disassemble() takes it
  std::vector<u8> code;
  std::vector<Part> sequence;  ///< of several instructions; else empty
  u32 instructions = 1;        ///< more than one where a preparing instruction comes first (exclusives)
  MachineState initial;
};

/// What taking an exception leaves behind, for ours only: the reference stops before it takes one.
struct ExceptionEntry {
  u32 vector = 0;  ///< number of the vector: 1 Undefined Instruction, 2 Supervisor Call, 3 Prefetch Abort, 4 Data Abort
  u32 cpsr = 0, spsr = 0, lr = 0;
  u32 dfsr = 0, dfar = 0, ifsr = 0, ifar = 0;
};

struct Result {
  Outcome outcome = Outcome::Lost;
  bool alignment_fault = false;  ///< of DataAbort (ours only)
  MachineState state;            ///< after Normal; after an exception that of the interrupted program
  ExceptionEntry entry;
  bool table_overwritten = false;  ///< the case stored in the translation table (ours only)
  u32 abort_address = 0;           ///< of DataAbort (theirs only): where nothing is
  bool abort_write = false;        ///< likewise
};

}  // namespace armvisor::oracle
