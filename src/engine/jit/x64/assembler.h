#pragma once
// Xbyak with labels that cost little. Its own keep their books in hash tables, which would be a good part of the time
// that a translation takes; only constants in the code, which are rare, use them.
#include <xbyak/xbyak.h>

#include <utility>
#include <vector>

#include "base/types.h"

namespace armvisor::engine::jit {

/// A place in the code of one block, which jumps may name before it is known. Assembler::label() makes them.
struct Label {
  u32 number;
};

class Assembler : public Xbyak::CodeGenerator {
 public:
  Assembler();

  /// Code comes from `at` on, at most `capacity` bytes; Xbyak::Error is thrown when it would be more.
  void start(u8* at, std::size_t capacity);
  /// The constants come, and all labels have their places: the code is complete.
  void finish_code();

  [[nodiscard]] Label label();
  void L(Label label) { places_[label.number] = static_cast<u32>(getSize()); }  ///< is here
  using CodeGenerator::jmp;
  void jmp(Label to, LabelType type = T_SHORT) { jump(0xeb, 0xe9, to, type); }
  // What leads out of the block depends on where the block is: Code::jump_to and its relatives declare it.
  void jmp(const void*, LabelType = T_AUTO) = delete;
  void call(const void*) = delete;
  /// `cc`: the condition as in the opcode, 0 (O) to 15 (G).
  void jcc(u8 cc, Label to, LabelType type = T_NEAR);
  void setcc(u8 cc, const Xbyak::Reg8& d);  ///< al, cl or dl
#define AV_JUMP(name, cc) \
  void name(Label to, LabelType type = T_SHORT) { jcc(cc, to, type); }
  AV_JUMP(jo, 0)
  AV_JUMP(jb, 2)
  AV_JUMP(jae, 3)
  AV_JUMP(je, 4)
  AV_JUMP(jz, 4)
  AV_JUMP(jne, 5)
  AV_JUMP(jnz, 5)
  AV_JUMP(jbe, 6)
  AV_JUMP(ja, 7)
  AV_JUMP(js, 8)
  AV_JUMP(jp, 10)
#undef AV_JUMP
  void load_address(const Xbyak::Reg64& d, Label of);
  /// 16 bytes behind the code.
  Xbyak::Address constant(u64 low, u64 high);

 private:
  void jump(u8 short_opcode, u8 near_opcode, Label to, LabelType type);

  struct Reference {
    u32 label;
    u32 at;  ///< offset of the displacement
    u32 bytes;
  };
  std::vector<u32> places_;  ///< by number of a label: offset in the code
  std::vector<Reference> references_;
  std::vector<std::pair<std::pair<u64, u64>, Xbyak::Label>> constants_;
};

}  // namespace armvisor::engine::jit
