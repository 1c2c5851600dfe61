#pragma once
// Turns one IR block into x86-64 code, as a Plan says. One pass in order, hot code first, then the cold paths that it
// jumped out to.
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "engine/jit/window_sites.h"
#include "engine/jit/x64/dsp_emitter.h"
#include "engine/jit/x64/extension_emitter.h"
#include "engine/jit/x64/fp_emitter.h"
#include "engine/jit/x64/integer_emitter.h"
#include "engine/jit/x64/vector_emitter.h"
#include "engine/jit/x64/xmm_accesses.h"

namespace armvisor::engine::jit {

/// What is not in an emitter of its own yet reaches code and operands as its bases.
class Emitter : private Code, private Operands {
 public:
  /// `plan` is by then the plan for the block that compile() gets, made for the same host and options.
  Emitter(const Stubs& stubs, const HostFeatures& host, const JitOptions& options, const WindowSites& sites,
          const Plan& plan)
      : Operands(static_cast<Code&>(*this), at_), stubs_(stubs), host_(host), options_(options), sites_(sites), at_{plan},
        xmm_(*this, at_, *this), cold_(at_, xmm_), calls_(*this, at_, *this, xmm_, cold_, stubs), accesses_(*this, at_, xmm_),
        extension_(*this, at_, *this, xmm_, options.xmm_cache, host.avx), dsp_(*this, *this, cold_),
        fp_(*this, at_, *this, xmm_, cold_, calls_, host),
        flags_(*this, at_, *this, fp_, options.fuse_compare), integers_(*this, at_, *this, cold_, flags_, host),
        vector_(*this, at_, *this, xmm_, cold_, calls_) {}

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
  void begin(const ir::Block& block, Block& out);

  Address guest(u32 n) { return context_guest(n); }
  std::size_t link_number(const Link& link) const { return static_cast<std::size_t>(&link - out_->links); }
  void load_link(const Link& link);

  // --- classes of instructions
  void emit(const Inst& i);
  u8 emit_skip_test(const Inst& i);
  void emit_skip(const Inst& i);
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
  void place_constant(const Inst& i) { calls_.place_constant(i); }
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
  template <class F>
  void add_cold(F emit) {
    cold_.add(emit);
  }
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
  void name_uop() { calls_.name_uop(); }
  void call_service(Service s, bool keep_xmm = false) { calls_.call_service(s, keep_xmm); }
  void park() { calls_.park(); }
  void load_copies() { calls_.load_copies(); }
  void emit_side_exit(u32 index);

  const Stubs& stubs_;
  const HostFeatures& host_;
  const JitOptions& options_;
  const WindowSites& sites_;
  struct WindowAccess {
    std::size_t at, group;
  };
  std::vector<WindowAccess> window_accesses_;
  std::vector<std::size_t> window_colds_;  ///< by group, where its accesses go on when they fault
  bool in_window_ = false;                 ///< an access of the last group is being emitted
  std::size_t window_table_ = 0;
  std::size_t linked_entry_ = 0;
  Position at_;
  const ir::Block*& block_ = at_.block;
  const Plan& plan_ = at_.plan;
  u32& index_ = at_.index;
  Block* out_ = nullptr;
  u32 next_link_ = 0;
  u32 emitted_until_ = 0;  ///< the code of one instruction was that of those up to here
  bool may_link_ = true;
  std::vector<Label> heads_;
  std::vector<Label> labels_;

  XmmRegisters xmm_;
  ColdPaths cold_;
  Calls calls_;
  XmmAccesses accesses_;
  ExtensionEmitter extension_;
  DspEmitter dsp_;
  FpEmitter fp_;
  FlagEmitter flags_;
  IntegerEmitter integers_;
  VectorEmitter vector_;
};

}  // namespace armvisor::engine::jit
