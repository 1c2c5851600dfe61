#pragma once
// The object that instruction handlers work on: builder, context, and the emitters that A32 and T32 share. A handler
// (one per encoding line, named after the manual) decodes operands and calls an emitter; semantics stand once.
//
// Conditions. The driver (translate.cpp) puts every instruction that has a condition (A32 cond field, IT block) under
// a skip, so a handler emits the unconditional meaning. Handlers never look at the condition. When the body of a
// conditional instruction has left the block, that is a side exit, and the block goes on after the skip; or it ends
// there with a jump to the next instruction when it has many side exits or the exit was a branch back.
//
// ITSTATE. CpuState.it is 0 while a block runs; a block that is entered inside an IT block has it in Context::it, and
// the engine zeroes CpuState.it when it enters such a block. Insn.disp is the ITSTATE of each instruction. For what an
// instruction raises against itself (Mem and Trap effects, ExitUndefined, ExitBkpt) the engine takes ITSTATE from
// Insn.disp. Exits that continue behind the instruction (all others, and ExitHvc, ExitSmc, ExitWfi, ...) take
// CpuState.it, which leave() sets with SetIt where the ITSTATE to go on with is not 0. ExitSvc likewise finds the SVC's
// own ITSTATE in CpuState.it; exception entry advances it (arm::take_exception).
//
// Results. A result is written after the last access of its instruction that may raise; loads may name the guest
// register itself as their destination.
#include "arm/cp15.h"
#include "arm/psr.h"
#include "frontend/decoder.h"
#include "frontend/translate.h"
#include "ir/access.h"
#include "ir/builder.h"

namespace armvisor::frontend {

using arm::Cond;
using ir::Address;
using ir::BranchHint;
using ir::MemAttr;
using ir::Op;
using ir::Operand;
using ir::Value;

enum class DataOp : u8 { And, Eor, Sub, Rsb, Add, Adc, Sbc, Rsc, Tst, Teq, Cmp, Cmn, Orr, Mov, Bic, Mvn, Orn };
enum class Shift : u8 { LSL, LSR, ASR, ROR, RRX };
enum class LongMultiply : u8 { Umull, Umlal, Smull, Smlal };
enum class Saturating : u8 { Qadd, Qsub, Qdadd, Qdsub };
enum class Extend : u8 { Sxtb16, Sxtb, Sxth, Uxtb16, Uxtb, Uxth };
/// What a load or store is made of: accesses.inc.
enum class AccessKind : u8 {
#define ACCESS(kind, ...) kind,
#include "frontend/accesses.inc"
#undef ACCESS
};
enum class BlockMode : u8 { DA, IA, DB, IB };  ///< PU bits as encoded in A32: P = before, U = increment

class Translator {
 public:
  Translator(const Context& ctx, ir::Block& block) : ir(block), context(ctx) {}

  ir::Builder ir;
  Context context;    ///< context.it is the ITSTATE of the instruction being translated
  Address pc;         ///< of the instruction being translated
  u8 bytes = 4;       ///< its length
  bool done = false;  ///< the block has been left by what was emitted last
  static constexpr u32 k_max_side_exits = 6;
  u32 side_exits = 0;       ///< of the block so far
  bool it_written = false;  ///< the instruction was IT: context.it is already the next instruction's

  // --- operands
  Address next_pc() const { return pc + bytes; }
  /// What BL and relatives write to LR.
  Address return_address() const { return {(pc.value + bytes) | u32{context.thumb}, true}; }
  Address pc_value() const { return pc + (context.thumb ? 4 : 8); }      ///< what reading PC gives
  Address pc_aligned() const { return {pc_value().value & ~3u, true}; }  ///< Align(PC, 4), base of literals
  Operand reg(u32 n) const { return n == 15 ? Operand(pc_value()) : Operand(Value::reg(n)); }
  static Operand imm(u64 v) { return Operand::imm(v); }
  /// Writes Rn, n in 0..14. A temp given here is used up: its producer may be made to write Rn itself.
  void set_reg(u32 n, Operand v);
  bool in_it() const { return (context.it & 15) != 0; }
  bool last_in_it() const { return (context.it & 15) == 8; }
  /// Instructions that write PC must be last in their IT block (UNPREDICTABLE otherwise: handlers check).
  bool inside_it() const { return in_it() && !last_in_it(); }
  u8 next_it() const { return (context.it & 7) ? u8((context.it & 0xe0) | ((context.it << 1) & 0x1f)) : u8{0}; }

