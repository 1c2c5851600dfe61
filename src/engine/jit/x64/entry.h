#pragma once
// What a block does where it is entered, before any of its instructions: it looks whether somebody wants something
// (Dispatch::attention), whether it is the block for this FPSCR (k_key_fp) and, where links enter it, whether its
// second page is still the one that it was made from; and loads what it keeps in registers.
#include "engine/jit/x64/exits.h"

namespace armvisor::engine::jit {

class Entry {
 public:
  /// `count_instructions`: see JitOptions.
  Entry(Code& code, const Position& at, XmmRegisters& xmm, ColdPaths& cold, Calls& calls, Exits& exits,
        const Stubs& stubs, bool count_instructions)
      : code_(code),
        at_(at),
        xmm_(xmm),
        cold_(cold),
        calls_(calls),
        exits_(exits),
        stubs_(stubs),
        count_instructions_(count_instructions) {}

  void emit();
  /// Of the block whose code is complete: where links enter it, if that is not its start (Block::linked); 0: it is.
  std::size_t linked() const { return linked_; }

 private:
  void check_second_page();
  void check_fp();
  void leave(std::size_t stub);

  Code& code_;
  const Position& at_;
  XmmRegisters& xmm_;
  ColdPaths& cold_;
  Calls& calls_;
  Exits& exits_;
  const Stubs& stubs_;
  const bool count_instructions_;
  std::size_t linked_ = 0;
};

}  // namespace armvisor::engine::jit
