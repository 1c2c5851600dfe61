#include "engine/jit/x64/plan/register_plan.h"

#include <algorithm>

#include "engine/jit/x64/plan/in_place.h"

namespace armvisor::engine::jit {
namespace {

using ir::Inst;
using ir::Op;
using ir::Value;
using Home = Temp::Home;

class Temps {
 public:
  Temps(const PlanInput& in, const FlowPlan& flow, const XmmPlan& xmm, RegisterPlan& plan)
      : insts_(in.block.insts), in_(in), flow_(flow), xmm_(xmm), temps_(plan.temps) {}

  void plan() {
    temps_.assign(in_.block.temp_count, {});
    if (temps_.empty()) return;
    in_memory_.assign(in_.block.temp_count, false);
    find_uses();
    int busy_until = -1;
    for (u32 k = 0; k < insts_.size(); ++k) {
      if (!insts_[k].dst.is_temp()) continue;
      Temp& t = temps_[insts_[k].dst.temp_number()];
      if (in_memory_[insts_[k].dst.temp_number()]) continue;
      t.home = passing_home(k);
      if (t.home != Home::Frame || t.def != static_cast<int>(k) || busy_until > t.def) continue;
      t.home = Home::Register;
      busy_until = t.last;
    }
  }

 private:
  void find_uses() {
    std::vector<int> labels;
    for (u32 k = 0; k < insts_.size(); ++k) {
      const Inst& i = insts_[k];
      if (i.op == Op::Label) labels.push_back(static_cast<int>(k));
      // The slow path of floating-point instructions is a function in C++.
      const bool in_cpp = !flow_[k].in_place || i.op == Op::ExitReturn || is_fp(i.op);
      for (const Value v : {i.a, i.b, i.c}) {
        if (!v.is_temp()) continue;
        Temp& t = temps_[v.temp_number()];
        t.last = static_cast<int>(k);
        ++t.uses;
        in_memory_[v.temp_number()] |= in_cpp;
      }
      if (!i.dst.is_temp()) continue;
      Temp& t = temps_[i.dst.temp_number()];
      in_memory_[i.dst.temp_number()] |= in_cpp || t.def >= 0 || ir::info(i.op).result == ir::Type::V128;
      if (t.def < 0) t.def = static_cast<int>(k);
      t.last = std::max(t.last, static_cast<int>(k));
    }
    for (u32 n = 0; n < temps_.size(); ++n) {
      in_memory_[n] |= xmm_.temps[n].in_xmm;
      for (const int label : labels) in_memory_[n] |= temps_[n].def < label && label < temps_[n].last;
    }
  }

  /// Where what the instruction at `index` makes can wait for the next one.
  Home passing_home(u32 index) const {
    if (is_address(index) || is_split(index)) return Home::Eax;
    if (is_folded_shift(index)) return Home::Folded;
    return is_next_operand(index) ? Home::Ecx : Home::Frame;
  }

  bool is_used_next(u32 index) const {
    const Temp& t = temps_[insts_[index].dst.temp_number()];
    return t.uses == 1 && t.last == static_cast<int>(index) + 1;
  }

  bool is_address(u32 index) const {
    if (!is_used_next(index)) return false;
    const Inst& next = insts_[index + 1];
    return is_access(next.op) && next.a == insts_[index].dst && next.b != insts_[index].dst;
  }

  /// A doubleword whose halves the next two take, and nothing else does.
  bool is_split(u32 index) const {
    const Op op = insts_[index].op;
    if (op != Op::MulU64 && op != Op::MulS64 && op != Op::Add64 && op != Op::Sub64 && op != Op::Load64) return false;
    const Value whole = insts_[index].dst;
    return temps_[whole.temp_number()].uses == 2 && index + 2 < insts_.size() && insts_[index + 1].op == Op::Lo32 &&
           insts_[index + 1].a == whole && insts_[index + 2].op == Op::Hi32 && insts_[index + 2].a == whole;
  }

  /// A guest register shifted by what an address on the host can be, and the next instruction adds that.
  bool is_folded_shift(u32 index) const {
    const Inst& shift = insts_[index];
    if (!in_.options.fold_shifts || shift.op != Op::Shl || !shift.a.is_reg() || !shift.b.is_imm() || shift.imm < 1 ||
        shift.imm > 3 || index + 1 == insts_.size())
      return false;
    const Inst& add = insts_[index + 1];
    return temps_[shift.dst.temp_number()].uses == 1 && add.op == Op::Add && add.b == shift.dst && add.a.is_reg();
  }

