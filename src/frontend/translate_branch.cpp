// Leaving a block: branches, writes of PC (ARM DDI 0406C A2.3.1), and the outcomes that handlers ask for.
#include "frontend/translator.h"

namespace armvisor::frontend {
namespace {

/// In the sense of a branch, whose displacement has a sign: the same wherever the two lie.
bool is_ahead(u32 target, u32 pc) { return static_cast<s32>(target - pc) > 0; }

}  // namespace

void Translator::leave(Op op, Operand a, Address immediate, BranchHint hint, Address disp) {
  const bool faults_here = op == Op::ExitUndefined || op == Op::ExitBkpt;
  const u8 it = op == Op::ExitSvc ? context.it : next_it();
  if (!faults_here && it != 0) ir.emit_imm(Op::SetIt, it);
  ir.append(
      {.op = op,
       .attr = static_cast<u8>(hint),
       .moves = static_cast<u8>((a.moves || immediate.moves ? ir::Moves::imm : 0) | (disp.moves ? ir::Moves::disp : 0)),
       .a = a.value,
       .disp = disp.value,
       .imm = a.is_constant ? a.constant : immediate.value});
  done = true;
}

void Translator::leave_return(Operand target_pc, Operand psr) {
  ir.emit(Op::ExitReturn, target_pc, psr);
  done = true;
}

void Translator::undefined() { leave(Op::ExitUndefined); }

void Translator::set_it(u8 itstate) {
  context.it = itstate;
  it_written = true;
}

void Translator::branch(Address target) { leave(Op::ExitJump, {}, target); }

void Translator::branch_link(Address target) {
  set_reg(14, return_address());
  leave(Op::ExitCall, {}, target, BranchHint::Call, next_pc());
}

void Translator::branch_link_switch(Address target) {
  set_reg(14, return_address());
  leave(Op::ExitSwitch, {}, target, BranchHint::Call, next_pc());
}

void Translator::branch_cond(Cond cond, Address target) {
  const u32 label = ir.new_label();
  ir.skip_unless(cond, label);
  branch(target);
  ir.label(label);
  go_on_or_leave(target);
}

/// Code after a branch that is not taken: part of the block when the branch is forward, so that the block is a straight
/// run with exits on the side. After a backward branch it is most often not where the guest goes.
void Translator::go_on_or_leave(Address target) {
  if (is_ahead(target.value, pc.value) && side_exits < k_max_side_exits) {
    ++side_exits;
    done = false;
  } else {
    branch(next_pc());
  }
}

void Translator::compare_branch(bool nonzero, u32 n, Address target) {
  const u32 label = ir.new_label();
  ir.skip_if(nonzero ? Operand(ir.emit(Op::CmpEq, reg(n), imm(0))) : reg(n), label);
  branch(target);
  ir.label(label);
  go_on_or_leave(target);
}

void Translator::bx(u32 m) { bx_write_pc(reg(m), m == 14 ? BranchHint::Return : BranchHint::None); }

void Translator::blx(u32 m) {
  const Operand target = m == 14 ? Operand(ir.emit(Op::Mov, reg(m))) : reg(m);
  set_reg(14, return_address());
  bx_write_pc(target, BranchHint::Call, next_pc());
}

void Translator::table_branch(u32 n, u32 m, bool half_words) {
  const Operand index = half_words ? Operand(ir.emit(Op::Shl, reg(m), imm(1))) : reg(m);
  const Operand address = n == 15 ? index : Operand(ir.emit(Op::Add, reg(n), index));
  const Value entry = read({AccessKind::Single, half_words ? 2u : 1u}, address, n == 15 ? pc_value() : Address());
  const Value target = ir.emit(Op::Add, ir.emit(Op::Shl, entry, imm(1)), pc_value());
  leave(Op::ExitIndirect, target, 0, BranchHint::Table);
}

void Translator::branch_write_pc(Operand value, BranchHint hint) {
  const u32 mask = context.thumb ? ~1u : ~3u;
  if (value.is_constant) {
    const Address target = value.address();
    return branch(Address(target.value & mask, target.moves));
  }
  leave(Op::ExitIndirect, ir.emit(Op::And, value, imm(mask)), 0, hint);
}

void Translator::bx_write_pc(Operand value, BranchHint hint, Address return_address) {
  leave(Op::ExitInterwork, value, 0, hint, return_address);
}

void Translator::write_pc_alu(Operand value, BranchHint hint) {
  if (context.thumb || (value.is_constant && (value.constant & 3) == 0))
    branch_write_pc(value, hint);
  else
    bx_write_pc(value, hint);
}

}  // namespace armvisor::frontend
