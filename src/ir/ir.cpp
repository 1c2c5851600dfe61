#include "ir/ir.h"

#include "base/assert.h"

namespace armvisor::ir {
namespace {

constexpr Type V = Type::V, I32 = Type::I32, I64 = Type::I64, V128 = Type::V128;

constexpr OpInfo k_info[] = {
#define OP(name, result, a, b, c, effects) {#name, result, {a, b, c}, static_cast<u8>(effects)},
#include "ir/opcodes.inc"
#undef OP
};
static_assert(sizeof(k_info) / sizeof(k_info[0]) == static_cast<std::size_t>(Op::Count));

}  // namespace

const OpInfo& info(Op op) {
  AV_ASSERT(op < Op::Count);
  return k_info[static_cast<std::size_t>(op)];
}

bool imm_is_attribute(Op op) {
  switch (op) {
    case Op::CondValue:
    case Op::Head:
    case Op::Goto:
    case Op::SBfx:
    case Op::UBfx:
    case Op::Bfi:
    case Op::SSat:
    case Op::USat:
    case Op::SSat16:
    case Op::USat16:
    case Op::Parallel:
    case Op::WriteCpsr:
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
    case Op::GetS:
    case Op::GetD:
    case Op::GetVD:
    case Op::GetQ:
    case Op::SetS:
    case Op::SetD:
    case Op::SetVD:
    case Op::SetQ:
    case Op::FCmp32:
    case Op::FCmp64:
    case Op::F32ToFixed:
    case Op::F64ToFixed:
    case Op::FixedToF32:
    case Op::FixedToF64:
    case Op::Vector:
    case Op::VGetLane:
    case Op::VSetLane:
    case Op::VDup:
    case Op::Insn:
    case Op::SkipIf:
    case Op::SkipUnless:
    case Op::Label:
    case Op::ExitJump:
    case Op::ExitCall:
    case Op::ExitSwitch:
    case Op::ExitSync:
    case Op::ExitSvc:
    case Op::ExitHvc:
    case Op::ExitSmc:
    case Op::ExitWfi:
    case Op::ExitWfe:
    case Op::ExitYield: return true;
    default: return false;
  }
}

bool imm_may_move(Op op) {
  switch (op) {
    case Op::Mov:
    case Op::Add:
    case Op::Load:
    case Op::Load64:
    case Op::Store:
    case Op::Store64:
    case Op::ExitJump:
    case Op::ExitCall:
    case Op::ExitSwitch:
    case Op::ExitInterwork:
    case Op::ExitSync:
    case Op::ExitWfi:
    case Op::ExitWfe:
    case Op::ExitYield: return true;
    default: return false;
  }
}

bool disp_may_move(Op op) {
  switch (op) {
    case Op::Load:
    case Op::Load64:
    case Op::Store:
    case Op::Store64:
    case Op::ExitCall:
    case Op::ExitSwitch:
    case Op::ExitInterwork:
    case Op::ExitSvc:
    case Op::ExitHvc:
    case Op::ExitSmc: return true;
    default: return false;
  }
}

}  // namespace armvisor::ir