  /// Made in whatever register, and what the next instruction adds, compares or the like, and only that.
  bool is_next_operand(u32 index) const {
    const Inst& i = insts_[index];
    if (!is_used_next(index)) return false;
    switch (i.op) {
      case Op::Shl:
      case Op::Shr:
      case Op::Sar:
      case Op::Ror:
        if (!i.b.is_imm()) return false;
        break;
      case Op::Not:
      case Op::SExt8:
      case Op::SExt16:
      case Op::ZExt8:
      case Op::ZExt16: break;
      default: return false;
    }
    const Inst& next = insts_[index + 1];
    switch (next.op) {
      case Op::Add:
      case Op::Sub:
      case Op::And:
      case Op::Or:
      case Op::Xor:
      case Op::AddF:
      case Op::SubF: return next.b == i.dst && next.a != i.dst;
      default: return false;
    }
  }

  const std::vector<Inst>& insts_;
  const PlanInput& in_;
  const FlowPlan& flow_;
  const XmmPlan& xmm_;
  std::vector<Temp>& temps_;
  std::vector<u8> in_memory_;  ///< by temp
};

/// Gives the host registers that no temp has to the guest registers without one that the block uses most. A region
/// also takes the host registers of guest registers that it uses less.
class Copies {
 public:
  Copies(const ir::Block& block, RegisterPlan& plan) : block_(block), region_(block.head_count != 0), plan_(plan) {}

  void plan() {
    count_uses();
    give_spare();
    if (region_) take_pinned();
  }

 private:
  void count_uses() {
    u32 weight = 1;
    const auto used = [&](Value v) {
      if (v.is_reg()) (k_pinned[v.reg_number()] == k_not_pinned ? uses_ : pinned_uses_)[v.reg_number()] += weight;
    };
    for (const Inst& i : block_.insts) {
      if (i.op == Op::Head) weight = 1u << std::min(4 * i.attr2, 20);
      for (const Value v : {i.a, i.b, i.c}) used(v);
      if (!i.dst.is_reg()) continue;
      if (region_) used(i.dst);  // elsewhere a write goes to memory just the same
      written_[i.dst.reg_number()] = true;
    }
  }

  void add(u32 guest, int host, int owner) {
    plan_.guest_host[guest] = host;
    plan_.copies.push_back({guest, host, owner, written_[guest]});
    uses_[guest] = 0;
  }

  u32 most_used() const { return static_cast<u32>(std::max_element(uses_.begin(), uses_.end()) - uses_.begin()); }

  void give_spare() {
    u32 temp_uses = 0;
    for (const Temp& t : plan_.temps) temp_uses += t.home == Home::Register ? static_cast<u32>(t.uses) : 0;
    for (const int host : k_copies) {
      const u32 guest = most_used();
      if (uses_[guest] < 2 || (host == k_temp && uses_[guest] <= temp_uses)) break;
      add(guest, host, -1);
      if (host != k_temp) continue;
      for (Temp& t : plan_.temps)
        if (t.home == Home::Register) t.home = Home::Frame;
    }
  }

  void take_pinned() {
    while (true) {
      const u32 guest = most_used();
      u32 owner = 0;
      for (u32 n = 1; n < k_pinned.size(); ++n)
        if (has_its_own(n) && k_pinned[n] != k_not_pinned &&
            (!has_its_own(owner) || pinned_uses_[n] < pinned_uses_[owner]))
          owner = n;
      if (uses_[guest] <= pinned_uses_[owner] || !has_its_own(owner)) break;
      plan_.guest_host[owner] = k_not_pinned;
      add(guest, k_pinned[owner], static_cast<int>(owner));
    }
  }

  bool has_its_own(u32 guest) const { return plan_.guest_host[guest] == k_pinned[guest]; }

  const ir::Block& block_;
  const bool region_;
  RegisterPlan& plan_;
  std::array<u32, 15> uses_{}, pinned_uses_{};
  std::array<bool, 15> written_{};
};

}  // namespace

int RegisterPlan::host(Value v) const {
  if (v.is_reg()) return guest_host[v.reg_number()];
  if (!v.is_temp()) return k_not_pinned;
  switch (temps[v.temp_number()].home) {
    case Home::Register: return k_temp;
    case Home::Eax: return Xbyak::Operand::EAX;
    case Home::Ecx: return Xbyak::Operand::ECX;
    default: return k_not_pinned;
  }
}

void plan_registers(const PlanInput& in, const FlowPlan& flow, const XmmPlan& xmm, RegisterPlan& plan) {
  plan.guest_host = k_pinned;
  plan.copies.clear();
  Temps(in, flow, xmm, plan).plan();
  if (in.options.register_copies) Copies(in.block, plan).plan();
}

}  // namespace armvisor::engine::jit
