// VFP and Advanced SIMD lines: every line decodes its own words in A32 and T32 form, disassembly agrees with capstone
// where that is installed, translation makes well-formed IR of any word, and what is switched off is UNDEFINED. What
// the instructions compute is compared with another implementation by tests/oracle.
#include <gtest/gtest.h>

#include <algorithm>
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

std::vector<const Encoding*> simd_lines() {
  std::vector<const Encoding*> lines;
  for (const auto& e : encodings())
    if (e.simd) lines.push_back(&e);
  return lines;
}

/// A word of `e`, always executed, with everything that is not fixed filled from `random`.
u32 fill(const Encoding& e, std::mt19937& random) {
  const u32 word = e.value | (static_cast<u32>(random()) & ~e.mask);
  return e.mask >> 28 ? word : (word & 0x0fffffff) | 0xe0000000;
}

/// The T32 form (A7.4, A7.7), first halfword high.
u32 to_t32(u32 word) {
  if ((word & 0xfe000000) == 0xf2000000) return 0xef000000 | ((word >> 24) & 1) << 28 | (word & 0x00ffffff);
  if ((word & 0xff000000) == 0xf4000000) return 0xf9000000 | (word & 0x00ffffff);
  return word;
}

std::vector<u8> bytes_of(u32 word, bool thumb) {
  if (thumb) word = word << 16 | word >> 16;
  std::vector<u8> out(4);
  std::memcpy(out.data(), &word, 4);
  return out;
}

TEST(SimdDecode, EveryLineDecodesItsOwnWordsInBothForms) {
  std::mt19937 random(1);
  for (const Encoding* e : simd_lines()) {
    u32 own = 0;
    for (int k = 0; k < 300; ++k) {
      const u32 word = fill(*e, random);
      const Encoding* found = decode_a32(word);
      ASSERT_NE(found, nullptr) << e->name << std::hex << " " << word;
      EXPECT_TRUE(found->simd) << e->name << " lost to " << found->name << std::hex << " " << word;
      own += found == e;
      u32 form = 0;
      EXPECT_EQ(decode_t32(to_t32(word), form), found) << e->name << std::hex << " " << word;
      EXPECT_EQ(form, word);
    }
    EXPECT_GT(own, 100u) << e->name << " is seldom chosen";
  }
}

TEST(SimdDecode, SizeThreeOfTheLongFormsIsExtractAndTableLookup) {
  std::mt19937 random(2);
  for (int k = 0; k < 20000; ++k) {
    const u32 vext = 0xf2b00000 | (random() & 0x004fffef);
    EXPECT_TRUE(decode_a32(vext) == nullptr || decode_a32(vext)->name.starts_with("VEXT") || ((vext >> 6) & 1) == 0)
        << std::hex << vext << " " << decode_a32(vext)->name;
    const u32 vtbl = 0xf3b00800 | (random() & 0x004ff3ef);
    EXPECT_TRUE(decode_a32(vtbl)->name == "VTBL" || decode_a32(vtbl)->name == "VTBX") << std::hex << vtbl;
  }
}

void replace_all(std::string& s, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = s.find(from, at)) != std::string::npos; at += to.size()) s.replace(at, from.size(), to);
}

/// Takes out differences of spelling: spaces, names of registers, bases of numbers.
std::string normalised(std::string s) {
  for (const char* noise : {" ", "#", "ia"}) replace_all(s, noise, "");
  for (auto [from, to] : {std::pair{"sb", "r9"}, {"sl", "r10"}, {"fp", "r11"}}) {
    for (size_t at = s.find('.'); at != std::string::npos && (at = s.find(from, at)) != std::string::npos;)
      s.replace(at, 2, to);
    replace_all(s, std::string("[") + from, std::string("[") + to);
    replace_all(s, std::string(",") + from, std::string(",") + to);
  }
  std::string out;
  for (size_t k = 0; k < s.size();) {
    if (s.compare(k, 2, "0x") == 0) {
      size_t used = 0;
      out += std::to_string(std::stoull(s.substr(k), &used, 16));
      k += used;
    } else {
      out += s[k++];
    }
  }
  return out;
}

TEST(SimdDisassembly, AgreesWithCapstone) {
  const Capstone capstone(CS_MODE_ARM);
  ASSERT_TRUE(capstone.ok());
  std::mt19937 random(3);
  u32 compared = 0, same = 0;
  for (const Encoding* e : simd_lines()) {
    u32 good = 0, bad = 0;
    std::string example;
    for (int k = 0; k < 100; ++k) {
      const u32 word = fill(*e, random);
      if (decode_a32(word) != e) continue;
      const std::string theirs = capstone.text(bytes_of(word, false), 0x1000);
      if (theirs.empty()) continue;  // UNDEFINED, UNPREDICTABLE, or unknown to it
      const std::string ours = disassemble(word, 0x1000, Isa::A32);
      const bool equal = normalised(ours) == normalised(theirs);
      (equal ? good : bad) += 1;
      if (!equal) example = ours + " / " + theirs;
    }
    compared += good + bad;
    same += good;
    if (bad > 0 && std::getenv("ARMVISOR_VERBOSE"))
      printf("%-22s %3u of %3u agree: %s\n", std::string(e->name).c_str(), good, good + bad, example.c_str());
  }
  EXPECT_GT(compared, 8000u);
  EXPECT_GT(same * 100.0 / compared, 95.0);
}