  // --- outcomes
  void fp() { ir.block().fp = true; }    ///< the instruction asks the context for VFP or Advanced SIMD
  void undefined();                      ///< Undefined Instruction exception here
  void unpredictable() { undefined(); }  ///< the choice of this CPU, see docs/engine/translation.md
  /// Appends exit `op` (ITSTATE set as stated above) and marks the block as left.
  void leave(Op op, Operand a = {}, Address imm = {}, BranchHint hint = BranchHint::None, Address disp = {});
  void leave_return(Operand target_pc, Operand psr);  ///< ExitReturn
  void sync_exit() { leave(Op::ExitSync, {}, next_pc()); }
  void set_it(u8 itstate);  ///< the IT instruction

  // --- branches (translate_branch.cpp)
  void branch(Address target);                  ///< same instruction set
  void branch_link(Address target);             ///< BL: LR = next instruction (with bit 0 in Thumb state)
  void branch_link_switch(Address target);      ///< BLX immediate: to the other instruction set
  void branch_cond(Cond cond, Address target);  ///< B<c> of Thumb
  void go_on_or_leave(Address target);          ///< after the skip over a branch to `target`
  void compare_branch(bool nonzero, u32 n, Address target);
  void bx(u32 m);
  void blx(u32 m);
  void table_branch(u32 n, u32 m, bool half);  ///< TBB, TBH
  /// BranchWritePC (interworking: BXWritePC), of a value that is no constant in general.
  void branch_write_pc(Operand value, BranchHint hint = BranchHint::None);
  void bx_write_pc(Operand value, BranchHint hint = BranchHint::None, Address return_address = {});
  void write_pc_alu(Operand value, BranchHint hint = BranchHint::None);  ///< interworks in A32, not in Thumb

  // --- data processing (translate_data.cpp)
  struct ShiftedOperand {
    Operand value;
    Operand carry;  ///< I1, where has_carry
    bool has_carry = false;
    ShiftedOperand() = default;
    ShiftedOperand(Operand v) : value(v) {}
    ShiftedOperand(Value v) : value(v) {}
    ShiftedOperand(Operand v, Operand c) : value(v), carry(c), has_carry(true) {}
  };
  static void decode_imm_shift(u32 type, u32 imm5, Shift& shift, u32& amount);
  ShiftedOperand shift_imm(Operand v, Shift type, u32 amount, bool want_carry);  ///< DecodeImmShift already applied
  /// As encoded: DecodeImmShift(type, imm5) of Rm. PC reads as usual.
  ShiftedOperand shifted_reg(u32 m, u32 type, u32 imm5, bool want_carry);
  ShiftedOperand shift_reg(Operand v, Shift type, Operand amount, bool want_carry);  ///< by the bottom byte of amount
  ShiftedOperand a32_modified_imm(u32 imm12, bool want_carry);                       ///< ARMExpandImm_C
  /// ThumbExpandImm_C. `ok` false: the UNPREDICTABLE encodings (byte 0 repeated).
  ShiftedOperand t32_modified_imm(u32 imm12, bool want_carry, bool& ok);
  static bool takes_carry(DataOp op);  ///< its S form sets C from the shifter: ask operands with want_carry
  /// d == 15 writes PC (ALUWritePC); with s set that is an exception return (SUBS PC, LR and related). Tst, Teq, Cmp
  /// and Cmn have no d. Mov and Mvn have no n.
  void data_processing(DataOp op, bool s, u32 d, u32 n, const ShiftedOperand& m);
  void data_processing(DataOp op, bool s, u32 d, Operand n, const ShiftedOperand& m);
  void move_to(u32 d, Operand v);  ///< Rd = v, PC by ALUWritePC
  void movt(u32 d, u32 imm16);     ///< top halfword
  void add_sub_pc_aligned(u32 d, bool add, u32 offset) { move_to(d, pc_aligned() + (add ? offset : 0 - offset)); }
  void unary(Op op, u32 d, u32 m);             ///< Clz, Rbit, Rev, Rev16, Revsh
  void bfi(u32 d, u32 n, u32 lsb, u32 width);  ///< n == 15: BFC
  void bfx(bool is_unsigned, u32 d, u32 n, u32 lsb, u32 width);
  void extend(Extend kind, u32 d, u32 n, u32 m, u32 rotation);  ///< n == 15: no addend; rotation in bits
  void pkh(bool tb, u32 d, u32 n, u32 m, u32 imm5);             ///< PKHBT (LSL imm5), PKHTB (ASR imm5, 0 meaning 32)
  void sel(u32 d, u32 n, u32 m);

