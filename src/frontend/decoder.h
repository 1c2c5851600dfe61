#pragma once
// Decode tables and their use. One line per encoding in a32.inc, t32.inc and simd.inc:
//
//   INST(ADC_imm, "adc{s}{c} {d}, {n}, {i:modimm}", "cccc0010101Snnnnddddiiiiiiiiiiii")
//
// The bit string is 32 characters (T16: 16), bit 31 first: '0' and '1' are fixed, '-' is ignored (should-be bits are
// written as '-' when the CPU ignores them), a letter names a field. A letter that stands in several places is one
// field whose pieces are joined, most significant first. The mnemonic string drives the disassembler; its {…} are
// described in disassembler.h. Where two lines match a word, the one with more fixed bits wins, of equals the earlier;
// a handler that finds its word to be another instruction or UNDEFINED says so. The first column is unique in its table
// and names the handler, a function of namespace a32, t32, t16 or simd (handlers.h). The same lines drive the fuzzer
// (tests/oracle) and the coverage report.
#include <array>
#include <span>
#include <string_view>

#include "base/types.h"

namespace armvisor::frontend {

class Translator;
struct Inst;

enum class Isa : u8 { A32, T32, T16 };

using Handler = void (*)(Translator&, const Inst&);

struct Encoding {
  std::string_view name;
  std::string_view syntax;
  std::string_view pattern;
  u32 mask, value;  ///< fixed bits
  Isa isa;
  bool simd;  ///< line of simd.inc (shared by A32 and T32, written in A32 form)
  Handler handler;
  struct Piece {
    u8 letter, lsb, width;
  };
  std::array<Piece, 16> pieces{};  ///< in order from bit 31 down
  u8 piece_count = 0;
  u16 index = 0;  ///< position in encodings()
};

/// A decoded instruction. i('n') is the value of field n, for what is not of one line (the disassembler); fields that the
/// encoding lacks read as 0. Handlers have Fields (fields.h) instead.
struct Inst {
  const Encoding* encoding = nullptr;
  u32 raw = 0;  ///< T16 in the low half; T32 with the first halfword in the high half; simd.inc lines in A32 form
  u32 pc = 0;   ///< address of the instruction
  u8 bytes = 4;
  bool thumb = false;

  u32 operator()(char letter) const {
    u32 v = 0;
    for (u32 k = 0; k < encoding->piece_count; ++k) {
      const auto& p = encoding->pieces[k];
      if (p.letter == static_cast<u8>(letter)) v = (v << p.width) | ((raw >> p.lsb) & ((1ull << p.width) - 1));
    }
    return v;
  }
};

std::span<const Encoding> encodings();

/// The encoding of `word`, or null (UNDEFINED). A32: condition field 0b1111 selects the unconditional lines, whose
/// patterns begin with 1111; others never match those.
const Encoding* decode_a32(u32 word);
const Encoding* decode_t16(u16 half);
/// `word`: first halfword in the high half. For lines of simd.inc, `a32_form` receives the word in A32 form.
const Encoding* decode_t32(u32 word, u32& a32_form);
/// True when `half` is the first halfword of a 32-bit Thumb instruction (A6.1).
constexpr bool is_t32(u16 half) { return (half >> 11) >= 0x1d; }

}  // namespace armvisor::frontend
