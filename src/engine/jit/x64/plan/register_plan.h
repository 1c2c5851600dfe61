#pragma once
// Where values of general registers live: temps, and the guest registers that have no host register of their own
// (registers.h). No temp is in k_temp while another is, or while a guest register has it; a temp in eax or ecx is used
// up before anything else needs that.
#include <array>
#include <vector>

#include "engine/jit/x64/plan/xmm_plan.h"
#include "engine/jit/x64/registers.h"

namespace armvisor::engine::jit {

struct Temp {
  enum class Home : u8 {
    Frame,     ///< memory; or an xmm register (XmmTemp)
    Register,  ///< k_temp
    Eax,       ///< an address that the next instruction uses, or what the next two split
    Ecx,       ///< the second operand of the next instruction
    Folded,    ///< nowhere: a shifted register that the next instruction adds
  };
  int def = -1, last = -1;  ///< instructions: the first that makes it, the last that uses it
  int uses = 0;
  Home home = Home::Frame;
};

/// A guest register in a host register that is not its own. In a region it may be newer than the context.
struct Copy {
  u32 guest;
  int host;
  int owner;     ///< the guest register that has `host` outside this region, or -1
  bool written;  ///< the block changes it
};

struct RegisterPlan {
  std::vector<Temp> temps;
  std::vector<Copy> copies;
  std::array<int, 15> guest_host = k_pinned;  ///< host register of each guest register, or k_not_pinned

  int host(ir::Value v) const;  ///< register number, or k_not_pinned: in memory
  bool is_copy(ir::Value v) const { return v.is_reg() && guest_host[v.reg_number()] != k_pinned[v.reg_number()]; }
  bool is_folded(ir::Value v) const { return v.is_temp() && temps[v.temp_number()].home == Temp::Home::Folded; }
};

/// Of `xmm`, the temps.
void plan_registers(const PlanInput& in, const FlowPlan& flow, const XmmPlan& xmm, RegisterPlan& plan);

}  // namespace armvisor::engine::jit
