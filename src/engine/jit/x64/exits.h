#pragma once
// Ways out of a block: links, which the compiler leads to other blocks, and the stubs that leave for the dispatcher.
//
// Whoever finds the next block looks at the context, so each way but set_pc() and jump_if() parks first (Calls::park).
// Flags that are pending have been recovered before (FlagEmitter::recover). The jump of a link within the page has its
// displacement at a multiple of 4, so that it can be changed while other vCPUs run through it.
#include <vector>

#include "engine/jit/x64/calls.h"

namespace armvisor::engine::jit {

class Exits {
 public:
  /// `regions`: loops are counted (JitOptions).
  Exits(Code& code, const Position& at, ColdPaths& cold, Calls& calls, const Stubs& stubs, bool regions)
      : code_(code), at_(at), cold_(cold), calls_(calls), stubs_(stubs), regions_(regions) {}

  /// `links`: those of the block to be, which get Link::patch and Link::unlinked as their exits are emitted.
  void begin_block(Link* links);
  /// No exit goes on inside an IT block, where links must not lead.
  bool may_link() const { return may_link_; }
  /// Of the exit at `index`; null if none may have one.
  Link* link_of(u32 index) const { return may_link_ ? &links_[link_numbers_[index]] : nullptr; }

  void set_pc(ir::Address pc);
  /// To `pc` by its link, or if that is null by the dispatcher. `from`: address of the instruction that leaves.
  void jump(Link* link, ir::Address pc, u32 from);
  /// As jump() when the host's condition holds; the link is to the same page, and nothing needs to be parked.
  void jump_if(u8 cc, Link& link);
  /// To `pc`, which the dispatcher finds afresh.
  void sync(ir::Address pc);
  /// For `why`, with Dispatch::at naming the instruction at hand.
  void leave(Leave why);
  /// A jump from `from` closes a loop that may be worth a region: jump() counts it.
  bool closes_loop(const Link& link, u32 from) const { return regions_ && link.same_page && link.pc <= from; }

 private:
  std::size_t number_of(const Link& link) const { return static_cast<std::size_t>(&link - links_); }
  void load(const ScratchEdx& edx, const Link& link);
  void jump_to_other_page(const Link& link, Label unlinked);
  void count_loop(const Link& link);
  void leave_unlinked(Link& link, Label unlinked);
  u8* align_displacement(std::size_t opcode_bytes);

  Code& code_;
  const Position& at_;
  ColdPaths& cold_;
  Calls& calls_;
  const Stubs& stubs_;
  const bool regions_;
  Link* links_ = nullptr;
  bool may_link_ = true;
  std::vector<u16> link_numbers_;  ///< by instruction: of the first link that no instruction before it has
};

}  // namespace armvisor::engine::jit
