#include "engine/jit/x64/plan/in_place.h"

#include "frontend/translate.h"
#include "ir/vector.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;
using ir::VecOp;
using ir::VectorImm;

/// FPSCR is written by something that does not leave the block at once.
bool changes_fpscr(const ir::Block& block) {
  for (std::size_t k = 0; k < block.insts.size(); ++k)
    if (block.insts[k].op == Op::WriteFpscr && block.insts[k + 1].op != Op::ExitSync) return true;
  return false;
}

}  // namespace

InPlace::InPlace(const PlanInput& in)
    : host_(in.host),
      options_(in.options),
      fp_default_(frontend::Context::fp_default_of(in.key) && !changes_fpscr(in.block)) {}

bool InPlace::operator()(const ir::Inst& i, bool leaves) const {
  switch (i.op) {
    case Op::SetGE:
    case Op::SSat16:
    case Op::USat16:
    case Op::Usad8:
    case Op::LoadEx:
    case Op::LoadEx64:
    case Op::StoreEx:
    case Op::StoreEx64:
    case Op::ClearEx:
    case Op::Fence:
    case Op::ReadCpsr:
    case Op::WriteCpsr:
    case Op::ReadSpsr:
    case Op::WriteSpsr:
    case Op::ReadModeReg:
    case Op::WriteModeReg:
    case Op::SetEndian:
    case Op::SetIt:
    case Op::NoDebugEvent:
    case Op::ReadSys:
    case Op::WriteSys:
    case Op::ReadSys64:
    case Op::WriteSys64:
    case Op::ReadFpscr:
    case Op::WriteFpscr:
    case Op::WriteFpexc:
    case Op::Sev: return false;
    case Op::ReadFpexc: return options_.inline_system || (options_.world_switches && !leaves);
    case Op::AddOverflow:
    case Op::QAdd:
    case Op::QSub:
    case Op::SSat:
    case Op::USat:
    case Op::Parallel:
    case Op::Sel: return dsp(i);
    case Op::Vector: return vector(i);
    case Op::VGetLane:
    case Op::VSetLane:
    case Op::VDup: return options_.inline_simd && host_.avx;
    case Op::FNeg32:
    case Op::FAbs32:
    case Op::FNeg64:
    case Op::FAbs64: return true;
    default: return !is_fp(i.op) || fp(i);
  }
}

bool InPlace::dsp(const ir::Inst& i) const {
  if (!options_.inline_dsp) return false;
  if (i.op != Op::Parallel) return true;
  const auto kind = static_cast<ir::ParallelKind>(i.imm & 15);
  const bool bytes = kind == ir::ParallelKind::Add8 || kind == ir::ParallelKind::Sub8;
  const bool words = kind == ir::ParallelKind::Add16 || kind == ir::ParallelKind::Sub16;
  switch (static_cast<ir::ParallelPrefix>(i.imm >> 4)) {
    case ir::ParallelPrefix::U: return bytes;
    case ir::ParallelPrefix::Q:
    case ir::ParallelPrefix::UQ: return bytes || words;
    default: return false;
  }
}

bool InPlace::fp(const ir::Inst& i) const {
  if (!options_.inline_fp || !fp_default_) return false;
  switch (i.op) {
    case Op::FMulAdd32:
    case Op::FMulAdd64: return host_.fma;
    case Op::FCvt16To32:
    case Op::FCvt32To16: return false;
    case Op::F32ToFixed:
    case Op::F64ToFixed: return ir::FixedAttr::width(i.imm) == 32 && ir::FixedAttr::fraction_bits(i.imm) == 0;
    case Op::FixedToF32:
    case Op::FixedToF64: return ir::FixedAttr::width(i.imm) == 32;
    default: return true;
  }
}

bool InPlace::vector(const ir::Inst& i) const {
  if (!options_.inline_simd || !host_.avx) return false;
  const unsigned size = VectorImm::esize_log2(i.imm);
  const bool q = VectorImm::q(i.imm);
  const VecOp op = VectorImm::op(i.imm);
  if (op >= VecOp::FAdd) return vector_fp(i);
  switch (op) {
    case VecOp::MulPoly:
    case VecOp::Cls:
    case VecOp::Clz:
    case VecOp::QShlRegS:
    case VecOp::QShlRegU:
    case VecOp::QRShlRegS:
    case VecOp::QRShlRegU:
    case VecOp::QShlImmSU: return false;
    case VecOp::ShlRegS:
    case VecOp::RShlRegS:
    case VecOp::RShlRegU: return host_.avx2 && (size == 4 || size == 5);
    case VecOp::ShlRegU: return host_.avx2 && size >= 4;
    case VecOp::QDMulH:
    case VecOp::QRDMulH: return size == 4 || size == 5;
    case VecOp::QAddU:
    case VecOp::QSubU: return size <= 4;
    case VecOp::QAddS:
    case VecOp::QSubS:
    case VecOp::QShlImmS:
    case VecOp::QShlImmU: return size <= 5;
    case VecOp::Cnt: return size == 3;
    case VecOp::PAdd:
    case VecOp::PMaxS:
    case VecOp::PMaxU:
    case VecOp::PMinS:
    case VecOp::PMinU: return !q && size <= 5;
    case VecOp::QMovNS:
    case VecOp::QMovNU:
    case VecOp::QMovUN:
    case VecOp::QShrNS:
    case VecOp::QShrNU:
    case VecOp::QShrUN:
    case VecOp::QRShrNS:
    case VecOp::QRShrNU:
    case VecOp::QRShrUN: return size == 4 || size == 5;
    case VecOp::QDMulL: return size == 4 || size == 5;
    case VecOp::MovN:
    case VecOp::ShrN:
    case VecOp::RShrN:
    case VecOp::AddHN:
    case VecOp::RAddHN:
    case VecOp::SubHN:
    case VecOp::RSubHN: return size >= 4;
    case VecOp::Rev16: return size == 3;
    case VecOp::Rev32: return size <= 4;
    default: break;
  }
  const bool any_size = op <= VecOp::Bif || op == VecOp::Add || op == VecOp::Sub || op == VecOp::CmpEq ||
                        op == VecOp::CmpGtS || op == VecOp::Neg || op == VecOp::Tst || op == VecOp::Ext ||
                        op == VecOp::Tbl || (op >= VecOp::ShlImm && op <= VecOp::Sli);
  return any_size || size <= 5;
}

bool InPlace::vector_fp(const ir::Inst& i) const {
  const bool q = VectorImm::q(i.imm);
  const u32 imm = VectorImm::imm(i.imm);
  if (!options_.inline_fp || VectorImm::esize_log2(i.imm) != 5) return false;
  switch (VectorImm::op(i.imm)) {
    case VecOp::FFma:
    case VecOp::FFms: return host_.fma;
    case VecOp::FPAdd:
    case VecOp::FPMax:
    case VecOp::FPMin: return !q;
    case VecOp::FToS:
    case VecOp::FToU: return imm <= 31;
    case VecOp::SToF:
    case VecOp::UToF: return imm <= 32;
    case VecOp::FRecpe:
    case VecOp::FRsqrte:
    case VecOp::URecpe:
    case VecOp::URsqrte:
    case VecOp::FNarrow16:
    case VecOp::FWiden16: return false;
    default: return true;
  }
}

}  // namespace armvisor::engine::jit
