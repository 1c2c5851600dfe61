#pragma once
// Turns one IR block into x86-64 code, as a Plan says. One pass in order, hot code first, then the cold paths that it
// jumped out to.
#include <xbyak/xbyak_util.h>

#include <cstring>
#include <optional>
#include <type_traits>
#include <vector>

#include "arm/psr.h"
#include "engine/context.h"
#include "engine/engine.h"
#include "engine/jit/reloc.h"
#include "engine/jit/window_sites.h"
#include "engine/jit/x64/assembler.h"
#include "engine/jit/x64/host_features.h"
#include "engine/jit/x64/plan/plan.h"
#include "engine/jit/x64/registers.h"
#include "engine/jit/x64/stubs.h"
#include "engine/jit/x64/xmm_cache.h"
#include "ir/ir.h"
#include "ir/vector.h"

namespace armvisor::engine::jit {

/// Offset of a member of the guest's state from the context.
#define AV_STATE(member) static_cast<u32>(offsetof(Context, guest) + offsetof(arm::CpuState, member))

class Emitter : private Assembler {
 public:
  /// `plan` is by then the plan for the block that compile() gets, made for the same host and options.
  Emitter(const Stubs& stubs, const HostFeatures& host, const JitOptions& options, const WindowSites& sites,
          const Plan& plan)
      : stubs_(stubs), host_(host), options_(options), sites_(sites), plan_(plan) {}

  /// As BlockEmitter::emit(). Returns the code's size. Throws Xbyak::Error when `capacity` bytes do not suffice.
  std::size_t compile(u8* at, std::size_t capacity, const ir::Block& block, Block& out, Relocs& relocs);
  /// Of the block that was made last: where links enter it, if that is not its start (Block::linked); 0: it is.
  std::size_t linked_entry() const { return linked_entry_; }
  /// Offset in the code of the WindowTable; 0: there is none.
  std::size_t window_table() const { return window_table_; }

 private:
  using Inst = ir::Inst;
  using Value = ir::Value;
  using Op = ir::Op;
  using Reg32 = Xbyak::Reg32;
  using Reg64 = Xbyak::Reg64;
  using Address = Xbyak::Address;
  struct DirtyUnit {
    u32 unit;
    int x;
  };
  /// Code that comes behind the block. What emits it is a callable that is kept here.
  struct Cold {
    template <class F>
    Cold(F f, std::vector<DirtyUnit> units)
        : emit([](const void* at) { (*static_cast<const F*>(at))(); }), dirty(std::move(units)) {
      static_assert(sizeof(F) <= sizeof closure && std::is_trivially_copyable_v<F>);
      std::memcpy(closure, &f, sizeof f);
    }
    void (*emit)(const void* at);
    alignas(8) std::byte closure[88];
    std::vector<DirtyUnit> dirty;  ///< where control comes from
  };

  void begin(const ir::Block& block, Block& out);

  // --- operands
  Address guest(u32 n) { return dword[rbp + static_cast<u32>(AV_STATE(r) + 4 * n)]; }
  u32 frame_offset(Value v) const {
    return static_cast<u32>(offsetof(Context, scratch.temps) + 16 * (v.temp_number() + 1));
  }
  int host_reg(Value v) const { return plan_.registers.host(v); }
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

  // --- what depends on where the block is
  void note(Reloc::Kind kind, std::size_t at, std::size_t of = 0);
  void note_address(ir::Address a);
  void move_address(const Reg32& d, ir::Address a);
  void lea_address(const Reg32& d, const Reg32& base, ir::Address a);
  void load_pointer(const Reg64& d, Reloc::Kind kind, std::size_t of = 0);
  void displacement_to(std::size_t stub);
  void jump_to(std::size_t stub);  ///< an offset from Stubs
  void jump_to_if(u8 cc, std::size_t stub);
  void call_stub(std::size_t stub);
  std::size_t link_number(const Link& link) const { return static_cast<std::size_t>(&link - out_->links); }
  void load_link(const Link& link);

