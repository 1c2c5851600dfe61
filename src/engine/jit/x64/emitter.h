#pragma once
// Turns one IR block into x86-64 code. One pass in order, hot code first, then the cold paths that it jumped out to.
#include <xbyak/xbyak.h>
#include <xbyak/xbyak_util.h>

#include <functional>
#include <vector>

#include "arm/psr.h"
#include "engine/context.h"
#include "engine/engine.h"
#include "engine/jit/x64/registers.h"
#include "engine/jit/x64/stubs.h"
#include "ir/ir.h"

namespace armvisor::engine::jit {

/// What a host must have for the faster forms; detected once.
struct HostFeatures {
  bool bmi2 = false, lzcnt = false, avx = false, fma = false, sse41 = false;
  static HostFeatures detect();
};

/// Offset of a member of the guest's state from the context.
#define AV_STATE(member) static_cast<u32>(offsetof(Context, s) + offsetof(arm::CpuState, member))

class Emitter : private Xbyak::CodeGenerator {
 public:
  /// Emits at `rw` (capacity bytes). `base` is the start of the code cache in the same mapping, where the stubs are.
  /// Throws Xbyak::Error when the space does not suffice.
  Emitter(u8* rw, std::size_t capacity, u8* base, const Stubs& stubs, const HostFeatures& host,
          const JitOptions& options);

  /// Emits `block`; `out` has its uops, one for each IR instruction, and its links, in order. Returns the code's size.
  std::size_t compile(const ir::Block& block, Block& out);

 private:
  using Inst = ir::Inst;
  using Value = ir::Value;
  using Op = ir::Op;
  using Reg32 = Xbyak::Reg32;
  using Reg64 = Xbyak::Reg64;
  using Address = Xbyak::Address;
  enum class HostFlags : u8 { None, Add, Sub, Logic };
  struct TempInfo {
    int def = -1, last = -1;
    int uses = 0;
    bool memory = false;
    bool in_reg = false;
    bool in_eax = false;  ///< an address that the next instruction uses
  };
  struct Cold {
    std::function<void()> emit;
  };

  // --- analysis.cpp
  void analyse();
  void analyse_temps();
  void choose_copies();
  void analyse_flags();
  bool runs_inline(const Inst& i) const;  ///< else by Service::Helper
  bool skip_is_fused(u32 index) const { return flags_at_host(index) >= 0; }
  /// The instruction whose host flags are still there at the SkipUnless `index` and can decide its condition, or -1.
  int flags_at_host(u32 index) const;
  /// The skip at `index` only jumps over one direct exit: a branch out of the block's straight run.
  bool is_side_exit(u32 index) const;
  bool is_backward(u32 index) const;
  void plan_flags(u32 index, const std::vector<u8>& live_after, const std::vector<bool>& conditional);
  static HostFlags flags_kind(const Inst& i);
  static bool host_condition(HostFlags kind, arm::Cond cond, u8& cc);

  // --- operands
  Address guest(u32 n) { return dword[rbp + static_cast<u32>(AV_STATE(r) + 4 * n)]; }
  u32 frame_offset(Value v) const { return static_cast<u32>(offsetof(Context, temps) + 16 * (v.temp_number() + 1)); }
  int host_reg(Value v) const;  ///< register number, or -1: in memory
  u32 memory_offset(Value v) const;
  Reg32 use(const Inst& i, Value v, const Reg32& scratch);
  Reg64 use64(const Inst& i, Value v, const Reg64& scratch);
  void load_to(const Inst& i, Value v, const Reg32& d);
  void load_to64(const Inst& i, Value v, const Reg64& d);
  Reg32 target(Value dst, const Reg32& scratch) const;
  Reg64 target64(Value dst, const Reg64& scratch) const;
  void finish(Value dst, const Reg32& r);
  void finish64(Value dst, const Reg64& r);
  bool aliases(Value v, const Reg32& r) const { return host_reg(v) == r.getIdx(); }

