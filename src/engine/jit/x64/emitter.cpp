#include "engine/jit/x64/emitter.h"

#include "engine/jit/x64/plan/in_place.h"

namespace armvisor::engine::jit {

using ir::Op;

Emitter::Emitter(const Stubs& stubs, const HostFeatures& host, const JitOptions& options, const WindowSites& sites)
    : host_(host),
      options_(options),
      at_{plan_},
      operands_(code_, at_),
      xmm_(code_, at_, operands_),
      cold_(at_, xmm_),
      calls_(code_, at_, operands_, xmm_, cold_, stubs),
      extension_(code_, at_, operands_, xmm_, options.xmm_cache, host.avx),
      dsp_(code_, operands_, cold_),
      vector_(code_, at_, operands_, xmm_, cold_, calls_),
      fp_(code_, at_, operands_, xmm_, cold_, calls_, host),
      flags_(code_, at_, operands_, fp_, options.fuse_compare),
      integers_(code_, at_, operands_, cold_, flags_, host),
      memory_(code_, at_, operands_, xmm_, cold_, calls_, flags_, host, options, sites),
      exits_(code_, at_, cold_, calls_, stubs, options.regions),
      entry_(code_, at_, xmm_, cold_, calls_, exits_, stubs, options.count_instructions),
      traps_(code_, at_, cold_, calls_, flags_, exits_, stubs, options),
      exclusives_(code_, at_, operands_, cold_, traps_, host, options),
      banks_(code_, at_, operands_, cold_, traps_, options),
      system_(code_, at_, operands_, cold_, traps_, exits_, options),
      branches_(code_, at_, operands_, xmm_, cold_, calls_, fp_, flags_, exits_, traps_, stubs, options) {}

Emitted Emitter::emit(std::span<u8> rw, const ir::Block& block, Block& out, Relocs& relocs) {
  make_plan({block, out.key, host_, options_}, plan_);
  try {
    code_.start(rw.data(), rw.size(), relocs);
    begin_block(block, out);
    entry_.emit();
    emit_all();
    cold_.emit_all();
    code_.finish_code();
    const std::size_t table = memory_.emit_window_table();
    return {code_.getSize(), entry_.linked(), table};
  } catch (const Xbyak::Error&) {  // no room
    return {};
  }
}

void Emitter::begin_block(const ir::Block& block, Block& out) {
  at_.block = &block;
  at_.key = out.key;
  at_.index = 0;
  xmm_.begin_block();
  cold_.begin_block();
  calls_.begin_block();
  fp_.begin_block();
  flags_.begin_block();
  memory_.begin_block();
  exits_.begin_block(out.links);
  branches_.begin_block();
}

void Emitter::emit_all() {
  for (; at_.index < at_.block->insts.size(); ++at_.index)
    if (!plan_.dead[at_.index]) emit(at_.block->insts[at_.index]);
}

void Emitter::emit(const ir::Inst& i) {
  if (!plan_.flow[at_.index].in_place) {
    xmm_.spill();
    if (!emit_in_part(i)) traps_.emit(i);
    return;
  }
  switch (i.op) {
    case Op::Insn: return;
    case Op::Mov:
    case Op::Mov64: return xmm_.holds(i.dst) ? extension_.emit_pack(i) : integers_.emit(i);
    case Op::SetNZ:
    case Op::SetNZ64:
    case Op::SetC:
    case Op::SetNZCV:
    case Op::GetC:
    case Op::OrQ:
    case Op::CondValue:
    case Op::FpscrToFlags: return flags_.emit(i);
    case Op::AddOverflow:
    case Op::QAdd:
    case Op::QSub:
    case Op::SSat:
    case Op::USat:
    case Op::Parallel:
    case Op::Sel: return dsp_.emit(i);
    case Op::Load:
    case Op::Load64:
    case Op::Store:
    case Op::Store64: return memory_.emit();
    case Op::ReadFpexc: system_.emit(i); return;
    case Op::GetS:
    case Op::GetD:
    case Op::GetVD:
    case Op::GetQ: return extension_.emit_get(i);
    case Op::SetS:
    case Op::SetD:
    case Op::SetVD:
    case Op::SetQ: return extension_.emit_set(i);
    case Op::MovV:
    case Op::VLo:
    case Op::VHi: return extension_.emit_half(i);
    case Op::VPack: return extension_.emit_pack(i);
    case Op::VGetLane:
    case Op::VSetLane:
    case Op::VDup: return vector_.emit_lane(i);
    case Op::Vector: return vector_.emit(i);
    case Op::FNeg32:
    case Op::FAbs32:
    case Op::FNeg64:
    case Op::FAbs64: return fp_.emit_sign(i);
    case Op::SkipIf:
    case Op::SkipUnless:
    case Op::Label:
    case Op::Head: return branches_.emit(i);
    default: break;
  }
  if (ir::info(i.op).effects & ir::Exit) return branches_.emit(i);
  is_fp(i.op) ? fp_.emit(i) : integers_.emit(i);
}

/// The common case of what otherwise is C++'s. False: there is no code for it.
bool Emitter::emit_in_part(const ir::Inst& i) {
  switch (i.op) {
    case Op::LoadEx:
    case Op::LoadEx64:
    case Op::StoreEx:
    case Op::StoreEx64:
    case Op::ClearEx:
    case Op::Fence: return exclusives_.emit(i);
    case Op::ReadModeReg:
    case Op::WriteModeReg:
    case Op::ReadSpsr:
    case Op::WriteSpsr: return banks_.emit(i);
    default: return system_.emit(i);
  }
}

}  // namespace armvisor::engine::jit
