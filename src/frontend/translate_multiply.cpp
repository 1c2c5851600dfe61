// Multiplies, saturation and parallel arithmetic that A32 and T32 share (ARM DDI 0406C A4.4.3 to A4.4.7).
#include "frontend/translator.h"

namespace armvisor::frontend {

void Translator::multiply(bool s, u32 d, u32 n, u32 m, u32 a) {
  const Value dst = Value::reg(d);
  if (a == 15)
    ir.emit_to(dst, Op::Mul, reg(n), reg(m));
  else
    ir.emit_to(dst, Op::Add, ir.emit(Op::Mul, reg(n), reg(m)), reg(a));
  if (s) set_flags_logical(dst, {});
}

void Translator::mls(u32 d, u32 n, u32 m, u32 a) {
  ir.emit_to(Value::reg(d), Op::Sub, reg(a), ir.emit(Op::Mul, reg(n), reg(m)));
}

void Translator::multiply_long(LongMultiply op, bool s, u32 lo, u32 hi, u32 n, u32 m) {
  const bool is_signed = op == LongMultiply::Smull || op == LongMultiply::Smlal;
  Value v = ir.emit(is_signed ? Op::MulS64 : Op::MulU64, reg(n), reg(m));
  if (op == LongMultiply::Umlal || op == LongMultiply::Smlal)
    v = ir.emit(Op::Add64, v, ir.emit(Op::Pack64, reg(lo), reg(hi)));
  write_pair(lo, hi, v);
  if (!s) return;
  ir.emit(Op::SetNZ64, v);
  ir.block().insts.back().attr = 12;
}

void Translator::write_pair(u32 lo, u32 hi, Value v) {
  ir.emit_to(Value::reg(lo), Op::Lo32, v);
  ir.emit_to(Value::reg(hi), Op::Hi32, v);
}

void Translator::umaal(u32 lo, u32 hi, u32 n, u32 m) {
  const Value product = ir.emit(Op::MulU64, reg(n), reg(m));
  const Value sum = ir.emit(Op::Add64, product, ir.emit(Op::ZExt64, reg(lo)));
  write_pair(lo, hi, ir.emit(Op::Add64, sum, ir.emit(Op::ZExt64, reg(hi))));
}

Operand Translator::half(u32 n, bool high) {
  return high ? ir.emit(Op::Sar, reg(n), imm(16)) : ir.emit(Op::SExt16, reg(n));
}

/// Rd = v + Ra, with Q for signed overflow; a == 15: Rd = v.
void Translator::accumulate_q(u32 d, Value v, u32 a) {
  if (a == 15) return set_reg(d, v);
  ir.emit(Op::OrQ, ir.emit(Op::AddOverflow, v, reg(a)));
  ir.emit_to(Value::reg(d), Op::Add, v, reg(a));
}

void Translator::smla_xy(u32 d, u32 n, u32 m, u32 a, bool n_high, bool m_high) {
  const Operand x = half(n, n_high);
  accumulate_q(d, ir.emit(Op::Mul, x, half(m, m_high)), a);
}

void Translator::smlaw_y(u32 d, u32 n, u32 m, u32 a, bool m_high) {
  const Value product = ir.emit(Op::MulS64, reg(n), half(m, m_high));
  accumulate_q(d, ir.emit(Op::Lo32, ir.emit(Op::Sar64, product, imm(16))), a);
}

void Translator::smlal_xy(u32 lo, u32 hi, u32 n, u32 m, bool n_high, bool m_high) {
  const Operand x = half(n, n_high);
  const Value product = ir.emit(Op::MulS64, x, half(m, m_high));
  write_pair(lo, hi, ir.emit(Op::Add64, ir.emit(Op::Pack64, reg(lo), reg(hi)), product));
}

/// The two signed 16 x 16 products, added or subtracted, as 64 bits: nothing overflows.
Value Translator::dual_product(u32 n, u32 m, bool subtract, bool swap) {
  const Operand n_low = half(n, false), n_high = half(n, true);
  const Operand m_low = half(m, swap), m_high = half(m, !swap);
  const Value low = ir.emit(Op::MulS64, n_low, m_low);
  const Value high = ir.emit(Op::MulS64, n_high, m_high);
  return ir.emit(subtract ? Op::Sub64 : Op::Add64, low, high);
}

void Translator::smlad(u32 d, u32 n, u32 m, u32 a, bool subtract, bool swap) {
  Value sum = dual_product(n, m, subtract, swap);
  if (a != 15) sum = ir.emit(Op::Add64, sum, ir.emit(Op::SExt64, reg(a)));
  const Value low = ir.emit(Op::Lo32, sum);
  // SMUSD cannot overflow (A8.8.192). Elsewhere Q tells that the 64-bit sum is not its own low word.
  if (a != 15 || !subtract) ir.emit(Op::OrQ, ir.emit(Op::Xor, ir.emit(Op::Hi32, sum), ir.emit(Op::Sar, low, imm(31))));
  set_reg(d, low);
}

void Translator::smlald(u32 lo, u32 hi, u32 n, u32 m, bool subtract, bool swap) {
  const Value sum = dual_product(n, m, subtract, swap);
  write_pair(lo, hi, ir.emit(Op::Add64, sum, ir.emit(Op::Pack64, reg(lo), reg(hi))));
}

void Translator::smmla(u32 d, u32 n, u32 m, u32 a, bool subtract, bool round) {
  if (a == 15 && !round) {
    ir.emit_to(Value::reg(d), Op::MulHiS, reg(n), reg(m));
    return;
  }
  Value v = ir.emit(Op::MulS64, reg(n), reg(m));
  if (a != 15) {
    const Value addend = ir.emit(Op::Pack64, imm(0), reg(a));
    v = ir.emit(subtract ? Op::Sub64 : Op::Add64, addend, v);
  }
  if (round) v = ir.emit(Op::Add64, v, imm(0x80000000));
  ir.emit_to(Value::reg(d), Op::Hi32, v);
}

void Translator::divide(bool is_unsigned, u32 d, u32 n, u32 m) {
  ir.emit_to(Value::reg(d), is_unsigned ? Op::UDiv : Op::SDiv, reg(n), reg(m));
}

void Translator::saturating(Saturating op, u32 d, u32 m, u32 n) {
  const bool doubles = op == Saturating::Qdadd || op == Saturating::Qdsub;
  const bool subtracts = op == Saturating::Qsub || op == Saturating::Qdsub;
  const Operand b = doubles ? Operand(ir.emit(Op::QAdd, reg(n), reg(n))) : reg(n);
  ir.emit_to(Value::reg(d), subtracts ? Op::QSub : Op::QAdd, reg(m), b);
}

void Translator::saturate(bool is_unsigned, u32 d, u32 sat, u32 n, bool sh, u32 imm5) {
  const Operand v = shifted_reg(n, sh ? 2 : 0, imm5, false).value;
  ir.emit_imm_to(Value::reg(d), is_unsigned ? Op::USat : Op::SSat, sat, v);
}

void Translator::saturate16(bool is_unsigned, u32 d, u32 sat, u32 n) {
  ir.emit_imm_to(Value::reg(d), is_unsigned ? Op::USat16 : Op::SSat16, sat, reg(n));
}

void Translator::parallel(ir::ParallelPrefix prefix, ir::ParallelKind kind, u32 d, u32 n, u32 m) {
  ir.emit_imm_to(Value::reg(d), Op::Parallel, static_cast<u32>(prefix) << 4 | static_cast<u32>(kind), reg(n), reg(m));
}

void Translator::usada8(u32 d, u32 n, u32 m, u32 a) {
  if (a == 15)
    ir.emit_to(Value::reg(d), Op::Usad8, reg(n), reg(m));
  else
    ir.emit_to(Value::reg(d), Op::Add, ir.emit(Op::Usad8, reg(n), reg(m)), reg(a));
}

}  // namespace armvisor::frontend
