#include "engine/jit/x64/plan/plan_text.h"

#include <fmt/core.h>

#include <sstream>

namespace armvisor::engine::jit {
namespace {

using ir::Inst;
using ir::Op;

std::string flags_text(u8 mask) {
  std::string out;
  for (u32 k = 0; k < 4; ++k)
    if (mask >> (3 - k) & 1) out += "NZCV"[k];
  return out.empty() ? "none" : out;
}

std::string source_text(u32 source, u8 mask, bool from_result) {
  return fmt::format("{} of {}{}", flags_text(mask), source, from_result ? " by its result" : "");
}

std::string host_text(int host) { return Xbyak::Reg32(host).toString(); }

/// Words of the extension registers, as the largest register that they are.
std::string unit_text(const Unit& u) {
  const char* const kind = u.words == 4 ? "q" : u.words == 2 ? "d" : "s";
  return fmt::format("{}{}", kind, u.first / u.words);
}

std::string block_text(const Plan& plan) {
  std::string out;
  for (const Copy& c : plan.registers.copies) {
    out += fmt::format("copy: r{} in {}", c.guest, host_text(c.host));
    if (c.owner >= 0) out += fmt::format(", which is of r{}", c.owner);
    out += c.written ? ", written\n" : "\n";
  }
  for (const Unit& u : plan.xmm.units)
    out += fmt::format("unit: {}, home xmm{}{}\n", unit_text(u), u.home, u.written ? ", written" : "");
  for (u32 k = 0; k < plan.region.heads.size(); ++k)
    out += fmt::format("head {}: flags alive {}{}\n", k, flags_text(plan.region.heads[k].live),
                       plan.region.has_edges(k) ? ", pending on ways to it" : "");
  for (const Edge& e : plan.region.edges) {
    out += fmt::format("edge {}: from {} to head {}, flags of {}{}", plan.region.edge_number(e.skip), e.skip, e.head,
                       e.source, e.saved ? ", operands saved" : "");
    for (const Pass& p : e.passed) out += fmt::format(", on by {} to head {}", p.skip, p.head);
    out += "\n";
  }
  return out;
}

class InstText {
 public:
  InstText(const ir::Block& block, const Plan& plan, u32 index) : i_(block.insts[index]), plan_(plan), index_(index) {}

  std::string text() {
    if (plan_.dead[index_]) note("dead");
    flow();
    result();
    moves();
    flags();
    cold();
    return out_;
  }

 private:
  void note(const std::string& what) { out_ += (out_.empty() ? "" : "; ") + what; }

  void flow() {
    const FlowPlan::Step& step = plan_.flow[index_];
    if (!step.in_place) note("in C++");
    if (step.leaves) note("to the dispatcher if not in place");
    if (step.precedes_trap) note("before the operation that traps");
    if (step.side_exit) note("side exit");
    if (step.conditional) note("conditional");
    if (!is_access(i_.op)) return;
    if (step.group > 1) note(fmt::format("group of {}", step.group));
    if (step.group == 0) note("in the group");
  }

  /// Where the result is.
  void result() {
    if (!i_.dst.is_temp()) return;
    const u32 t = i_.dst.temp_number();
    const int host = plan_.registers.host(i_.dst);
    const XmmTemp& x = plan_.xmm.temps[t];
    if (plan_.registers.is_folded(i_.dst)) note("folded");
    if (host != k_not_pinned) note("in " + host_text(host));
    if (!x.in_xmm || x.last < 0) return;
    note("in xmm");
    if (x.stored) note("also stored");
    if (x.type == ir::Type::V128 && !x.wide) note("low half");
  }

  void moves() {
    const XmmPlan::Step& step = plan_.xmm.steps[index_];
    if (step.load == XmmPlan::Load::Pair) note("one load with the next");
    if (step.load == XmmPlan::Load::HighOfPair) note("high half of the load before");
    if (is_load(i_.op) && step.load == XmmPlan::Load::No && plan_.xmm.holds(i_.dst)) note("no register left");
    if (step.spread) note("by the spreading behind it");
    if (step.read_again) note("read again soon");
    if (step.get_pair) note("one value with the next, if its register is at hand");
    if (step.unit >= 0) note("best in " + unit_text(plan_.xmm.units[static_cast<u32>(step.unit)]));
    if (step.set == XmmPlan::k_set_with_next) note("with the next");
    if (step.set >= 0) note(fmt::format("both halves from t{}", step.set));
  }

  void flags() {
    const FlagPlan::Step& step = plan_.flags[index_];
    if (writes_flags(i_.op) && plan_.flow[index_].in_place) note("stores " + flags_text(step.needed));
    if (step.used_at_host) note("used at the host");
    if (step.at_host >= 0) note(fmt::format("by the host's flags of {}", step.at_host));
    if (step.remake >= 0)
      note(fmt::format("makes the flags of {} anew{}", step.remake, step.from_result ? " by its result" : ""));
    if (const u32 edge = plan_.region.edge_number(index_)) note(fmt::format("edge {}", edge));
    if (plan_.region.passes(index_)) note("passes edges on");
    for (const Recovery& r : plan_.region.stores)
      if (r.at == index_) note("stores " + source_text(r.source, r.mask, r.from_result) + " on the way");
  }

  void cold() {
    for (const Recovery& r : plan_.flags.recovery)
      if (r.at == index_) note("cold: " + source_text(r.source, r.mask, r.from_result));
    for (const Edge& e : plan_.region.edges)
      for (const EdgePoint& p : e.points)
        if (p.at == index_)
          note(fmt::format("cold, by edge {}: {}", plan_.region.edge_number(e.skip),
                           source_text(e.source, p.mask, p.from_result)));
  }

  const Inst& i_;
  const Plan& plan_;
  const u32 index_;
  std::string out_;
};

}  // namespace

std::string print(const ir::Block& block, const Plan& plan) {
  constexpr std::size_t k_column = 44;
  std::istringstream lines(ir::print(block));
  std::string line, out = block_text(plan);
  std::getline(lines, line);  // of the block
  for (u32 k = 0; std::getline(lines, line); ++k) {
    const std::string notes = InstText(block, plan, k).text();
    if (notes.empty())
      out += fmt::format("{:3}{}\n", k, line);
    else
      out += fmt::format("{:3}{:{}} ; {}\n", k, line, k_column, notes);
  }
  return out;
}

}  // namespace armvisor::engine::jit