  // --- classes of instructions
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
  void emit_condition_value(const Inst& i);
  void emit_compare(const Inst& i);
  void emit_mul64(const Inst& i);
  void emit_arith64(const Inst& i);
  void emit_add_address(const Inst& i);
  void emit_divide(const Inst& i);
  // --- emit_dsp.cpp
  void emit_dsp(const Inst& i);
  void emit_saturate(const Inst& i);
  void emit_parallel(const Inst& i);
  void store_flags(u8 mask, HostFlags kind);
  u8 emit_skip_test(const Inst& i);
  u8 emit_test(arm::Cond cond);
  void emit_skip(const Inst& i);
  u8 test_condition(arm::Cond cond);  ///< from the stored flags; returns the host condition that means true
  void setcc(u8 cc, const Xbyak::Operand& d);
  u32 emit_access(u32 index);  ///< returns how many instructions it covered
  /// eax = address; leaves the page's host address in rcx and the offset in eax. At `miss`, rcx is the entry.
  void probe(const Inst& i, u32 length, Label misaligned, Label miss);
  void probe_tag(std::size_t tag_offset, u32 length, Label miss);
  Address tag(const Inst& i);  ///< of the entry at rcx
  void direct_load(const Inst& i, const Xbyak::RegExp& at);
  void direct_store(const Inst& i, const Xbyak::RegExp& at);
  void slow_access(const Inst& i, bool keep_xmm, bool window);  ///< eax = address
  void access_address(const Inst& i);                           ///< to eax
  // --- emit_window.cpp: accesses by way of a host-MMU window
  bool by_window(u32 index) const;
  void window_access(u32 index, u32 count);
  Xbyak::RegExp window_place(const Inst& first, Label misaligned);
  void touch();
  void emit_window_table();
  void place_constant(const Inst& i);
  bool emit_system(const Inst& i);
  bool emit_no_debug_event(const Inst& i);
  bool emit_sysreg(const Inst& i);
  void count(measure::Counter c) { count(c, index_); }  ///< changes the host's flags
  void count(measure::Counter c, u32 index);
  void helper_behind(const Inst& i, Label slow, Label back);
  bool emit_exclusive(const Inst& i);
  bool emit_fence(const Inst& i);
  void emit_read_cpsr(const Inst& i);
  bool emit_write_cpsr(const Inst& i);
  bool emit_write_dacr(const Inst& i);
  // --- emit_banks.cpp: registers of other modes, and SPSR
  bool emit_banks(const Inst& i);
  void current_bank(Label slow);
  bool emit_read_mode_reg(const Inst& i);
  bool emit_write_mode_regs();
  void emit_spsr(const Inst& i);
  // --- emit_branch.cpp: exits whose target is not linked
  void go_on_at_eax();
  void emit_indirect(const Inst& i);
  void emit_sync(const Inst& i);
  bool emit_return(const Inst& i);
  bool emit_supervisor_call(const Inst& i);
  void emit_helper(const Inst& i);
  // --- emit_world_switch.cpp: sensitive instructions that the dispatcher carries out
  bool may_run_in_place(u32 index, bool option) const {
    return option || (options_.world_switches && !plan_.flow[index].leaves);
  }
  void emit_world_switch(const Inst& i);
  // --- emit_xmm.cpp: temps and copies of extension registers in xmm registers
  using Xmm = Xbyak::Xmm;
  /// What has become of a temp that is in_xmm.
  struct XmmState {
    ir::Type type;
    int last;
    int high_of = -1;      ///< the temp that it is the high half of
    bool spilled = false;  ///< has its slot in the frame, since its register was needed
  };
  /// Where a value that is in an xmm register must be for C++ to see it.
  struct Parked {
    int x;
    Value value;
    ir::Type type;
  };
  /// For the cold path of an instruction: what to park before the call, and where its result is expected.
  struct ColdXmm {
    std::vector<Parked> operands;
    Parked result{-1, {}, ir::Type::V};
    bool keep = false;  ///< other values are in registers
    bool quad = false;  ///< a doubleword that is moved together with the next access's
    bool high = false;  ///< it is, or was, the high half of the register
  };
  void begin_xmm_state();
  bool is_xmm(Value v) const { return plan_.xmm.holds(v); }
  const XmmTemp& xmm_temp(u32 t) const { return plan_.xmm.temps[t]; }
  const std::vector<Unit>& units() const { return plan_.xmm.units; }
  void begin_xmm();  ///< a new instruction: nothing is held, what was used for the last time is released
  Xmm take_xmm();
  Xmm hold_xmm(int x);
  Xmm use_xmm(const Inst& i, Value v, ir::Type type, const Xmm& scratch);
  Xmm result_xmm(Value dst, u32 index);
  Xmm result_xmm(Value dst) { return result_xmm(dst, index_); }
  void finish_xmm(Value dst, const Xmm& x, ir::Type type);
  void move_to_frame(Value v, const Xmm& x, ir::Type type);
  void move_from_frame(Value v, const Xmm& x, ir::Type type);
  void free_xmm(u32 x);
  void spill_xmm();  ///< before a call that does not keep xmm registers
  ColdXmm cold_xmm(const Inst& i) const;
  void emit_slow(const Inst& i, const ColdXmm& cold);
  void emit_get(const Inst& i);
  void emit_set(const Inst& i);
  void emit_vector_half(const Inst& i);
  void emit_vector_pack(const Inst& i);
  void emit_lane(const Inst& i);
  void note_skip(u32 label);
  void note_label(u32 label);
  void begin_access(u32 index, u32 count);
  bool get_pair(const Inst& i);
  void set_quad(const Inst& i, u32 temp);
  bool load_xmm(const Inst& i, const Xbyak::RegExp& at);
  bool store_xmm(const Inst& i, const Xbyak::RegExp& at);
  bool store_xmm_value(const Inst& i);
  bool finish_loaded_xmm(const Inst& i);
  const ColdXmm& access_of(const Inst& i) const {
    return access_xmm_[static_cast<std::size_t>(&i - block_->insts.data())];
  }
  Address constant32(u32 v) { return constant(v * 0x100000001u, v * 0x100000001u); }
  // --- emit_units.cpp: extension registers that stay in host registers throughout a region
  void load_unit(u32 unit, const Xmm& x);
  void store_unit(u32 unit, const Xmm& x);
  Xmm unit_xmm(u32 unit);
  void place_units(bool leaving);
  bool units_in_place() const;
  void load_units();
  std::vector<DirtyUnit> dirty_units() const;
  void store_dirty(const std::vector<DirtyUnit>& units);
  void get_unit(const Inst& i, u32 unit);
  void set_unit(const Inst& i, u32 unit);
  int home_of_result(u32 index) const;
  template <class F>
  void add_cold(F emit) {
    cold_.emplace_back(emit, dirty_units());
  }
  // --- emit_fp.cpp
  void check_ordinary(const Xmm& x, bool wide, Label slow);
  void check_number(const Xmm& x, bool wide, Label slow);
  void push_slow(const Inst& i, Label slow, Label done);
  void emit_fp(const Inst& i);
  void emit_fp_arith(const Inst& i, Label slow);
  void emit_fp_compare(const Inst& i);
  std::optional<u8> fp_condition(arm::Cond cond);
  void emit_fp_resize(const Inst& i, Label slow);
  void emit_fp_to_int(const Inst& i, Label slow);
  void emit_int_to_fp(const Inst& i);
  void emit_fp_sign(const Inst& i);
  void emit_fpscr_to_flags();
  void flags_from_fpscr(u8 mask);
  u32 next_op(u32 index) const;
  // --- emit_vector.cpp
  void emit_vector(const Inst& i);
  /// One operation: registers of the operands and the result, and what VectorImm says. xmm0-xmm2 are scratch.
  struct VectorCode {
    Xmm a, b, c, d;
    unsigned size = 0;  ///< log2 of the element size
    bool q = false;
    u32 imm = 0;
    std::optional<u64> indices;  ///< of VTBL
  };
  Xmm vector_operand(Value v, bool clear_high);
  void finish_vector(const Inst& i, const VectorCode& v);
  void note_saturation_unless(const Xmm& x);
  void vector_not(const Xmm& d, const Xmm& a);
  void vector_bits(ir::VecOp op, const VectorCode& v);
  void vector_multiply(const Xmm& d, const VectorCode& v);
  void vector_arithmetic(ir::VecOp op, const VectorCode& v);
  void vector_shift_right(const Xmm& d, const Xmm& a, unsigned size, u32 n, bool is_signed);
  void vector_shift_left(const Xmm& d, const Xmm& a, unsigned size, u32 n);
  void vector_shift_right_rounded(const Xmm& d, const Xmm& a, unsigned size, u32 n, bool is_signed);
  void vector_halving(ir::VecOp op, const VectorCode& v);
  void vector_saturating(ir::VecOp op, const VectorCode& v);
  void vector_compare(ir::VecOp op, const VectorCode& v);
  void vector_difference(const Xmm& d, const VectorCode& v, bool is_signed);
  void vector_pairs(ir::VecOp op, const VectorCode& v);
  void vector_one(ir::VecOp op, const VectorCode& v);
  void vector_pairs_long(bool is_signed, const VectorCode& v);
  void vector_shift(ir::VecOp op, const VectorCode& v);
  void vector_shift_words(const Xmm& d, const Xmm& a, const Xmm& n, bool is_signed, bool round);
  void vector_shift_by_register(bool is_signed, bool round, const VectorCode& v);
  void vector_narrow(ir::VecOp op, const VectorCode& v);
  void vector_saturate_narrow(const VectorCode& v, const Xmm& from, bool from_signed, bool to_signed);
  void vector_widen(ir::VecOp op, const VectorCode& v);
  void vector_multiply_long(const VectorCode& v, bool is_signed);
  void vector_multiply_polynomials(const VectorCode& v);
  void vector_permute(ir::VecOp op, const VectorCode& v);
  void vector_table(const VectorCode& v);
  void vector_table_fixed(const VectorCode& v, u64 indices);
  // --- emit_vector_fp.cpp
  void vector_magnitude(const Xmm& t, const Xmm& x);
  void note_normal(ir::VecOp op, const VectorCode& v);
  void check_operands(std::initializer_list<Xmm> operands, u32 least, Label slow);
  void check_numbers(const Xmm& x, Label slow);
  void check_normal(const Xmm& x, Label slow);
  void emit_vector_fp(ir::VecOp op, const VectorCode& v, Label slow);
  void vector_fp_extreme(bool max, const Xmm& d, const Xmm& a, const Xmm& b, Label slow);
  void emit_exit(const Inst& i);
  void emit_head(const Inst& i);
  void emit_goto(u32 index, std::optional<u8> cc);
  void emit_leave(Leave why);
  void emit_linked_entry();
  void leave_from_entry(std::size_t stub_for_it);
  void emit_sync_exit(ir::Address pc);
  /// `from`: address of the instruction that leaves.
  void exit_direct(Link& link, u32 from);
  bool is_loop_end(const Link& link, u32 from) const;
  void count_loop(const Link& link);
  void exit_direct_if(u8 cc, Link& link);
  void leave_unlinked(Link& link, Label unlinked);
  u8* align_displacement(std::size_t opcode_bytes);
  void set_pc(ir::Address pc);
  void name_uop();
  void call_service(Service s, bool keep_xmm = false);
  /// In a region a copy may be newer than the context. Before whatever may look at the context or goes on elsewhere,
  /// park() stores the copies and gives borrowed host registers back to the guest registers they belong to.
  void park();
  void load_copies();
  u8 flags_needed(u32 index) const { return plan_.flags[index].needed; }
  void recover_flags(u32 index);  ///< in the cold path of instruction `index`; changes ecx, edx
  void make_flags(u32 source, u8 mask, bool from_result);
  void make_host_flags(u32 source, bool from_result, bool nz_only);
  void make_saved_flags(u32 source, u8 mask);
  void note_edge(u32 skip, u32 head);
  void emit_side_exit(u32 index);

