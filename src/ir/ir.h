#pragma once
// Intermediate representation: what every engine executes. A block is a straight list of instructions with forward
// skips and one or more exits. Operands are guest registers R0-R14 (variables), temps, or one immediate. Temps are
// written once per path and never live across blocks; a guest register may be written many times.
//
// Precise exceptions: an instruction that raises (effects Mem and Trap) leaves the guest state as all preceding IR
// left it. The front end therefore writes an instruction's results after its last access that may raise, but for
// what the architecture lets be UNKNOWN. The faulting guest instruction is the last Insn before it.
//
// Guest addresses. What the front end has from the program counter, and what therefore is another value where the same
// bytes lie at another virtual address, is marked (Moves): it keeps its distance from Block::pc. Everything else in a
// block is the same wherever it lies. Blocks move by whole pages.
//
// A region is several blocks in one: each begins with a Head, and Goto leads from any of them to any Head, also back.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace armvisor::ir {

enum class Type : u8 { V, I32, I64, V128 };

enum Effect : u8 { Pure = 0, FlagsR = 1, FlagsW = 2, State = 4, Mem = 8, Trap = 16, Exit = 32 };

enum class Op : u8 {
#define OP(name, ...) name,
#include "ir/opcodes.inc"
#undef OP
  Count
};

struct OpInfo {
  std::string_view name;
  Type result;
  Type operand[3];
  u8 effects;
};
const OpInfo& info(Op op);
/// True when Inst::imm is an attribute of the operation (a label, a register number, ...) and so never an operand.
bool imm_is_attribute(Op op);
/// Inst::imm, as operand or attribute, or Inst::disp may be marked as moving with the block.
bool imm_may_move(Op op);
bool disp_may_move(Op op);

/// An operand: nothing, R0..R14, the instruction's immediate, or temp number t.
class Value {
 public:
  constexpr Value() = default;
  static constexpr Value reg(u32 n) { return Value(static_cast<u16>(n)); }
  static constexpr Value immediate() { return Value(k_imm); }
  static constexpr Value temp(u32 n) { return Value(static_cast<u16>(k_first_temp + n)); }

  constexpr bool is_none() const { return raw_ == k_none; }
  constexpr bool is_reg() const { return raw_ < 15; }
  constexpr bool is_imm() const { return raw_ == k_imm; }
  constexpr bool is_temp() const { return raw_ >= k_first_temp; }
  constexpr u32 reg_number() const { return raw_; }
  constexpr u32 temp_number() const { return raw_ - k_first_temp; }
  constexpr bool operator==(const Value&) const = default;

 private:
  static constexpr u16 k_imm = 15, k_none = 16, k_first_temp = 32;
  constexpr explicit Value(u16 raw) : raw_(raw) {}
  u16 raw_ = k_none;
};

/// A guest address that is known when a block is made. One that comes from the program counter moves with the block
/// (ir::Moves); a plain number is the same wherever the block lies.
struct Address {
  u32 value = 0;
  bool moves = false;

  constexpr Address() = default;
  constexpr Address(u32 plain) : value(plain) {}
  constexpr Address(u32 v, bool moving) : value(v), moves(moving) {}
  static constexpr Address of_pc(u32 v) { return Address(v, true); }
  constexpr Address operator+(u32 n) const { return Address(value + n, moves); }
};

/// Inst::moves: what of an instruction is a guest address at a fixed distance from Block::pc. Insn::imm always is one
/// and has no mark.
struct Moves {
  static constexpr u8 imm = 1, disp = 2;
};

/// One instruction. 24 bytes.
struct Inst {
  Op op{};
  u8 attr = 0;  ///< flag mask, MemAttr, arm::Cond, BranchHint or byte count: see opcodes.inc
  u8 attr2 = 0;  ///< of loads and stores AccessAttr (ir/access.h); depth of a Head
  u8 moves = 0;  ///< Moves
  Value dst{};
  Value a{}, b{}, c{};
  u32 disp = 0;  ///< displacement of a memory access; return address; see opcodes.inc
  u64 imm = 0;

  Address imm_address() const { return Address(static_cast<u32>(imm), moves & Moves::imm); }
  Address disp_address() const { return Address(disp, moves & Moves::disp); }
};
static_assert(sizeof(Inst) == 24);

/// Inst::attr of memory accesses.
struct MemAttr {
  static constexpr u8 size_mask = 0x0f;  ///< bytes: 1, 2, 4, 8
  static constexpr u8 sign = 0x10;       ///< sign-extend a load of 1 or 2 bytes
  static constexpr u8 big = 0x20;        ///< big-endian data (CPSR.E)
  static constexpr u8 aligned = 0x40;    ///< the address must have the alignment that attr2 says: see ir/access.h
  static constexpr u8 unprivileged = 0x80;  ///< LDRT family: checked as PL0
};

enum class BranchHint : u8 { None, Call, Return, Table };

/// Inst::imm of F32ToFixed, F64ToFixed, FixedToF32, FixedToF64.
struct FixedAttr {
  static constexpr u32 make(unsigned width, unsigned fraction_bits, bool is_unsigned, bool round_zero) {
    return width | fraction_bits << 8 | u32(is_unsigned) << 16 | u32(round_zero) << 17;
  }
  static constexpr unsigned width(u64 imm) { return imm & 0xff; }
  static constexpr unsigned fraction_bits(u64 imm) { return (imm >> 8) & 0xff; }
  static constexpr bool is_unsigned(u64 imm) { return (imm >> 16) & 1; }
  /// To fixed: round towards zero, else FPSCR.RMode. From fixed: 1 = round to nearest (VCVT fixed forms), else RMode.
  static constexpr bool round_zero(u64 imm) { return (imm >> 17) & 1; }
};

/// Inst::imm of Parallel: prefix (S, Q, SH, U, UQ, UH = 0..5) << 4 | op (ADD16, ASX, SAX, SUB16, ADD8, SUB8 = 0..5).
enum class ParallelPrefix : u8 { S, Q, SH, U, UQ, UH };
enum class ParallelKind : u8 { Add16, Asx, Sax, Sub16, Add8, Sub8 };

struct Block {
  u32 pc = 0;           ///< virtual address of the first instruction
  u32 before = 0;       ///< bytes of a region that lie before pc
  u32 guest_bytes = 0;  ///< from pc - before; may reach into the next page by one straddling instruction
  u32 insn_count = 0;
  u32 temp_count = 0;
  u32 label_count = 0;
  u32 head_count = 0;  ///< not 0: a region
  bool fp = false;     ///< depends on what frontend::Context says of VFP and Advanced SIMD
  std::vector<Inst> insts;
};

/// Text form, one instruction a line, and back. parse() returns false and sets `error` to "line N: what was expected".
std::string print(const Block& block);
bool parse(std::string_view text, Block& block, std::string& error);
/// Checks every invariant stated above; empty when the block is well formed, else the first violation.
std::string verify(const Block& block);
/// In builds with assertions.
void assert_valid(const Block& block);

}  // namespace armvisor::ir
