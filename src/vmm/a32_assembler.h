#pragma once
// Just enough of an A32 assembler to write a guest's program as C++ (encodings: ARM DDI 0406C A8).
#include <vector>

#include "base/types.h"

namespace armvisor::vmm {

class A32Assembler {
 public:
  explicit A32Assembler(u32 base) : base_(base) {}

  u32 here() const { return base_ + 4 * static_cast<u32>(words_.size()); }
  const std::vector<u32>& words() const { return words_; }

  void word(u32 w) { words_.push_back(w); }
  void go_to(u32 address) {  ///< fills up to there
    while (here() < address) word(k_nop);
  }
  /// A branch whose target comes later: to be given to land().
  u32 forward(u32 condition = k_always) {
    word(condition | 0x0a000000);
    return here() - 4;
  }
  void land(u32 branch) { word_at(branch) |= (here() - branch - 8) >> 2 & 0xffffff; }
  void branch(u32 target, u32 condition = k_always) {
    word(condition | 0x0a000000 | ((target - here() - 8) >> 2 & 0xffffff));
  }

  void mov(u32 rd, u32 value) {  ///< MOVW, MOVT
    word(0xe3000000 | rd << 12 | (value & 0xf000) << 4 | (value & 0xfff));
    if (value >> 16) word(0xe3400000 | rd << 12 | (value >> 16 & 0xf000) << 4 | (value >> 16 & 0xfff));
  }
  void move(u32 rd, u32 rm) { word(0xe1a00000 | rd << 12 | rm); }
  void add(u32 rd, u32 rn, u32 imm) { word(0xe2800000 | rn << 16 | rd << 12 | imm); }
  void subs(u32 rd, u32 rn, u32 imm) { word(0xe2500000 | rn << 16 | rd << 12 | imm); }
  void ldr(u32 rt, u32 rn, u32 offset = 0) { word(0xe5900000 | rn << 16 | rt << 12 | offset); }
  void str(u32 rt, u32 rn, u32 offset = 0) { word(0xe5800000 | rn << 16 | rt << 12 | offset); }
  void bx(u32 rm) { word(0xe12fff10 | rm); }
  void blx(u32 rm) { word(0xe12fff30 | rm); }
  void mrc(u32 rt, u32 op1, u32 crn, u32 crm, u32 op2) { word(cp15(0xee100f10, rt, op1, crn, crm, op2)); }
  void mcr(u32 rt, u32 op1, u32 crn, u32 crm, u32 op2) { word(cp15(0xee000f10, rt, op1, crn, crm, op2)); }
  void cps(u32 mode) { word(0xf1020000 | mode); }

  static constexpr u32 k_always = 0xe0000000, k_not_equal = 0x10000000, k_equal = 0;
  static constexpr u32 k_nop = 0xe320f000, k_isb = 0xf57ff06f, k_dsb = 0xf57ff04f, k_wfi = 0xe320f003;

 private:
  static u32 cp15(u32 base, u32 rt, u32 op1, u32 crn, u32 crm, u32 op2) {
    return base | op1 << 21 | crn << 16 | rt << 12 | op2 << 5 | crm;
  }
  u32& word_at(u32 address) { return words_[(address - base_) / 4]; }

  const u32 base_;
  std::vector<u32> words_;
};

}  // namespace armvisor::vmm
