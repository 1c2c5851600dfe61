// Program status, exception-generating instructions, hints, barriers and system registers (ARM DDI 0406C B9.3, A8.8).
#include "frontend/translator.h"

namespace armvisor::frontend {
namespace {

constexpr u32 k_mask_control = 1, k_mask_extension = 2;

}  // namespace

void Translator::mrs(u32 d, bool from_spsr) {
  if (from_spsr && !context.privileged) return unpredictable();
  ir.emit_to(Value::reg(d), from_spsr ? Op::ReadSpsr : Op::ReadCpsr);
}

void Translator::msr(Operand value, u32 mask, bool to_spsr) {
  if (mask == 0 || (to_spsr && !context.privileged)) return unpredictable();
  if (to_spsr) {
    ir.emit_imm(Op::WriteSpsr, mask, value);
    return;
  }
  ir.emit_imm(Op::WriteCpsr, mask, value);
  // PL0 may still change E, which blocks depend on.
  const u32 leaves = context.privileged ? k_mask_control | k_mask_extension : k_mask_extension;
  if (mask & leaves) sync_exit();
}

void Translator::cps(u32 imod, bool a, bool i, bool f, bool change_mode, u32 mode) {
  if (!context.privileged) return;  // a NOP at PL0 (B9.3.2)
  if (change_mode && !arm::mode_is_valid(mode)) return unpredictable();
  const u32 masks = (a ? arm::k_psr_a : 0) | (i ? arm::k_psr_i : 0) | (f ? arm::k_psr_f : 0);
  Value psr = ir.emit(Op::ReadCpsr);
  if (imod >= 2) psr = ir.emit(imod == 2 ? Op::AndNot : Op::Or, psr, imm(masks));
  if (change_mode) psr = ir.emit(Op::Or, ir.emit(Op::AndNot, psr, imm(arm::k_psr_mode)), imm(mode));
  ir.emit_imm(Op::WriteCpsr, k_mask_control | (a ? k_mask_extension : 0), psr);
  // Masking interrupts changes nothing that this block was translated for and lets nothing new happen.
  if (change_mode || imod == 2) sync_exit();
}

void Translator::setend(bool big) {
  ir.emit_imm(Op::SetEndian, big);
  sync_exit();
}

bool Translator::semihosting_call(u32 comment, u32 a32, u32 t32) {
  const bool allowed = context.semihosting == arm::Semihosting::Everybody ||
                       (context.semihosting == arm::Semihosting::Privileged && context.privileged);
  if (!allowed || comment != (context.thumb ? t32 : a32)) return false;
  leave(Op::ExitHvc, {}, arm::k_semihosting_comment, BranchHint::None, next_pc());
  return true;
}

void Translator::svc(u32 comment) {
  if (semihosting_call(comment, arm::k_semihosting_svc_a32, arm::k_semihosting_svc_t32)) return;
  leave(Op::ExitSvc, {}, comment, BranchHint::None, next_pc());
}

void Translator::hlt(u32 comment) {
  if (!semihosting_call(comment, arm::k_semihosting_hlt_a32, arm::k_semihosting_hlt_t32)) undefined();
}

void Translator::hvc(u32 comment) {
  if (!context.privileged) return undefined();
  leave(Op::ExitHvc, {}, comment, BranchHint::None, next_pc());
}

void Translator::smc(u32 comment) {
  if (!context.privileged) return undefined();
  leave(Op::ExitSmc, {}, comment, BranchHint::None, next_pc());
}

void Translator::bkpt() { leave(Op::ExitBkpt, {}, static_cast<u64>(arm::DebugEntry::Bkpt)); }

void Translator::check_debug_event() {
  const u32 label = ir.new_label();
  ir.skip_if(ir.emit_imm(Op::NoDebugEvent, pc.value), label);
  leave(Op::ExitBkpt);
  done = false;
  ir.label(label);
}

void Translator::hint(u32 number) {
  switch (number) {
    case 1: return leave(Op::ExitYield, {}, next_pc());
    case 2: return leave(Op::ExitWfe, {}, next_pc());
    case 3: return leave(Op::ExitWfi, {}, next_pc());
    case 4: ir.emit(Op::Sev); return;
    default: return;
  }
}

void Translator::data_barrier() { ir.emit(Op::Fence); }

void Translator::isb() { sync_exit(); }

const arm::SysReg* Translator::accessible_sysreg(arm::SysRegId id, bool write) const {
  if (id == arm::k_no_sysreg) return nullptr;
  const arm::SysReg& r = arm::sysregs()[id];
  const bool allowed = context.privileged ? (write ? r.pl1_write : r.pl1_read) : (write ? r.pl0_write : r.pl0_read);
  return allowed ? &r : nullptr;
}

namespace {

/// Barriers by their old encodings (ARM DDI 0406C B4.2.5) are those of the instructions.
bool is_data_barrier(const arm::SysReg& r) { return r.name == "CP15DSB" || r.name == "CP15DMB"; }

}  // namespace

void Translator::mcr(u32 coproc, u32 op1, u32 t, u32 crn, u32 crm, u32 op2) {
  const arm::SysRegId id = arm::find_sysreg32(coproc, op1, crn, crm, op2);
  const arm::SysReg* r = accessible_sysreg(id, true);
  if (r == nullptr || t == 15) return undefined();
  if (is_data_barrier(*r)) return data_barrier();
  ir.emit_imm(Op::WriteSys, id, reg(t));
  if (r->effect == arm::SysEffect::EndBlock) sync_exit();
}

void Translator::mrc(u32 coproc, u32 op1, u32 t, u32 crn, u32 crm, u32 op2) {
  const arm::SysRegId id = arm::find_sysreg32(coproc, op1, crn, crm, op2);
  if (accessible_sysreg(id, false) == nullptr) return undefined();
  if (t != 15) {
    ir.emit_imm_to(Value::reg(t), Op::ReadSys, id);
    return;
  }
  ir.emit(Op::SetNZCV, ir.emit_imm(Op::ReadSys, id));
  ir.block().insts.back().attr = 15;
}

void Translator::mcrr(u32 coproc, u32 op1, u32 t, u32 t2, u32 crm) {
  const arm::SysRegId id = arm::find_sysreg64(coproc, op1, crm);
  const arm::SysReg* r = accessible_sysreg(id, true);
  if (r == nullptr || t == 15 || t2 == 15) return undefined();
  ir.emit_imm(Op::WriteSys64, id, ir.emit(Op::Pack64, reg(t), reg(t2)));
  if (r->effect == arm::SysEffect::EndBlock) sync_exit();
}

void Translator::mrrc(u32 coproc, u32 op1, u32 t, u32 t2, u32 crm) {
  const arm::SysRegId id = arm::find_sysreg64(coproc, op1, crm);
  if (accessible_sysreg(id, false) == nullptr || t == 15 || t2 == 15 || t == t2) return undefined();
  write_pair(t, t2, ir.emit_imm(Op::ReadSys64, id));
}

}  // namespace armvisor::frontend
