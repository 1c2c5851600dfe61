#include "engine/jit/x64/exception_stubs.h"

#include "arm/psr.h"
#include "engine/jit/x64/emitter.h"
#include "engine/jit/x64/jump_probe.h"
#include "engine/jit/x64/psr_flags.h"
#include "engine/jit/x64/registers.h"

namespace armvisor::engine::jit {
namespace {

using namespace Xbyak::util;

#define AV_CONTEXT(member) static_cast<u32>(offsetof(Context, member))

constexpr u32 k_lr = AV_STATE(r) + 4 * 14;
constexpr u32 k_it_bits = arm::k_psr_it_low | arm::k_psr_it_high;
constexpr u32 k_psr_stored = arm::k_psr_e | arm::k_psr_a | arm::k_psr_i | arm::k_psr_f | arm::k_psr_t | arm::k_psr_mode;
// SCTLR (B4.1.130).
constexpr u32 k_sctlr_v = 1u << 13, k_sctlr_ee_bit = 25, k_sctlr_te_bit = 30;
constexpr u32 k_psr_e_bit = 9, k_psr_t_bit = 5;
const Xbyak::Reg32 k_sp(k_pinned[13]);

/// rcx = number of a bank, likewise `to`: R13 and R14 become those of `to`. Changes r15.
void swap_bank(Xbyak::CodeGenerator& c, const Xbyak::RegExp& to) {
  c.mov(dword[rbp + rcx * 4 + AV_STATE(bank_r13)], k_sp);
  c.mov(r15d, dword[rbp + k_lr]);
  c.mov(dword[rbp + rcx * 4 + AV_STATE(bank_r14)], r15d);
  c.mov(k_sp, dword[to + AV_STATE(bank_r13)]);
  c.mov(r15d, dword[to + AV_STATE(bank_r14)]);
  c.mov(dword[rbp + k_lr], r15d);
}

void count_trap(Xbyak::CodeGenerator& c, measure::Counter counter) {
  c.inc(qword[rbp + AV_CONTEXT(counters) + measure::Counters::offset(counter)]);
}

/// r15 = Views::window of the code that is entered.
void use_window(Xbyak::CodeGenerator& c) {
  Xbyak::Label done;
  c.cmp(r15, ptr[rbp + AV_CONTEXT(dispatch.gs_base)]);
  c.je(done);
  c.cmp(r15, k_window_wanted);
  c.jbe(done);
  c.mov(ptr[rbp + AV_CONTEXT(dispatch.gs_base)], r15);
  for (const int byte : {0xf3, 0x49, 0x0f, 0xae, 0xdf}) c.db(byte);  // wrgsbase r15
  c.L(done);
}

void leave_to_dispatcher(Xbyak::CodeGenerator& c, const Stubs& stubs, Service service) {
  c.call(static_cast<const void*>(c.getCode() + stubs.service[static_cast<u32>(service)]));
  c.jmp(static_cast<const void*>(c.getCode() + stubs.lookup), Xbyak::CodeGenerator::T_NEAR);
}

}  // namespace

// As arm::write_cpsr_by_instr with everything written. To C++ goes what changes E or ITSTATE, which blocks depend on,
// modes that are FIQ or invalid, whatever is returned to while an interrupt waits, and when the window that user code
// is entered by the return may use is not ready.
void emit_exception_return(Xbyak::CodeGenerator& c, const Stubs& stubs, const StubOptions& options) {
  Xbyak::Label slow;
  c.mov(edx, dword[rbp + AV_STATE(psr)]);
  c.mov(r14d, edx);
  c.xor_(r14d, ecx);
  c.test(r14d, arm::k_psr_e);
  c.jnz(slow, c.T_NEAR);
  c.test(ecx, k_it_bits);
  c.jnz(slow, c.T_NEAR);
  c.cmp(dword[rbp + AV_CONTEXT(dispatch.lines)], 0);
  c.jne(slow, c.T_NEAR);
  c.mov(r14d, ecx);
  c.and_(r14d, arm::k_psr_mode);
  if (options.windows) {
    Xbyak::Label ready;
    c.cmp(r14d, arm::k_mode_usr);
    c.jne(ready);
    c.mov(r15, ptr[rbp + AV_CONTEXT(dispatch.views)]);
    c.mov(r15, ptr[r15 + offsetof(Views, window[0])]);
    c.cmp(r15, ptr[rbp + AV_CONTEXT(dispatch.window_ready)]);
    c.jne(slow, c.T_NEAR);
    c.L(ready);
  }
  c.movzx(r14d, byte[rbp + r14 + AV_CONTEXT(policy.simple_bank)]);
  c.and_(edx, arm::k_psr_mode);
  c.movzx(edx, byte[rbp + rdx + AV_CONTEXT(policy.simple_bank)]);
  c.mov(r15d, edx);
  c.or_(r15d, r14d);
  c.test(r15d, k_no_simple_bank);
  c.jnz(slow, c.T_NEAR);

  if (options.count_traps) count_trap(c, measure::Counter::FastReturn);
  c.xchg(edx, ecx);  // edx = the new PSR
  swap_bank(c, rbp + r14 * 4);
  c.mov(ecx, edx);
  emit_psr_to_flags(c, ecx);
  c.mov(dword[rbp + AV_STATE(n)], ecx);
  c.bt(edx, 27);
  c.setc(byte[rbp + AV_STATE(q)]);
  c.mov(ecx, edx);
  c.shr(ecx, 16);
  c.and_(ecx, 15);
  c.mov(byte[rbp + AV_STATE(ge)], cl);
  c.and_(edx, k_psr_stored);
  c.mov(dword[rbp + AV_STATE(psr)], edx);
  // The target: bits 1:0 are 0 in ARM state; bit 0 is T.
  c.mov(ecx, edx);
  c.shr(ecx, k_psr_t_bit);
  c.and_(ecx, 1);
  c.lea(r15d, ptr[rcx * 2 - 4]);
  c.and_(eax, r15d);
  c.or_(eax, ecx);
  c.and_(edx, arm::k_psr_mode);
  c.cmp(edx, arm::k_mode_usr);
  c.mov(r14, ptr[rbp + AV_CONTEXT(dispatch.views)]);
  c.lea(rdx, ptr[r14 + offsetof(Views, view[1])]);
  c.lea(r15, ptr[r14 + offsetof(Views, view[0])]);
  c.cmove(rdx, r15);
  if (options.windows) {
    c.mov(r15, ptr[r14 + offsetof(Views, window[1])]);
    c.cmove(r15, ptr[r14 + offsetof(Views, window[0])]);
    use_window(c);
  }
  emit_take_view(c);
  emit_jump_probe(c, c.getCode() + stubs.stale);
  c.L(slow);
  leave_to_dispatcher(c, stubs, Service::Return);
}

// As arm::take_exception. To C++ goes what changes E, and modes that are FIQ or invalid.
void emit_supervisor_call(Xbyak::CodeGenerator& c, const Stubs& stubs, const StubOptions& options) {
  constexpr u32 k_svc = static_cast<u32>(arm::Bank::Svc);
  constexpr u32 k_vector = 8;
  Xbyak::Label slow;
  c.mov(r15d, dword[rbp + AV_STATE(psr)]);
  c.mov(r14d, dword[rbp + AV_STATE(cp15.sctlr)]);
  c.mov(edx, r14d);
  c.shr(edx, k_sctlr_ee_bit - k_psr_e_bit);
  c.xor_(edx, r15d);
  c.test(edx, arm::k_psr_e);
  c.jnz(slow, c.T_NEAR);
  c.mov(ecx, r15d);
  c.and_(ecx, arm::k_psr_mode);
  c.movzx(ecx, byte[rbp + rcx + AV_CONTEXT(policy.simple_bank)]);
  c.test(ecx, k_no_simple_bank);
  c.jnz(slow, c.T_NEAR);

  if (options.count_traps) count_trap(c, measure::Counter::FastSvc);
  // SPSR: as arm::cpsr, with ITSTATE 0.
  c.mov(edx, dword[rbp + AV_STATE(n)]);
  emit_flags_to_psr(c, edx);
  c.push(rcx);
  c.or_(edx, r15d);
  c.movzx(ecx, byte[rbp + AV_STATE(q)]);
  c.shl(ecx, 27);
  c.or_(edx, ecx);
  c.movzx(ecx, byte[rbp + AV_STATE(ge)]);
  c.shl(ecx, 16);
  c.or_(edx, ecx);
  c.pop(rcx);
  c.and_(r15d, ~(arm::k_psr_t | arm::k_psr_mode));
  c.or_(r15d, arm::k_psr_i | arm::k_mode_svc);
  c.mov(dword[rbp + AV_STATE(psr)], r15d);
  swap_bank(c, rbp + 4 * k_svc);
  c.mov(dword[rbp + AV_STATE(bank_spsr) + 4 * k_svc], edx);
  c.mov(dword[rbp + k_lr], eax);
  // The vector, T as SCTLR.TE.
  c.mov(eax, dword[rbp + AV_STATE(cp15.vbar)]);
  c.mov(ecx, 0xffff0000);
  c.test(r14d, k_sctlr_v);
  c.cmovnz(eax, ecx);
  c.shr(r14d, k_sctlr_te_bit);
  c.and_(r14d, 1);
  c.lea(eax, ptr[rax + r14 + k_vector]);
  c.shl(r14d, k_psr_t_bit);
  c.or_(dword[rbp + AV_STATE(psr)], r14d);
  c.mov(rdx, ptr[rbp + AV_CONTEXT(dispatch.views)]);
  if (options.windows) {
    c.mov(r15, ptr[rdx + offsetof(Views, window[1])]);
    use_window(c);
  }
  c.add(rdx, offsetof(Views, view[1]));
  emit_take_view(c);
  emit_jump_probe(c, c.getCode() + stubs.stale);
  c.L(slow);
  leave_to_dispatcher(c, stubs, Service::Svc);
}

}  // namespace armvisor::engine::jit
