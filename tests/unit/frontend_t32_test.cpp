// Thumb decode tables and handlers: every line decodes its own words, disassembly agrees with Capstone,
// and translation makes well-formed IR of any word.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "capstone.h"
#include "frontend/decoder.h"
#include "frontend/disassembler.h"
#include "frontend/translate.h"

namespace armvisor::frontend {
namespace {

const Encoding* decode(Isa isa, u32 word) {
  if (isa == Isa::T16) return decode_t16(static_cast<u16>(word));
  u32 form = 0;
  return decode_t32(word, form);
}

/// A word of `e` with everything that is not fixed filled from `random`.
u32 fill(const Encoding& e, std::mt19937& random) {
  const u32 all = e.isa == Isa::T16 ? 0xffff : ~u32{0};
  return (e.value | (static_cast<u32>(random()) & ~e.mask)) & all;
}

std::vector<const Encoding*> thumb_lines() {
  std::vector<const Encoding*> lines;
  for (const auto& e : encodings())
    if (e.isa != Isa::A32) lines.push_back(&e);
  return lines;
}

std::vector<u8> bytes_of(Isa isa, u32 word) {
  std::vector<u8> out;
  if (isa != Isa::T16) out = {static_cast<u8>(word >> 16), static_cast<u8>(word >> 24)};
  out.push_back(static_cast<u8>(word));
  out.push_back(static_cast<u8>(word >> 8));
  return out;
}

TEST(ThumbDecode, EveryLineDecodesItsOwnWords) {
  std::mt19937 random(1);
  for (const Encoding* e : thumb_lines()) {
    u32 own = 0;
    for (int k = 0; k < 300; ++k) {
      const u32 word = fill(*e, random);
      const Encoding* found = decode(e->isa, word);
      ASSERT_NE(found, nullptr) << e->name << std::hex << " " << word;
      if (found == e)
        ++own;
      else
        EXPECT_GE(std::popcount(found->mask), std::popcount(e->mask)) << e->name << " lost to " << found->name;
      EXPECT_EQ(word & found->mask, found->value);
    }
    EXPECT_GT(own, 0u) << e->name << " is never chosen";
  }
}

TEST(ThumbDecode, LinesOfEqualWeightDoNotOverlap) {
  const auto lines = thumb_lines();
  for (const Encoding* a : lines)
    for (const Encoding* b : lines) {
      if (a >= b || a->isa != b->isa || std::popcount(a->mask) != std::popcount(b->mask)) continue;
      EXPECT_NE((a->value ^ b->value) & a->mask & b->mask, 0u) << a->name << " and " << b->name;
    }
}

bool gives_undefined(Isa isa, u32 word, u8 it = 0) {
  Context c;
  c.thumb = true;
  c.it = it;
  ir::Block block;
  if (!translate(c, 0x8000, bytes_of(isa, word), {1}, block)) return false;
  return std::any_of(block.insts.begin(), block.insts.end(),
                     [](const ir::Inst& i) { return i.op == ir::Op::ExitUndefined; });
}

TEST(ThumbTranslate, UnallocatedAndRefusedWordsAreUndefined) {
  EXPECT_TRUE(gives_undefined(Isa::T16, 0xb600));
  EXPECT_TRUE(gives_undefined(Isa::T16, 0xde00));      // udf
  EXPECT_TRUE(gives_undefined(Isa::T32, 0xf3bf8f0f));  // LEAVEX: no ThumbEE
  EXPECT_TRUE(gives_undefined(Isa::T32, 0xf3bf8f1f));  // ENTERX
  EXPECT_TRUE(gives_undefined(Isa::T32, 0xfa80f0c0));  // data processing (register), unallocated
  EXPECT_TRUE(gives_undefined(Isa::T32, 0xf84f0000));  // str with Rn = PC
  EXPECT_TRUE(gives_undefined(Isa::T32, 0xe8bd2003));  // ldm with SP in the list
}

TEST(ThumbTranslate, BranchesStandOnlyLastInAnItBlock) {
  EXPECT_TRUE(gives_undefined(Isa::T16, 0x4770, 0x04));   // bx lr, one more to come
  EXPECT_FALSE(gives_undefined(Isa::T16, 0x4770, 0x08));  // bx lr, last
  EXPECT_TRUE(gives_undefined(Isa::T16, 0xb108, 0x08));   // cbz never
  EXPECT_TRUE(gives_undefined(Isa::T16, 0xbf08, 0x08));   // it in it
}

/// Differences of spelling that say the same instruction: width suffixes, spaces, names of registers, number bases.
std::string normalised(std::string s) {
  for (const char* suffix : {".w", "#", " ", "[", "]"}) {
    for (size_t at; (at = s.find(suffix)) != std::string::npos;) s.erase(at, std::strlen(suffix));
  }
  for (auto [from, to] : {std::pair{"r13", "sp"},
                          {"r14", "lr"},
                          {"r15", "pc"},
                          {"sb", "r9"},
                          {"sl", "r10"},
                          {"fp", "r11"},
                          {"ip", "r12"}}) {
    for (size_t at; (at = s.find(from)) != std::string::npos;) s.replace(at, std::strlen(from), to);
  }
  // numbers in decimal
  std::string out;
  for (size_t k = 0; k < s.size();) {
    if (s.compare(k, 2, "0x") == 0) {
      size_t used = 0;
      out += std::to_string(std::stoul(s.substr(k), &used, 16));
      k += used;
    } else {
      out += s[k++];
    }
  }
  return out;
}

/// The part of an instruction that must agree: the mnemonic, without what differs in taste.
std::string mnemonic(const std::string& s) {
  std::string m = s.substr(0, s.find_first_of(" \t"));
  if (auto dot = m.find('.'); dot != std::string::npos) m.erase(dot);
  return m;
}

TEST(ThumbDisassembly, AgreesWithCapstone) {
  const Capstone capstone(CS_MODE_THUMB);
  ASSERT_TRUE(capstone.ok());
  std::mt19937 random(2);
  u32 compared = 0, same_text = 0, same_mnemonic = 0;
  for (const Encoding* e : thumb_lines()) {
    u32 good = 0, bad = 0;
    std::string example;
    for (int k = 0; k < 100; ++k) {
      const u32 word = fill(*e, random);
      if (decode(e->isa, word) != e) continue;
      const std::string theirs = capstone.text(bytes_of(e->isa, word), 0x1000);
      if (theirs.empty()) continue;  // UNPREDICTABLE or unknown to it
      const std::string ours = disassemble(word, 0x1000, e->isa);
      ++compared;
      const bool text = normalised(ours) == normalised(theirs);
      const bool name = mnemonic(ours) == mnemonic(theirs);
      same_text += text;
      same_mnemonic += name;
      (text ? good : bad) += 1;
      if (!text) example = ours + " / " + theirs;
    }
    if (bad > 0 && std::getenv("ARMVISOR_VERBOSE"))
      printf("%-14s %3u of %3u agree: %s\n", std::string(e->name).c_str(), good, good + bad, example.c_str());
  }
  EXPECT_GT(compared, 10000u);
  // The rest is spelling: aliases (mov with a shift, push and pop), offsets of zero, IT masks, adr.
  EXPECT_GT(same_text * 100.0 / compared, 80.0);
  EXPECT_GT(same_mnemonic * 100.0 / compared, 90.0);
}

Context context_of(std::mt19937& random) {
  Context c;
  c.thumb = true;
  c.privileged = (random() & 1) != 0;
  c.big_endian = (random() & 7) == 0;
  c.align_strict = (random() & 3) == 0;
  c.it = (random() & 3) == 0 ? static_cast<u8>(random()) : u8{0};
  if ((c.it & 15) == 0 || (c.it >> 4) == 15) c.it = 0;
  c.vfp_enabled = c.vfp_accessible = c.simd_enabled = (random() & 1) != 0;
  return c;
}

void expect_well_formed(const Context& context, const std::vector<u8>& code) {
  ir::Block block;
  if (!translate(context, 0x8000, code, {16}, block)) return;
  ASSERT_EQ(ir::verify(block), "") << ir::print(block);
}

TEST(ThumbTranslate, EveryLineGivesWellFormedIr) {
  std::mt19937 random(3);
  for (const Encoding* e : thumb_lines()) {
    for (int k = 0; k < 200; ++k) {
      auto code = bytes_of(e->isa, fill(*e, random));
      code.insert(code.end(), {0x00, 0xbf, 0x70, 0x47});
      expect_well_formed(context_of(random), code);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(ThumbTranslate, RandomBytesGiveWellFormedIr) {
  std::mt19937 random(4);
  for (int k = 0; k < 20000; ++k) {
    std::vector<u8> code(2 + random() % 40);
    for (auto& b : code) b = static_cast<u8>(random());
    expect_well_formed(context_of(random), code);
    if (HasFatalFailure()) return;
  }
}

TEST(ThumbTranslate, StopsBeforeAnInstructionThatIsNotWhollyThere) {
  Context c;
  c.thumb = true;
  ir::Block block;
  const u8 half_of_t32[] = {0x00, 0xf0};
  EXPECT_FALSE(translate(c, 0x1ffe, half_of_t32, {64}, block));
  const u8 nop_then_half[] = {0x00, 0xbf, 0x00, 0xf0};
  ASSERT_TRUE(translate(c, 0x1ffc, nop_then_half, {64}, block));
  EXPECT_EQ(block.guest_bytes, 2u);
}

}  // namespace
}  // namespace armvisor::frontend
