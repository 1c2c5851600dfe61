#include "engine/lower.h"

#include <bit>
#include <cstddef>

#include "arm/cp15.h"
#include "base/assert.h"
#include "base/bits.h"
#include "engine/context.h"
#include "engine/uop_functions.h"
#include "ir/access.h"
#include "ir/passes/flag_liveness.h"

namespace armvisor::engine {
namespace {

using ir::Inst;
using ir::MemAttr;
using ir::Op;
using ir::Value;

static_assert(offsetof(Context, guest) == 0 && offsetof(arm::CpuState, r) == 0);
static_assert(offsetof(Context, scratch.temps) + k_temp_bytes < 4 * 0x10000 &&
              offsetof(Context, scratch.temps) % 16 == 0);

constexpr u16 k_zero = offsetof(Context, scratch.zero) / 4;
constexpr u16 k_scratch = offsetof(Context, scratch.unread) / 4;
constexpr u32 k_slot_bytes = 16, k_slots = k_temp_bytes / k_slot_bytes;

constexpr u16 state_offset(std::size_t byte) { return static_cast<u16>(byte / 4); }
constexpr u16 d_offset(u32 n) { return state_offset(offsetof(arm::CpuState, d) + 8 * n); }

/// Forms of an operation; Count where there is none.
struct Forms {
  Kind rr = Kind::Count, ri = Kind::Count, ir = Kind::Count;
};

Forms forms_of(Op op) {
  switch (op) {
#define SAME(name) \
  case Op::name: return {.rr = Kind::name};
#define RR_RI(name) \
  case Op::name: return {.rr = Kind::name##RR, .ri = Kind::name##RI};
#define COMMUTES(name) \
  case Op::name: return {.rr = Kind::name##RR, .ri = Kind::name##RI, .ir = Kind::name##RI};
    COMMUTES(Add)
  COMMUTES(And) COMMUTES(Or) COMMUTES(Xor) RR_RI(AndNot) RR_RI(Shl) RR_RI(Shr) RR_RI(Sar) RR_RI(Ror) case Op::Sub:
    return {.rr = Kind::SubRR, .ri = Kind::SubRI, .ir = Kind::SubIR};
  case Op::ShlReg: return {.rr = Kind::ShlRegRR};
  case Op::ShrReg: return {.rr = Kind::ShrRegRR};
  case Op::SarReg: return {.rr = Kind::SarRegRR};
  case Op::RorReg:
    return {.rr = Kind::RorRegRR};
    SAME(Adc)
    SAME(Sbc)
    SAME(Not)
    SAME(Mul)
    SAME(MulHiS)
  SAME(SDiv)
  SAME(UDiv) SAME(Rrx) SAME(ShlCarry) SAME(ShrCarry) SAME(SarCarry) SAME(RorCarry) SAME(SetNZ) SAME(SetNZ64) SAME(SetC)
      SAME(GetC) SAME(SetNZCV) SAME(Select) SAME(CmpEq) SAME(CmpLtU) SAME(CmpLtS) SAME(Clz) SAME(Rbit) SAME(Rev)
          SAME(Rev16) SAME(Revsh) SAME(SExt8) SAME(SExt16) SAME(ZExt8) SAME(ZExt16) SAME(Pack64) SAME(Hi32) SAME(ZExt64)
              SAME(SExt64) SAME(Add64) SAME(Sub64) SAME(MulU64) SAME(MulS64) SAME(Shl64) SAME(Shr64) SAME(Sar64)
                  SAME(VPack) case Op::Mov:
  case Op::Lo32: return {.rr = Kind::Mov};
  case Op::Mov64:
  case Op::VLo: return {.rr = Kind::Mov64};
  case Op::MovV: return {.rr = Kind::MovV};
#undef SAME
#undef RR_RI
#undef COMMUTES
    default: return {};
  }
}

Kind skip_kind(u8 cond) { return static_cast<Kind>(static_cast<u16>(Kind::SkipEQ) + cond); }

/// The fused form of SubF and SkipUnless `cond`.
Kind compare_skip_kind(u8 cond, bool immediate) {
  constexpr u8 none = 0xff;
  constexpr u8 position[] = {0, 1, 2, 3, 4, 5, none, none, 6, 7, 8, 9, 10, 11, none};  // as listed in uops.inc
  if (cond >= sizeof position || position[cond] == none) return Kind::Count;
  const Kind base = immediate ? Kind::CmpEQRI : Kind::CmpEQRR;
  return static_cast<Kind>(static_cast<u16>(base) + position[cond]);
}

u32 flag_mask(u8 attr) {
  return (attr & 8 ? 0xffu : 0) | (attr & 4 ? 0xff00u : 0) | (attr & 2 ? 0xff0000u : 0) | (attr & 1 ? 0xff000000u : 0);
}

/// Blocks come by the hundred thousand: an object keeps its memory from one to the next.
class Lowering {
 public:
  std::unique_ptr<Block> run(const ir::Block& block, u32 key);

 private:
  struct Temp {
    s32 last_use = -1;
    s32 slot = -1;
  };
  struct PendingSkip {
    u32 uop, label;
  };
  struct PendingLink {
    u32 uop, pc;
    bool same_page;
  };

  void scan();
  bool is_dead(const Inst& inst) const;
  void lower_inst(u32 index);
  void free_temps(u32 index);
  void finish(Block& out);

  // operands
  u16 take_slot();
  u16 offset_of(Value v);
  u16 operand(Value v, u64 imm);  ///< materialises an immediate
  u16 result(Value v) { return v.is_none() ? k_scratch : offset_of(v); }

  // emission
  Uop& emit(Kind kind, u16 dst = 0, u16 a = 0, u16 b = 0, u16 c = 0);
  void emit_call(Kind kind, Helper helper, const Inst& inst, u64 imm);
  void emit_helper(const Inst& inst);
  bool lower_simple(const Inst& inst);
  bool lower_flags(const Inst& inst, u32 index);
  bool lower_memory(const Inst& inst);
  bool lower_register_file(const Inst& inst);
  bool lower_fields(const Inst& inst);
  bool lower_system(const Inst& inst);
  bool lower_control(const Inst& inst);
  bool lower_exit(const Inst& inst);
  bool fuse_compare(const Inst& inst, u32 index);
  void emit_jump(Kind kind, u32 target);
  void emit_leave(Leave why, u64 imm = 0, u32 disp = 0);
  void emit_sync_exit(Helper helper, const Inst& inst);

  const ir::Block* ir_ = nullptr;
  u32 key_ = 0;
  std::vector<Uop> code_;
  std::vector<Temp> temps_;
  std::vector<u32> free_slots_;
  std::vector<u16> const_slots_;  ///< of the instruction being lowered
  std::vector<u8> needed_flags_;
  std::vector<u32> labels_;
  std::vector<PendingSkip> skips_;
  std::vector<PendingLink> links_;
  std::vector<InsnMark> marks_;
  u32 slots_used_ = 0;
  s64 fused_skip_ = -1;  ///< index of a SkipUnless that was lowered already
  bool straddles_ = false;
  bool ends_in_it_ = false;  ///< some exit continues inside an IT block: no direct exits
  bool overflow_ = false;
};

void Lowering::scan() {
  code_.clear();
  free_slots_.clear();
  const_slots_.clear();
  skips_.clear();
  links_.clear();
  marks_.clear();
  temps_.assign(ir_->temp_count, {});
  labels_.assign(ir_->label_count, 0);
  needed_flags_ = ir::needed_flags(*ir_);
  slots_used_ = 0;
  fused_skip_ = -1;
  ends_in_it_ = overflow_ = false;
  straddles_ = ((ir_->pc + ir_->guest_bytes - 1) ^ ir_->pc) >> k_page_bits != 0;
  for (u32 k = 0; k < ir_->insts.size(); ++k) {
    const Inst& inst = ir_->insts[k];
    for (const Value v : {inst.a, inst.b, inst.c})
      if (v.is_temp()) temps_[v.temp_number()].last_use = static_cast<s32>(k);
    if (inst.op == Op::SetIt && inst.imm != 0) ends_in_it_ = true;
  }
}

u16 Lowering::take_slot() {
  if (!free_slots_.empty()) {
    const u32 slot = free_slots_.back();
    free_slots_.pop_back();
    return static_cast<u16>(slot);
  }
  if (slots_used_ == k_slots) {
    overflow_ = true;
    return 0;
  }
  return static_cast<u16>(slots_used_++);
}

constexpr u16 slot_offset(u32 slot) {
  return static_cast<u16>((offsetof(Context, scratch.temps) + slot * k_slot_bytes) / 4);
}

u16 Lowering::offset_of(Value v) {
  if (v.is_reg()) return static_cast<u16>(v.reg_number());
  if (!v.is_temp()) return k_zero;
  Temp& t = temps_[v.temp_number()];
  if (t.last_use < 0) return k_scratch;
  if (t.slot < 0) t.slot = take_slot();
  return slot_offset(static_cast<u32>(t.slot));
}

u16 Lowering::operand(Value v, u64 imm) {
  if (!v.is_imm()) return offset_of(v);
  if (imm == 0) return k_zero;
  const u16 slot = take_slot();
  const_slots_.push_back(slot);
  emit(Kind::Const64, slot_offset(slot)).imm = imm;
  return slot_offset(slot);
}

void Lowering::free_temps(u32 index) {
  const Inst& inst = ir_->insts[index];
  for (const Value v : {inst.a, inst.b, inst.c}) {
    if (!v.is_temp()) continue;
    Temp& t = temps_[v.temp_number()];
    if (t.last_use != static_cast<s32>(index) || t.slot < 0) continue;
    free_slots_.push_back(static_cast<u32>(t.slot));
    t.slot = -1;
  }
  for (const u16 slot : const_slots_) free_slots_.push_back(slot);
  const_slots_.clear();
}

Uop& Lowering::emit(Kind kind, u16 dst, u16 a, u16 b, u16 c) {
  Uop& u = code_.emplace_back();
  u.handler = handlers()[static_cast<u16>(kind)];
  u.dst = dst;
  u.a = a;
  u.b = b;
  u.c = c;
  return u;
}

void Lowering::emit_call(Kind kind, Helper helper, const Inst& inst, u64 imm) {
  const u16 a = operand(inst.a, inst.imm), b = operand(inst.b, inst.imm), c = operand(inst.c, inst.imm);
  Uop& u = emit(kind, result(inst.dst), a, b, c);
  u.imm = imm;
  u.helper = helper;
}

/// Nobody sees the result and there is no other effect.
bool Lowering::is_dead(const Inst& inst) const {
  const u8 effects = ir::info(inst.op).effects;
  if ((effects & ~ir::Effect::FlagsR) != 0 || !inst.dst.is_temp()) return false;
  return temps_[inst.dst.temp_number()].last_use < 0;
}

bool Lowering::lower_simple(const Inst& inst) {
  const Forms forms = forms_of(inst.op);
  if (forms.rr == Kind::Count) return false;
  const bool move = inst.op == Op::Mov || inst.op == Op::Mov64;
  if (move && inst.a.is_imm()) {
    emit(inst.op == Op::Mov ? Kind::Const : Kind::Const64, result(inst.dst)).imm = inst.imm;
  } else if (inst.b.is_imm() && forms.ri != Kind::Count) {
    const u16 a = offset_of(inst.a);
    emit(forms.ri, result(inst.dst), a).imm = inst.imm;
  } else if (inst.a.is_imm() && forms.ir != Kind::Count) {
    // Commutative operations reuse the RI form with b in a's place.
    const u16 b = offset_of(inst.b);
    emit(forms.ir, result(inst.dst), b, b).imm = inst.imm;
  } else {
    const u16 a = operand(inst.a, inst.imm), b = operand(inst.b, inst.imm), c = operand(inst.c, inst.imm);
    emit(forms.rr, result(inst.dst), a, b, c);
  }
  return true;
}

bool Lowering::fuse_compare(const Inst& inst, u32 index) {
  u32 next = index + 1;
  while (next < ir_->insts.size() && ir_->insts[next].op == Op::Insn) ++next;
  if (next == ir_->insts.size() || ir_->insts[next].op != Op::SkipUnless || inst.a.is_imm()) return false;
  const Kind kind = compare_skip_kind(ir_->insts[next].attr, inst.b.is_imm());
  if (kind == Kind::Count) return false;
  const u16 a = offset_of(inst.a), b = inst.b.is_imm() ? u16{0} : offset_of(inst.b);
  emit(kind, result(inst.dst), a, b).imm = inst.imm;
  skips_.push_back({static_cast<u32>(code_.size() - 1), static_cast<u32>(ir_->insts[next].imm)});
  fused_skip_ = next;
  return true;
}

/// AddF, SubF, AdcF, SbcF and the setters, without what nobody reads.
bool Lowering::lower_flags(const Inst& inst, u32 index) {
  const u8 needed = needed_flags_[index];
  if (inst.op == Op::SetNZ || inst.op == Op::SetNZ64 || inst.op == Op::SetC || inst.op == Op::SetNZCV)
    return needed == 0;  // dropped; else lowered as any other
  const bool add = inst.op == Op::AddF, sub = inst.op == Op::SubF;
  const bool carry_in = inst.op == Op::AdcF || inst.op == Op::SbcF;
  if (!add && !sub && !carry_in) return false;
  if (needed == 0) {
    if (inst.dst.is_none()) return true;
    Inst plain = inst;
    plain.op = add ? Op::Add : sub ? Op::Sub : inst.op == Op::AdcF ? Op::Adc : Op::Sbc;
    return lower_simple(plain);
  }
  if (sub && (inst.attr & 15) == 15 && fuse_compare(inst, index)) return true;
  if (!carry_in && (inst.attr & 15) == 15) {
    if (inst.b.is_imm()) {
      const u16 a = offset_of(inst.a);
      emit(add ? Kind::AddFRI : Kind::SubFRI, result(inst.dst), a).imm = inst.imm;
    } else if (inst.a.is_imm()) {
      const u16 b = offset_of(inst.b);
      emit(add ? Kind::AddFRI : Kind::SubFIR, result(inst.dst), b, b).imm = inst.imm;
    } else {
      const u16 a = offset_of(inst.a), b = offset_of(inst.b);
      emit(add ? Kind::AddFRR : Kind::SubFRR, result(inst.dst), a, b);
    }
    return true;
  }
  const u16 a = operand(inst.a, inst.imm), b = operand(inst.b, inst.imm);
  const Kind kind = add ? Kind::AddMRR : sub ? Kind::SubMRR : inst.op == Op::AdcF ? Kind::AdcM : Kind::SbcM;
  emit(kind, result(inst.dst), a, b).disp = flag_mask(inst.attr);
  return true;
}

Kind load_kind(const Inst& inst) {
  const bool sign = inst.attr & MemAttr::sign;
  switch (inst.attr & MemAttr::size_mask) {
    case 1: return sign ? Kind::LoadS8 : Kind::LoadU8;
    case 2: return sign ? Kind::LoadS16 : Kind::LoadU16;
    case 4: return Kind::LoadU32;
    default: return Kind::LoadU64;
  }
}

Kind store_kind(const Inst& inst) {
  switch (inst.attr & MemAttr::size_mask) {
    case 1: return Kind::Store8;
    case 2: return Kind::Store16;
    case 4: return Kind::Store32;
    default: return Kind::Store64;
  }
}

bool Lowering::lower_memory(const Inst& inst) {
  const bool load = inst.op == Op::Load || inst.op == Op::Load64;
  const bool store = inst.op == Op::Store || inst.op == Op::Store64;
  if (!load && !store) {
    const bool exclusive =
        inst.op == Op::LoadEx || inst.op == Op::LoadEx64 || inst.op == Op::StoreEx || inst.op == Op::StoreEx64;
    if (exclusive) emit_call(Kind::CallMem, helper_of(inst.op), inst, access_imm(inst.disp, inst.attr));
    return exclusive;
  }
  // A constant address is a displacement from zero.
  const u16 a = inst.a.is_imm() ? k_zero : offset_of(inst.a);
  const u32 disp = inst.disp + (inst.a.is_imm() ? static_cast<u32>(inst.imm) : 0);
  const u32 size = inst.attr & MemAttr::size_mask;
  const bool more_alignment = ir::access_of(inst).alignment > size;
  const bool inline_form = !(inst.attr & (MemAttr::big | MemAttr::unprivileged)) && !more_alignment;
  Kind kind = load ? (size == 8 ? Kind::LoadD : Kind::Load) : (size == 8 ? Kind::StoreD : Kind::Store);
  if (inline_form) kind = load ? load_kind(inst) : store_kind(inst);
  const u16 b = store ? operand(inst.b, inst.imm) : u16{0};
  Uop& u = emit(kind, load ? result(inst.dst) : u16{0}, a, b);
  u.disp = disp;
  u.attr = inst.attr;
  u.attr2 = inst.attr2;
  return true;
}

/// VFP and Advanced SIMD registers are memory in the context.
bool Lowering::lower_register_file(const Inst& inst) {
  const u32 n = static_cast<u32>(inst.imm);
  switch (inst.op) {
    case Op::GetS: emit(Kind::Mov, result(inst.dst), static_cast<u16>(d_offset(0) + n)); return true;
    case Op::GetD: emit(Kind::Mov64, result(inst.dst), d_offset(n)); return true;
    case Op::GetVD: emit(Kind::VZext, result(inst.dst), d_offset(n)); return true;
    case Op::GetQ: emit(Kind::MovV, result(inst.dst), d_offset(2 * n)); return true;
    case Op::SetS: emit(Kind::Mov, static_cast<u16>(d_offset(0) + n), offset_of(inst.a)); return true;
    case Op::SetD:
    case Op::SetVD: emit(Kind::Mov64, d_offset(n), offset_of(inst.a)); return true;
    case Op::SetQ: emit(Kind::MovV, d_offset(2 * n), offset_of(inst.a)); return true;
    case Op::VHi: emit(Kind::Mov64, result(inst.dst), static_cast<u16>(offset_of(inst.a) + 2)); return true;
    case Op::ReadFpexc: emit(Kind::Mov, result(inst.dst), state_offset(offsetof(arm::CpuState, fpexc))); return true;
    default: return false;
  }
}

bool Lowering::lower_fields(const Inst& inst) {
  const u32 lsb = inst.imm & 0xff, width = static_cast<u32>(inst.imm >> 8) & 0xff;
  if (inst.op == Op::SBfx || inst.op == Op::UBfx) {
    const u16 a = offset_of(inst.a);
    Uop& u = emit(inst.op == Op::SBfx ? Kind::SBfx : Kind::UBfx, result(inst.dst), a);
    u.attr = static_cast<u8>(32 - lsb - width);
    u.attr2 = static_cast<u8>(32 - width);
    return true;
  }
  if (inst.op != Op::Bfi) return false;
  const u16 a = offset_of(inst.a), b = offset_of(inst.b);
  Uop& u = emit(Kind::Bfi, result(inst.dst), a, b);
  u.disp = static_cast<u32>(low_mask(width)) << lsb;
  u.attr = static_cast<u8>(lsb);
  return true;
}

/// System registers that are plain storage become moves.
bool Lowering::lower_system(const Inst& inst) {
  const bool read = inst.op == Op::ReadSys || inst.op == Op::ReadSys64;
  const bool write = inst.op == Op::WriteSys || inst.op == Op::WriteSys64;
  if (!read && !write) return false;
  const arm::SysReg& reg = arm::sysregs()[static_cast<arm::SysRegId>(inst.imm)];
  const bool wide = inst.op == Op::ReadSys64 || inst.op == Op::WriteSys64;
  const Kind move = wide ? Kind::Mov64 : Kind::Mov;
  if (read && reg.read_offset >= 0) {
    emit(move, result(inst.dst), state_offset(static_cast<std::size_t>(reg.read_offset)));
  } else if (write && reg.write_offset >= 0 && reg.write_mask == ~0u && !wide && reg.effect == arm::SysEffect::None) {
    emit(move, state_offset(static_cast<std::size_t>(reg.write_offset)), offset_of(inst.a));
  } else {
    emit_call(Kind::CallTrap, helper_of(inst.op), inst, inst.imm);
  }
  return true;
}

bool Lowering::lower_control(const Inst& inst) {
  switch (inst.op) {
    case Op::Insn:
      marks_.push_back({static_cast<u16>(code_.size()), static_cast<s16>(static_cast<u32>(inst.imm) - ir_->pc),
                        inst.attr, static_cast<u8>(inst.disp)});
      return true;
    case Op::Label: labels_[inst.imm] = static_cast<u32>(code_.size()); return true;
    case Op::SkipIf: {
      const u16 a = offset_of(inst.a);
      emit(Kind::SkipIf, 0, a);
      break;
    }
    case Op::SkipUnless:
      if (inst.attr == 15) {
        const u16 a = operand(Value::immediate(), 1);
        emit(Kind::SkipIf, 0, a);
      } else {
        emit(skip_kind(inst.attr));
      }
      break;
    default: return false;
  }
  skips_.push_back({static_cast<u32>(code_.size() - 1), static_cast<u32>(inst.imm)});
  return true;
}

void Lowering::emit_jump(Kind kind, u32 target) {
  const bool same_page = !straddles_ && (target ^ ir_->pc) >> k_page_bits == 0;
  if (kind == Kind::JumpSame && !same_page) kind = Kind::JumpFar;
  emit(kind);
  links_.push_back({static_cast<u32>(code_.size() - 1), target, same_page});
}

void Lowering::emit_leave(Leave why, u64 imm, u32 disp) {
  Uop& u = emit(Kind::Leave);
  u.imm = imm;
  u.disp = disp;
  u.attr = static_cast<u8>(why);
}

void Lowering::emit_sync_exit(Helper helper, const Inst& inst) {
  emit_call(Kind::Call, helper, inst, inst.imm);
  emit_leave(Leave::Sync);
}

bool Lowering::lower_exit(const Inst& inst) {
  const u32 target = static_cast<u32>(inst.imm);
  switch (inst.op) {
    case Op::ExitJump:
    case Op::ExitCall:
      if (ends_in_it_)
        emit(Kind::JumpSync).imm = target;
      else
        emit_jump(Kind::JumpSame, target);
      return true;
    case Op::ExitSwitch:
      if (ends_in_it_)
        emit_sync_exit(exit_switch, inst);
      else
        emit_jump(Kind::SwitchLink, target);
      return true;
    case Op::ExitIndirect:
    case Op::ExitInterwork: {
      const bool interwork = inst.op == Op::ExitInterwork;
      if (ends_in_it_) {
        emit_sync_exit(interwork ? exit_interwork : exit_indirect, inst);
      } else {
        const u16 a = operand(inst.a, inst.imm);
        emit(interwork ? Kind::Interwork : Kind::Indirect, 0, a);
      }
      return true;
    }
    case Op::ExitSync: emit(Kind::JumpSync).imm = target; return true;
    case Op::ExitReturn:
      emit_call(Kind::Call, exit_return, inst, inst.imm);
      emit_leave(Leave::Return);
      return true;
    case Op::ExitUndefined: emit_leave(Leave::Undefined); return true;
    case Op::ExitSvc: emit_leave(Leave::Svc, inst.imm); return true;
    case Op::ExitBkpt: emit_leave(Leave::Bkpt, inst.imm); return true;
    case Op::ExitHvc: emit_leave(Leave::Hvc, inst.imm, inst.disp); return true;
    case Op::ExitSmc: emit_leave(Leave::Smc, inst.imm, inst.disp); return true;
    case Op::ExitWfi: emit_leave(Leave::Wfi, inst.imm); return true;
    case Op::ExitWfe: emit_leave(Leave::Wfe, inst.imm); return true;
    case Op::ExitYield: emit_leave(Leave::Yield, inst.imm); return true;
    default: return false;
  }
}

void Lowering::emit_helper(const Inst& inst) {
  const Helper helper = helper_of(inst.op);
  AV_ASSERT(helper != nullptr);
  emit_call(Kind::Call, helper, inst, inst.imm);
}

void Lowering::lower_inst(u32 index) {
  const Inst& inst = ir_->insts[index];
  if (static_cast<s64>(index) == fused_skip_ || is_dead(inst)) return;
  if (lower_flags(inst, index) || lower_simple(inst) || lower_memory(inst) || lower_control(inst) || lower_exit(inst) ||
      lower_register_file(inst) || lower_fields(inst) || lower_system(inst))
    return;
  emit_helper(inst);
}

void Lowering::finish(Block& out) {
  out.pc = ir_->pc;
  out.key = key_;
  out.insn_count = ir_->insn_count;
  out.bytes = ir_->guest_bytes;
  for (const PendingSkip& skip : skips_) code_[skip.uop].disp = labels_[skip.label] - skip.uop;
  out.make_tables(static_cast<u32>(code_.size()), static_cast<u32>(links_.size()), static_cast<u32>(marks_.size()));
  for (u32 k = 0; k < links_.size(); ++k) {
    Link& link = out.links[k];
    link.owner = &out;
    link.pc = links_[k].pc;
    link.same_page = links_[k].same_page;
    code_[links_[k].uop].imm = reinterpret_cast<u64>(&link);
  }
  std::copy(code_.begin(), code_.end(), out.code);
  std::copy(marks_.begin(), marks_.end(), out.marks);
}

std::unique_ptr<Block> Lowering::run(const ir::Block& ir_block, u32 key) {
  ir_ = &ir_block;
  key_ = key;
  scan();
  for (u32 k = 0; k < ir_->insts.size() && !overflow_; ++k) {
    lower_inst(k);
    free_temps(k);
  }
  if (overflow_) return nullptr;
  auto block = std::make_unique<Block>();
  finish(*block);
  return block;
}

}  // namespace

std::unique_ptr<Block> lower(const ir::Block& block, u32 key) {
  thread_local Lowering lowering;
  return lowering.run(block, key);
}

}  // namespace armvisor::engine