Context context_of(std::mt19937& random) {
  Context c;
  c.thumb = (random() & 1) != 0;
  c.privileged = (random() & 1) != 0;
  c.big_endian = (random() & 3) == 0;
  c.align_strict = (random() & 3) == 0;
  c.vfp_accessible = (random() & 7) != 0;
  c.vfp_enabled = c.vfp_accessible && (random() & 7) != 0;
  c.simd_enabled = c.vfp_enabled && (random() & 7) != 0;
  if (c.thumb && (random() & 3) == 0) c.it = static_cast<u8>((random() % 14) << 4 | (random() % 15 + 1));
  return c;
}

TEST(SimdTranslate, EveryLineGivesWellFormedIr) {
  std::mt19937 random(4);
  for (const Encoding* e : simd_lines()) {
    for (int k = 0; k < 300; ++k) {
      const Context context = context_of(random);
      u32 word = fill(*e, random);
      if (!context.thumb && !(e->mask >> 28)) word = (word & 0x0fffffff) | static_cast<u32>(random() % 15) << 28;
      ir::Block block;
      ASSERT_TRUE(translate(context, 0x8000, bytes_of(context.thumb ? to_t32(word) : word, context.thumb), {1}, block));
      ASSERT_EQ(ir::verify(block), "") << e->name << "\n" << ir::print(block);
    }
  }
}

bool undefined(const Context& context, u32 word) {
  ir::Block block;
  if (!translate(context, 0x8000, bytes_of(word, false), {1}, block)) return false;
  return std::any_of(block.insts.begin(), block.insts.end(),
                     [](const ir::Inst& i) { return i.op == ir::Op::ExitUndefined; });
}

TEST(SimdTranslate, UnitsThatAreOffAreUndefined) {
  std::mt19937 random(5);
  Context off, no_simd;
  no_simd.vfp_accessible = no_simd.vfp_enabled = true;
  off.vfp_accessible = true;
  for (const Encoding* e : simd_lines()) {
    for (int k = 0; k < 50; ++k) {
      const u32 word = fill(*e, random);
      if (decode_a32(word) != e || e->name.ends_with("_system")) continue;
      EXPECT_TRUE(undefined(off, word)) << e->name;
      if ((word >> 28) == 15) {
        EXPECT_TRUE(undefined(no_simd, word)) << e->name;
      }
    }
  }
}

TEST(SimdTranslate, SystemRegistersNeedPrivilegeAndCpacrOnly) {
  constexpr u32 k_vmrs_r0_fpexc = 0xeef80a10, k_vmsr_fpexc_r0 = 0xeee80a10, k_vmrs_r0_mvfr0 = 0xeef70a10;
  Context c;
  for (const u32 word : {k_vmrs_r0_fpexc, k_vmsr_fpexc_r0, k_vmrs_r0_mvfr0}) {
    c.vfp_accessible = true;
    c.privileged = true;
    EXPECT_FALSE(undefined(c, word));
    c.privileged = false;
    EXPECT_TRUE(undefined(c, word));
    c.privileged = true;
    c.vfp_accessible = false;
    EXPECT_TRUE(undefined(c, word));
  }
}

TEST(SimdTranslate, UndefinedAndUnpredictableOperandsAreRefused) {
  Context c;
  c.vfp_accessible = c.vfp_enabled = c.simd_enabled = true;
  EXPECT_TRUE(undefined(c, 0xf2021854));   // vadd.i8 q0, q1, with odd D3 as the third
  EXPECT_TRUE(undefined(c, 0xf2300040));   // vhadd of 64-bit elements
  EXPECT_TRUE(undefined(c, 0xec901b00));   // vldm of no registers
  EXPECT_TRUE(undefined(c, 0xecb0fb22));   // vldm r0!, {d15-d31}: 17 registers
  EXPECT_TRUE(undefined(c, 0xf420072f));   // vst1 of one register with an alignment of 128
  EXPECT_TRUE(undefined(c, 0xf46f070f));   // vld1 with Rn = PC
  EXPECT_FALSE(undefined(c, 0xf420070f));  // vld1.8 {d0}, [r0]
}

}  // namespace
}  // namespace armvisor::frontend
