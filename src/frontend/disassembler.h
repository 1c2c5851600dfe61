#pragma once
// Text of an instruction in UAL syntax, from the syntax strings of the decode tables.
//
// A syntax string is literal text with {…} items. `{x}` with one lower-case letter is the core register in field x,
// except for the two that every table uses:
//   {c}  condition suffix: A32 cond field, or field c of a Thumb branch; nothing for AL or without such a field
//   {s}  "s" when field S is set
// `{F:type}` formats the value of the fields named by the letters of F, joined most significant first ({Dd:d} joins D
// and d). Types:
//   r        core register (for letters c and s: {s:r})
//   imm      #value; imm*K and imm+K: #(value * K), #(value + K)
//   int, int*K, int+K   likewise without '#'
//   hex      #0x…
//   modimm   A32 modified immediate, as its value        t32imm  likewise for T32 (field of 12 bits, i:imm3:imm8)
//   shift    field of 7 bits, type:imm5: ", lsl #3"; nothing for LSL #0
//   shname   field of 2 bits: lsl, lsr, asr, ror
//   list     register list {r0, r1-r3}
//   cond     condition name without "al"
//   rel*K    PC-relative target of a sign-extended field times K: 0x…   (Thumb: PC = pc + 4, A32: pc + 8)
//   urel*K   likewise, zero-extended;  arel*K and aurel*K from Align(PC, 4)
//   jrel*K   likewise for T32 BL, BLX, B.W: the field's second and third bit are J1 and J2 (S:J1:J2:imm10:imm11);
//            ajrel*K from Align(PC, 4)
//   sign     "-" when the field is 0 (U bit)
//   s, d, q  VFP/SIMD register with that letter; q is half the field's value
//   dq       first bit of the joined field is Q: d<n> or q<n/2>
//   esize    8 << value
//   ?a|b|c   the alternative numbered by the value ("{W:?|!}", "{z:?8|16|32|64}"); past the last: the last
//   listlr, listpc  of 9 bits: LR or PC above R7-R0 (T16 PUSH, POP)
//   list15   register list with PC added;  shimm  #value, 0 meaning 32;  bfwidth  of msb:lsb
//   satshift shift of SSAT and USAT (sh:imm5);  psrmask, barrier  as their names say
// Items without fields:
//   {addr}   immediate addressing of fields P, U, W, n, i: [rn, #off]{!} or [rn], #off; {addr4}: offset in words
//   {addrm}  register addressing, offset m shifted by type y, imm5 i: [rn, -rm, lsl #2]
//   {addrh}, {addrhm}  likewise for memory hints, which have no P and W;  {cps}  effect, flags and mode of CPS
// A line whose text depends on more than this takes the nearest form; disassembly is for people.
#include <string>

#include "frontend/decoder.h"

namespace armvisor::frontend {

/// `word`: A32 word; T32 with the first halfword in the high half; T16 in the low half. "udf" with the raw word when
/// no table line matches.
std::string disassemble(u32 word, u32 pc, Isa isa);

}  // namespace armvisor::frontend
