#include "engine/jit/x64/stubs.h"

#include "engine/jit/x64/registers.h"
#include "engine/jit/x64/xmm_cache.h"

namespace armvisor::engine::jit {
namespace {

class StubEmitter : public Xbyak::CodeGenerator {
 public:
  StubEmitter(u8* rw, std::size_t capacity) : CodeGenerator(capacity, rw) {}

  Stubs emit(const ServiceFunction* services) {
    Stubs s;
    s.enter = getSize();
    emit_enter();
    s.leave = start();
    emit_leave();
    for (u32 k = 0; k < static_cast<u32>(Service::Count); ++k) {
      s.service[k] = start();
      const bool fp = static_cast<Service>(k) != Service::Load && static_cast<Service>(k) != Service::Store;
      emit_service(services[k], fp, false);
      s.service_keeping_xmm[k] = start();
      emit_service(services[k], fp, true);
    }
    s.raised = start();
    mov(eax, dword[rbp + offsetof(Context, raised)]);
    mov(dword[rbp + offsetof(Context, raised)], 0);
    jmp(static_cast<const void*>(getCode() + s.leave), T_NEAR);
    s.lookup = start();
    mov(eax, static_cast<u32>(Leave::Lookup));
    jmp(static_cast<const void*>(getCode() + s.leave), T_NEAR);
    s.interwork = start();
    emit_interwork();
    s.branch = getSize();
    emit_branch(s);
    s.size = getSize();
    return s;
  }

 private:
  static u32 guest(u32 n) { return static_cast<u32>(offsetof(Context, s) + offsetof(arm::CpuState, r) + 4 * n); }
  static constexpr u32 k_psr = offsetof(Context, s) + offsetof(arm::CpuState, psr);

  std::size_t start() {
    align(16);
    return getSize();
  }
  void load_pinned() {
    for (u32 n = 0; n < k_pinned.size(); ++n)
      if (k_pinned[n] != k_not_pinned) mov(Xbyak::Reg32(k_pinned[n]), dword[rbp + guest(n)]);
  }
  void store_pinned() {
    for (u32 n = 0; n < k_pinned.size(); ++n)
      if (k_pinned[n] != k_not_pinned) mov(dword[rbp + guest(n)], Xbyak::Reg32(k_pinned[n]));
  }

  // Stack: the return address and six pushes leave rsp 8 short of a multiple of 16; generated code keeps it aligned.
  void emit_enter() {
    push(rbx), push(rbp), push(r12), push(r13), push(r14), push(r15);
    sub(rsp, 8);
    mov(rbp, rdi);
    mov(rax, rsi);
    load_pinned();
    ldmxcsr(dword[rbp + offsetof(Context, mxcsr)]);
    jmp(rax);
  }
  void emit_leave() {
    store_pinned();
    stmxcsr(dword[rbp + offsetof(Context, mxcsr)]);
    add(rsp, 8);
    pop(r15), pop(r14), pop(r13), pop(r12), pop(rbp), pop(rbx);
    ret();
  }
  /// `fp`: the function looks at the host's FP flags.
  void emit_service(ServiceFunction function, bool fp, bool keep_xmm) {
    constexpr u32 k_first = XmmCache::k_first, k_end = XmmCache::k_end;
    const u32 frame = keep_xmm ? 8 + 16 * (k_end - k_first) : 8;
    const auto slot = [this](u32 x) { return ptr[rsp + 16 * (x - k_first)]; };
    store_pinned();
    if (fp) stmxcsr(dword[rbp + offsetof(Context, mxcsr)]);
    sub(rsp, frame);
    for (u32 x = k_first; keep_xmm && x < k_end; ++x) movups(slot(x), Xbyak::Xmm(static_cast<int>(x)));
    mov(rdi, rbp);
    mov(rsi, rax);
    mov(rax, reinterpret_cast<u64>(function));
    call(rax);
    for (u32 x = k_first; keep_xmm && x < k_end; ++x) movups(Xbyak::Xmm(static_cast<int>(x)), slot(x));
    add(rsp, frame);
    load_pinned();
    if (fp) ldmxcsr(dword[rbp + offsetof(Context, mxcsr)]);
    ret();
  }
  void emit_interwork() {
    mov(ecx, eax);
    and_(ecx, 1);
    shl(ecx, 5);
    mov(edx, dword[rbp + k_psr]);
    and_(edx, ~arm::k_psr_t);
    or_(edx, ecx);
    mov(dword[rbp + k_psr], edx);
    // PC loses bit 0 in Thumb state, bits 1 and 0 in ARM state.
    shr(ecx, 4);
    sub(ecx, 4);
    and_(eax, ecx);
  }
  void emit_branch(const Stubs& s) {
    Xbyak::Label miss;
    mov(dword[rbp + guest(15)], eax);
    mov(ecx, eax);
    shr(ecx, 13);
    mov(edx, eax);
    shr(edx, 1);
    xor_(edx, ecx);
    and_(edx, k_jump_entries - 1);
    shl(edx, 4);
    lea(rdx, ptr[rbp + rdx + offsetof(Context, jump)]);
    cmp(dword[rdx + offsetof(JumpEntry, pc)], eax);
    jne(miss);
    mov(ecx, dword[rbp + k_psr]);
    shr(ecx, 5);
    and_(ecx, 1);
    mov(ecx, dword[rbp + rcx * 4 + offsetof(Context, key)]);
    cmp(dword[rdx + offsetof(JumpEntry, key)], ecx);
    jne(miss);
    mov(rdx, ptr[rdx + offsetof(JumpEntry, block)]);
    test(rdx, rdx);
    jz(miss);
    shr(eax, k_page_bits);
    and_(eax, mmu::k_exec_entries - 1);
    mov(rcx, ptr[rbp + offsetof(Context, exec)]);
    mov(rcx, ptr[rcx + rax * 8]);
    cmp(rcx, ptr[rdx + offsetof(Block, exec_id)]);
    jne(miss);
    jmp(ptr[rdx + offsetof(Block, host)]);
    L(miss);
    jmp(static_cast<const void*>(getCode() + s.lookup), T_NEAR);
  }
};

}  // namespace

Stubs emit_stubs(u8* rw, std::size_t capacity,
                 const ServiceFunction (&services)[static_cast<std::size_t>(Service::Count)]) {
  return StubEmitter(rw, capacity).emit(services);
}

}  // namespace armvisor::engine::jit
