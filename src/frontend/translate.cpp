// The driver: decodes a block's instructions, opens their conditions, calls their handlers, and ends the block.
#include "frontend/translate.h"

#include <algorithm>
#include <cstring>

#include "arm/debug_events.h"
#include "arm/fp.h"
#include "base/bits.h"
#include "frontend/translator.h"

namespace armvisor::frontend {
namespace {

constexpr u32 k_sctlr_m = 1u << 0, k_sctlr_a = 1u << 1, k_sctlr_nmfi = 1u << 27;
constexpr u32 k_cpacr_asedis = 1u << 31, k_fpexc_en = 1u << 30;

class Driver {
 public:
  Driver(const Context& context, u32 pc, std::span<const u8> code, std::span<const u32> stops, ir::Block& block)
      : t_(context, block), block_(block), code_(code), stops_(stops) {
    std::vector<ir::Inst> room = std::move(block_.insts);
    room.clear();
    block_ = {};
    block_.insts = std::move(room);
    block_.pc = pc;
    block_.insts.reserve(64);
    t_.pc = Address::of_pc(pc);
  }

  bool run(const Limits& limits) {
    Inst inst;
    while (!t_.done && block_.insn_count < limits.max_insns && t_.pc.value != limits.end && fetch(inst))
      translate_one(inst);
    if (block_.insn_count == 0) return false;
    if (!t_.done) jump_on();
    block_.guest_bytes = t_.pc.value - block_.pc;
    return true;
  }

 private:
  /// Decodes the instruction at t_.pc; false when it is not wholly inside the code.
  bool fetch(Inst& inst) {
    const std::size_t offset = t_.pc.value - block_.pc;
    const std::size_t left = code_.size() - offset;
    inst = {};
    inst.pc = t_.pc.value;
    inst.thumb = t_.context.thumb;
    if (!inst.thumb) {
      if (left < 4) return false;
      std::memcpy(&inst.raw, code_.data() + offset, 4);
      inst.encoding = decode_a32(inst.raw);
      return true;
    }
    if (left < 2) return false;
    u16 half[2] = {};
    std::memcpy(&half[0], code_.data() + offset, 2);
    if (!is_t32(half[0])) {
      inst.bytes = 2;
      inst.raw = half[0];
      inst.encoding = decode_t16(half[0]);
      return true;
    }
    if (left < 4) return false;
    std::memcpy(&half[1], code_.data() + offset + 2, 2);
    inst.raw = u32{half[0]} << 16 | half[1];
    inst.encoding = decode_t32(inst.raw, inst.raw);
    return true;
  }

  bool is_stop(u32 pc) const { return !stops_.empty() && std::ranges::binary_search(stops_, pc); }

  Cond condition(const Inst& inst) const {
    // BKPT is unconditional even inside an IT block (A8.8.24).
    const bool bkpt = inst.bytes == 2 && (inst.raw & 0xff00) == 0xbe00;
    if (inst.thumb) return t_.in_it() && !bkpt ? static_cast<Cond>(t_.context.it >> 4) : Cond::AL;
    return static_cast<Cond>(inst.raw >> 28);
  }

  void translate_one(const Inst& inst) {
    t_.bytes = inst.bytes;
    t_.it_written = false;
    ++block_.insn_count;
    t_.ir.append({.op = Op::Insn, .attr = inst.bytes, .disp = t_.context.it, .imm = t_.pc.value});
    if (t_.context.debug_events || is_stop(t_.pc.value)) t_.check_debug_event();
    const Cond cond = condition(inst);
    const bool conditional = cond < Cond::AL;
    const u32 label = conditional ? t_.ir.new_label() : 0;
    if (conditional) t_.ir.skip_unless(cond, label);
    if (inst.encoding != nullptr)
      inst.encoding->handler(t_, inst);
    else
      t_.undefined();
    const bool left = t_.done;
    if (!t_.it_written) t_.context.it = t_.next_it();
    t_.pc = t_.next_pc();
    if (!conditional) return;
    t_.ir.label(label);
    if (!left) return;
    // (A conditional branch has no other effect than to leave: what it left by is the last thing before the label.)
    const ir::Inst& exit = block_.insts[block_.insts.size() - 2];
    const bool forward = exit.op != Op::ExitJump || static_cast<s32>(static_cast<u32>(exit.imm) - t_.pc.value) >= 0;
    if (forward && t_.side_exits < Translator::k_max_side_exits) {
      ++t_.side_exits;
      t_.done = false;
    } else {
      jump_on();
    }
  }

  /// Ends the block with a jump to the instruction at t_.pc, whose ITSTATE is t_.context.it.
  void jump_on() {
    if (t_.context.it != 0) t_.ir.emit_imm(Op::SetIt, t_.context.it);
    t_.ir.append({.op = Op::ExitJump, .moves = ir::Moves::imm, .imm = t_.pc.value});
    t_.done = true;
  }

  Translator t_;
  ir::Block& block_;
  std::span<const u8> code_;
  std::span<const u32> stops_;
};

}  // namespace

u32 Context::key() const {
  return u32{thumb} | u32{big_endian} << 1 | u32{privileged} << 2 | u32{align_strict} << 3 | u32{vfp_enabled} << 4 |
         u32{vfp_accessible} << 5 | u32{simd_enabled} << 6 | u32{user_wfx_trap} << 7 | u32{it} << 8 |
         u32{sctlr_nmfi} << 16 | u32{fp_default} << 17 | u32{debug_events} << 18;
}

bool Context::fp_default_of(u32 key) { return key >> 17 & 1; }

Context Context::of(const arm::CpuState& s, bool privileged) {
  Context c;
  c.thumb = s.thumb();
  c.big_endian = (s.psr & arm::k_psr_e) != 0;
  c.privileged = privileged;
  c.align_strict = (s.cp15.sctlr & (k_sctlr_a | k_sctlr_m)) != k_sctlr_m;
  c.it = s.it;
  // CPACR.cp10 and cp11 (B4.1.40): 1 gives PL1, 3 gives both; access to VFP takes both fields.
  const u32 cpacr = s.cp15.cpacr;
  const u32 rights = bits<21, 20>(cpacr) & bits<23, 22>(cpacr);
  c.vfp_accessible = rights == 3 || (rights == 1 && c.privileged);
  c.vfp_enabled = c.vfp_accessible && (s.fpexc & k_fpexc_en) != 0;
  c.simd_enabled = c.vfp_enabled && (cpacr & k_cpacr_asedis) == 0;
  c.fp_default = (s.fpscr_ctl & (arm::k_fpscr_fz | arm::k_fpscr_dn | arm::k_fpscr_rmode)) == 0;
  c.debug_events = arm::code_may_stop(s, privileged);
  c.sctlr_nmfi = (s.cp15.sctlr & k_sctlr_nmfi) != 0;
  return c;
}

bool translate(const Context& context, u32 pc, std::span<const u8> code, const Limits& limits, ir::Block& block) {
  return Driver(context, pc, code, limits.stops, block).run(limits);
}

}  // namespace armvisor::frontend
