#include "engine/jit/x64/stubs.h"

#include "engine/jit/x64/exception_stubs.h"
#include "engine/jit/x64/jump_probe.h"
#include "engine/jit/x64/registers.h"
#include "engine/jit/x64/xmm_cache.h"

namespace armvisor::engine::jit {
namespace {

class StubEmitter : public Xbyak::CodeGenerator {
 public:
  StubEmitter(std::span<u8> rw, const StubOptions& options)
      : Xbyak::CodeGenerator(rw.size(), rw.data()), options_(options) {}

  Stubs emit(const Services& services) {
    Stubs s;
    s.enter = getSize();
    emit_enter();
    s.leave = start();
    emit_leave();
    s.leave_at = start();
    mov(ptr[rbp + offsetof(Context, dispatch.at)], rdx);
    mov(rdx, ptr[rdx + offsetof(Uop, handler)]);  // its block: see make_tables
    mov(ptr[rbp + offsetof(Context, dispatch.block)], rdx);
    jmp(at(s.leave), T_NEAR);
    s.attention = leave_for(s, Leave::Attention);
    s.hot = leave_for(s, Leave::Hot);
    s.sync = leave_for(s, Leave::Sync);
    s.unlinked = start();
    mov(ptr[rbp + offsetof(Context, dispatch.link)], rdx);
    mov(eax, ptr[rdx + offsetof(Link, pc)]);
    mov(dword[rbp + guest(15)], eax);
    s.lookup = leave_for(s, Leave::Lookup);
    for (u32 k = 0; k < static_cast<u32>(Service::Count); ++k) {
      s.service[k] = start();
      emit_service(static_cast<Service>(k), services[k], false);
      s.service_keeping_xmm[k] = start();
      emit_service(static_cast<Service>(k), services[k], true);
    }
    s.world_switch = start();
    emit_world_switch(s);
    s.miss = start();
    emit_miss(s);
    s.stale = start();
    emit_stale_probe(*this, at(s.miss));
    start();
    L(raised_);
    emit_raised(s);
    s.interwork = start();
    xor_(dword[rbp + k_psr], arm::k_psr_t);
    s.branch = getSize();
    emit_jump_probe(*this, at(s.stale));
    s.exception_return = start();
    emit_exception_return(*this, s, options_);
    s.supervisor_call = start();
    emit_supervisor_call(*this, s, options_);
    s.size = getSize();
    return s;
  }

 private:
  static u32 guest(u32 n) { return static_cast<u32>(offsetof(Context, guest) + offsetof(arm::CpuState, r) + 4 * n); }
  static constexpr u32 k_psr = offsetof(Context, guest) + offsetof(arm::CpuState, psr);

  const void* at(std::size_t offset) const { return getCode() + offset; }
  std::size_t start() {
    align(16);
    return getSize();
  }
  std::size_t leave_for(const Stubs& s, Leave why) {
    const std::size_t here = getSize();
    mov(eax, static_cast<u32>(why));
    jmp(at(s.leave), T_NEAR);
    return here;
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
    ldmxcsr(dword[rbp + offsetof(Context, scratch.mxcsr)]);
    jmp(rax);
  }
  void emit_leave() {
    store_pinned();
    stmxcsr(dword[rbp + offsetof(Context, scratch.mxcsr)]);
    add(rsp, 8);
    pop(r15), pop(r14), pop(r13), pop(r12), pop(rbp), pop(rbx);
    ret();
  }
  void emit_service(Service service, ServiceFunction function, bool keep_xmm) {
    const bool fp = uses_fp(service);
    constexpr u32 k_first = XmmCache::k_first, k_end = XmmCache::k_end;
    const u32 frame = keep_xmm ? 8 + 16 * (k_end - k_first) : 8;
    const auto slot = [this](u32 x) { return ptr[rsp + 16 * (x - k_first)]; };
    store_pinned();
    if (fp) stmxcsr(dword[rbp + offsetof(Context, scratch.mxcsr)]);
    sub(rsp, frame);
    for (u32 x = k_first; keep_xmm && x < k_end; ++x) movups(slot(x), Xbyak::Xmm(static_cast<int>(x)));
    mov(rdi, rbp);
    mov(rsi, rax);
    mov(rax, reinterpret_cast<u64>(function));
    call(rax);
    for (u32 x = k_first; keep_xmm && x < k_end; ++x) movups(Xbyak::Xmm(static_cast<int>(x)), slot(x));
    add(rsp, frame);
    load_pinned();
    if (fp) ldmxcsr(dword[rbp + offsetof(Context, scratch.mxcsr)]);
    if (may_raise(service)) {
      Xbyak::Label raised;
      cmp(dword[rbp + offsetof(Context, dispatch.raised)], 0);
      jne(raised);
      ret();
      L(raised);
      add(rsp, 8);
      jmp(raised_, T_NEAR);
    } else {
      ret();
    }
  }
  void emit_world_switch(const Stubs& s) {
    mov(ptr[rbp + offsetof(Context, dispatch.resume)], rax);
    mov(ptr[rbp + offsetof(Context, scratch.lent[0])], r14);
    mov(ptr[rbp + offsetof(Context, scratch.lent[1])], r15);
    mov(eax, static_cast<u32>(Leave::Emulate));
    jmp(at(s.leave_at), T_NEAR);
  }
  void emit_raised(const Stubs& s) {
    mov(eax, dword[rbp + offsetof(Context, dispatch.raised)]);
    mov(dword[rbp + offsetof(Context, dispatch.raised)], 0);
    if (options_.inline_exceptions) {
      cmp(eax, static_cast<u32>(Leave::Fault));
      jne(at(s.leave));
      call(at(s.service[static_cast<u32>(Service::Abort)]));  // gives the vector, CPSR.T in bit 0
      emit_jump_probe(*this, at(s.stale));
    } else {
      jmp(at(s.leave), T_NEAR);
    }
  }
  /// PC loses bit 0 in Thumb state, bits 1 and 0 in ARM state.
  void emit_miss(const Stubs& s) {
    mov(ecx, dword[rbp + k_psr]);
    shr(ecx, 4);
    and_(ecx, 2);
    sub(ecx, 4);
    and_(eax, ecx);
    mov(dword[rbp + guest(15)], eax);
    jmp(at(s.lookup), T_NEAR);
  }

  const StubOptions options_;
  Xbyak::Label raised_;
};

}  // namespace

Stubs emit_stubs(std::span<u8> rw, const StubOptions& options, const Services& services) {
  return StubEmitter(rw, options).emit(services);
}

}  // namespace armvisor::engine::jit
