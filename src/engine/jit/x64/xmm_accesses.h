#pragma once
// Guest memory from and to xmm registers: where the values of a group of accesses are, for its host instructions and for
// its cold path. Neighbouring doublewords that are halves of one register move as one quadword.
#include "engine/jit/x64/xmm_registers.h"

namespace armvisor::engine::jit {

class XmmAccesses {
 public:
  XmmAccesses(Code& code, const Position& at, XmmRegisters& xmm) : code_(code), at_(at), xmm_(xmm) {}

  void begin_block() { accesses_.assign(at_.block->insts.size(), {}); }
  /// Before the group of `count` accesses at `index`: registers for what is loaded, and where what is stored is.
  void begin_group(u32 index, u32 count);
  /// The cold path of the group at `index` must keep xmm registers.
  bool keeps_xmm(u32 index) const { return accesses_[index].keep; }

  /// The value that i moves is in an xmm register.
  bool is_in_xmm(const ir::Inst& i) const { return of(i).x >= 0; }
  /// Its neighbour's host instruction moves it, too.
  bool moves_with_neighbour(const ir::Inst& i) const;
  void load(const ir::Inst& i, const Xbyak::RegExp& at);
  void store(const ir::Inst& i, const Xbyak::RegExp& at);
  // In the cold path, for values that are in xmm registers.
  void move_stored_to(const Xbyak::Reg64& d, const ir::Inst& i);
  void finish_load(const ir::Inst& i, const Xbyak::Reg64& value);  ///< what C++ gave goes where the hot path has it

 private:
  struct Access {
    int x = -1;
    bool keep = false;  ///< of the first of a group: values are in other registers
    bool quad = false;  ///< a doubleword that is moved together with the next access's
    bool high = false;  ///< it is, or was, the high half of the register
  };
  const Access& of(const ir::Inst& i) const {
    return accesses_[static_cast<std::size_t>(&i - at_.block->insts.data())];
  }

  Code& code_;
  const Position& at_;
  XmmRegisters& xmm_;
  std::vector<Access> accesses_;  ///< by instruction
};

}  // namespace armvisor::engine::jit