  // --- multiplies, saturation, parallel arithmetic (translate_multiply.cpp). a == 15: no accumulator
  void multiply(bool s, u32 d, u32 n, u32 m, u32 a);  ///< MUL, MLA
  void mls(u32 d, u32 n, u32 m, u32 a);
  void multiply_long(LongMultiply op, bool s, u32 lo, u32 hi, u32 n, u32 m);
  void umaal(u32 lo, u32 hi, u32 n, u32 m);
  void smla_xy(u32 d, u32 n, u32 m, u32 a, bool n_high, bool m_high);  ///< SMLA<x><y>, SMUL<x><y>
  void smlaw_y(u32 d, u32 n, u32 m, u32 a, bool m_high);               ///< SMLAW<y>, SMULW<y>
  void smlal_xy(u32 lo, u32 hi, u32 n, u32 m, bool n_high, bool m_high);
  void smlad(u32 d, u32 n, u32 m, u32 a, bool subtract, bool swap);     ///< SMLAD, SMLSD, SMUAD, SMUSD
  void smlald(u32 lo, u32 hi, u32 n, u32 m, bool subtract, bool swap);  ///< SMLALD, SMLSLD
  void smmla(u32 d, u32 n, u32 m, u32 a, bool subtract, bool round);    ///< SMMLA, SMMLS, SMMUL
  void divide(bool is_unsigned, u32 d, u32 n, u32 m);
  void saturating(Saturating op, u32 d, u32 m, u32 n);  ///< QADD Rd, Rm, Rn and relatives
  /// SSAT #sat (1..32), USAT #sat (0..31), of the shifted Rn; `sh` as encoded: LSL imm5, or ASR imm5 (0 means 32).
  void saturate(bool is_unsigned, u32 d, u32 sat, u32 n, bool sh, u32 imm5);
  void saturate16(bool is_unsigned, u32 d, u32 sat, u32 n);
  void parallel(ir::ParallelPrefix prefix, ir::ParallelKind kind, u32 d, u32 n, u32 m);
  void usada8(u32 d, u32 n, u32 m, u32 a);  ///< USADA8, USAD8

  // --- loads and stores (translate_memory.cpp)
  /// One operation of the IR, of one or more elements.
  struct Access {
    AccessKind kind;
    u32 bytes;                ///< in all
    u8 extra = 0;             ///< MemAttr::sign, MemAttr::unprivileged
    u32 element = 0;          ///< bytes, where the kind leaves it to the instruction; 0: all
    u32 named_alignment = 1;  ///< what the instruction names for this address, in bytes
  };
  /// Into `dst`, or a new temp.
  Value read(const Access& access, Operand address, Address disp, Value dst = {});
  void write(const Access& access, Operand address, u32 disp, Operand value);
  /// Addressing of single accesses: Rn +- offset, before (index) or after. n == 15: Align(PC, 4), without writeback.
  struct Index {
    u32 n = 0;
    Operand offset;
    bool add = true, index = true, writeback = false;
  };
  /// `attr`: MemAttr size (1, 2, 4), with MemAttr::sign or MemAttr::unprivileged. t == 15: LoadWritePC (words only).
  void load(u32 t, u8 attr, const Index& x);
  void store(u32 t, u8 attr, const Index& x);  ///< t == 15 stores pc_value()
  void load_dual(u32 t, u32 t2, const Index& x);
  void store_dual(u32 t, u32 t2, const Index& x);
  /// size 1, 2, 4, 8 (8: t and t2). disp: byte offset.
  void load_exclusive(u32 size, u32 t, u32 t2, u32 n, u32 disp);
  void store_exclusive(u32 size, u32 d, u32 t, u32 t2, u32 n, u32 disp);
  void clear_exclusive();
  void load_multiple(u32 n, u32 list, BlockMode mode, bool writeback);   ///< LDM, POP; with PC in the list LoadWritePC
  void store_multiple(u32 n, u32 list, BlockMode mode, bool writeback);  ///< STM, PUSH
  void load_multiple_user(u32 n, u32 list, BlockMode mode);              ///< LDM ^ without PC
  void store_multiple_user(u32 n, u32 list, BlockMode mode);             ///< STM ^
  void load_multiple_return(u32 n, u32 list, BlockMode mode, bool writeback);  ///< LDM ^ with PC
  void srs(u32 mode, BlockMode block_mode, bool writeback);
  void rfe(u32 n, BlockMode block_mode, bool writeback);