  const Stubs& stubs_;
  const HostFeatures& host_;
  const JitOptions& options_;
  const WindowSites& sites_;
  const Plan& plan_;
  struct WindowAccess {
    std::size_t at, group;
  };
  std::vector<WindowAccess> window_accesses_;
  std::vector<std::size_t> window_colds_;  ///< by group, where its accesses go on when they fault
  bool in_window_ = false;                 ///< an access of the last group is being emitted
  std::size_t window_table_ = 0;
  std::size_t linked_entry_ = 0;
  const ir::Block* block_ = nullptr;
  Block* out_ = nullptr;
  Relocs* relocs_ = nullptr;
  u32 index_ = 0, next_link_ = 0;
  u32 emitted_until_ = 0;  ///< the code of one instruction was that of those up to here
  bool may_link_ = true;
  std::vector<Label> heads_;
  std::vector<u32> uop_index_;  ///< place in Block::code of each instruction that has a uop
  Value nz_of_, held_nz_;       ///< the host's SF and ZF are this value's, behind the instruction and before it
  std::vector<Label> labels_;
  std::vector<Cold> cold_;
  // emit_xmm.cpp
  XmmCache xmm_;
  std::vector<XmmState> xmm_state_;  ///< by temp
  std::vector<std::optional<XmmCache>> xmm_at_label_;
  std::vector<ColdXmm> access_xmm_;  ///< by instruction
  u32 held_xmm_ = 0;
  // emit_units.cpp
  std::optional<std::vector<DirtyUnit>> cold_dirty_;  ///< in a cold path: what is dirty there
  bool reached_ = true;
  // emit_fp.cpp
  std::vector<ColdXmm> slow_xmm_;  ///< of the cold paths of instructions
  int compared_ = -1;  ///< FCmp whose operands are in compare_a_ and compare_b_, for the condition that follows
  Xmm compare_a_, compare_b_;
  bool compare_wide_ = false;
};

}  // namespace armvisor::engine::jit