  // --- classes of instructions
  const void* stub(std::size_t offset) const { return base_ + offset; }
  void emit(const Inst& i);
  void emit_move(const Inst& i);
  void emit_move64(const Inst& i);
  Reg32 arithmetic(const Inst& i, Op op);
  void emit_binary(const Inst& i);
  void emit_shift(const Inst& i);
  void emit_shift_reg(const Inst& i);
  void emit_carry(const Inst& i);
  void emit_carry_reg(const Inst& i);
  void spread_flags();
  void emit_flag_arith(const Inst& i);
  void emit_unary(const Inst& i);
  void emit_field(const Inst& i);
  void emit_compare(const Inst& i);
  void emit_mul64(const Inst& i);
  void emit_arith64(const Inst& i);
  void emit_divide(const Inst& i);
  void emit_register_file(const Inst& i);
  void store_flags(u8 mask, HostFlags kind);
  u8 emit_skip_test(const Inst& i);
  void emit_skip(const Inst& i);
  u8 test_condition(arm::Cond cond);  ///< from the stored flags; returns the host condition that means true
  void jcc(u8 cc, Xbyak::Label& label);
  void setcc(u8 cc, const Xbyak::Operand& d);
  u32 emit_access(u32 index);  ///< returns how many instructions it covered
  u32 group_length(u32 index) const;
  /// eax = address; leaves the page's host address in rcx and the offset in eax. At `miss`, rcx is the entry.
  void probe(const Inst& i, u32 length, Xbyak::Label& misaligned, Xbyak::Label& miss);
  void probe_tag(std::size_t tag_offset, u32 length, Xbyak::Label& miss);
  Address tag(const Inst& i);  ///< of the entry at rcx
  void direct_load(const Inst& i, u32 offset);
  void direct_store(const Inst& i, u32 offset);
  void slow_access(const Inst& i);  ///< eax = address
  void place_constant(const Inst& i);
  bool emit_system(const Inst& i);
  void helper_behind(const Inst& i, Xbyak::Label& slow, Xbyak::Label& back);
  bool emit_exclusive(const Inst& i);
  bool emit_fence(const Inst& i);
  bool emit_read_cpsr(const Inst& i);
  bool emit_write_cpsr(const Inst& i);
  void emit_helper(const Inst& i);
  bool fp_runs_inline(const Inst& i) const;
  void load_fp(const Inst& i, Value v, const Xbyak::Xmm& x, bool wide);
  void finish_fp(Value dst, const Xbyak::Xmm& x, bool wide);
  void check_ordinary(const Xbyak::Xmm& x, bool wide, Xbyak::Label& slow);
  void emit_fp(const Inst& i);
  void emit_fp_arith(const Inst& i, Xbyak::Label& slow);
  void emit_fp_compare(const Inst& i);
  void emit_fp_resize(const Inst& i, Xbyak::Label& slow);
  void emit_fp_to_int(const Inst& i, Xbyak::Label& slow);
  void emit_int_to_fp(const Inst& i);
  void emit_fp_sign(const Inst& i);
  void emit_fpscr_to_flags();
  void emit_exit(const Inst& i);
  void emit_leave(Leave why);
  void emit_sync_exit(u32 pc);
  void emit_vector_move(const Inst& i);
  void exit_direct(Link& link);
  void exit_direct_if(u8 cc, Link& link);
  void leave_unlinked(Link& link, Xbyak::Label& unlinked);
  u8* align_displacement(std::size_t opcode_bytes);
  void set_pc(u32 pc);
  void name_uop();
  void call_service(Service s) {
    call(stub(stubs_.service[static_cast<u32>(s)]));
    if (s == Service::Helper || s == Service::Trap) load_copies();  // it may have written any register
  }
  void load_copies();
  bool is_copy(Value v) const { return v.is_reg() && guest_host_[v.reg_number()] != k_pinned[v.reg_number()]; }
  void check_raised();
  u8 flags_needed(u32 index) const { return flags_needed_[index]; }
  void recover_flags(u32 index);  ///< in the cold path of instruction `index`; changes ecx, edx
  void emit_side_exit(u32 index);

  u8* base_;
  const Stubs& stubs_;
  const HostFeatures& host_;
  const JitOptions& options_;
  const ir::Block* block_ = nullptr;
  Block* out_ = nullptr;
  u32 index_ = 0, next_link_ = 0;
  bool may_link_ = true;
  std::array<int, 15> guest_host_ = k_pinned;  ///< host register of each guest register in this block
  std::vector<u32> uop_index_;                 ///< place in Block::code of each instruction that has a uop
  std::vector<TempInfo> temps_;
  std::vector<u8> flags_needed_;
  /// Flags that the hot path does not store, and that the cold path of an instruction makes from the operands or the
  /// result of the instruction `source`.
  struct Recovery {
    int source = -1;
    u8 mask = 0;
    bool from_result = false;
  };
  std::vector<Recovery> recovery_;
  std::vector<Xbyak::Label> labels_;
  std::vector<Cold> cold_;
};

}  // namespace armvisor::engine::jit