  // --- system (translate_system.cpp)
  void mrs(u32 d, bool from_spsr);
  void msr(Operand value, u32 mask, bool to_spsr);  ///< mask: bit 0 control, 1 extension, 2 status, 3 flags
  /// CPS: imod as encoded (2 enable, 3 disable, 0 unchanged), A, I, F that it applies to, and the mode if change_mode.
  void cps(u32 imod, bool a, bool i, bool f, bool change_mode, u32 mode);
  void setend(bool big);
  void svc(u32 comment);
  void hlt(u32 comment);  ///< of later architectures: a semihosting call or UNDEFINED
  void hvc(u32 comment);
  void smc(u32 comment);
  void bkpt();
  /// Leaves where the instruction is a breakpoint or a vector catch, whatever its condition (C3.3, C3.5).
  void check_debug_event();
  void hint(u32 number);  ///< NOP 0, YIELD 1, WFE 2, WFI 3, SEV 4, others (DBG too) do nothing
  void data_barrier();    ///< DMB, DSB
  void isb();
  /// MCR, MRC, MCRR, MRRC to CP14 and CP15; other coprocessors are UNDEFINED. MRC to t == 15 writes the flags.
  void mcr(u32 coproc, u32 op1, u32 t, u32 crn, u32 crm, u32 op2);
  void mrc(u32 coproc, u32 op1, u32 t, u32 crn, u32 crm, u32 op2);
  void mcrr(u32 coproc, u32 op1, u32 t, u32 t2, u32 crm);
  void mrrc(u32 coproc, u32 op1, u32 t, u32 t2, u32 crm);

 private:
  /// Whether `comment` makes this SVC or HLT a semihosting call, of `a32` or `t32`; if so, it is translated.
  bool semihosting_call(u32 comment, u32 a32, u32 t32);
  struct BlockAddress {
    u32 first_disp;     ///< of the lowest access, from Rn
    u32 new_base_disp;  ///< what writeback adds to Rn
  };
  struct Loaded {
    Value base, pc;  ///< temps with the loaded base register and PC, if in the list
  };
  static BlockAddress block_address(BlockMode mode, u32 registers);
  Loaded load_list(u32 n, u32 list, u32 disp);
  void finish_base(u32 n, const BlockAddress& address, bool writeback, Value loaded_base);
  ir::AccessCode access_code(const Access& access) const;
  Operand index_address(const Index& x, u32& disp);
  void index_writeback(const Index& x, Operand address);
  void write_doubleword(u32 t, u32 t2, Value v);
  Value read_doubleword(u32 t, u32 t2);
  void write_pair(u32 lo, u32 hi, Value v);
  void flag_setting(DataOp op, Operand n, const ShiftedOperand& m, Value dst);
  void set_flags_logical(Operand result, const ShiftedOperand& m);
  void exception_return_alu(Operand target_pc);
  Operand half(u32 n, bool high);
  void accumulate_q(u32 d, Value v, u32 a);
  Value dual_product(u32 n, u32 m, bool subtract, bool swap);
  const arm::SysReg* accessible_sysreg(arm::SysRegId id, bool write) const;
};

}  // namespace armvisor::frontend
