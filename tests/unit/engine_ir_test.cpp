// Runs the cases of tests/ir/*.ir.
#include <filesystem>

#include "engine_machine.h"
#include "ir_case.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_first_pc = k_ram + 0x8000;

u64 get(Machine& m, const std::string& name) {
  const arm::CpuState& s = m.state();
  if (name[0] == '[') return m.get32(static_cast<u32>(std::stoull(name.substr(1), nullptr, 0)));
  if (name == "pc") return s.r[15];
  if (name == "flags") return u64{s.n} << 3 | u64{s.z} << 2 | u64{s.c} << 1 | s.v;
  if (name == "q") return s.q;
  if (name == "ge") return s.ge;
  if (name == "cpsr") return arm::cpsr(s);
  if (name == "mode") return s.mode();
  if (name == "fpscr") return arm::fpscr(s);
  if (name[0] == 'd') return s.d[std::stoul(name.substr(1))];
  return s.r[std::stoul(name.substr(1))];
}

void put(Machine& m, const std::string& name, u64 value) {
  arm::CpuState& s = m.state();
  if (name[0] == '[') {
    m.put32(static_cast<u32>(std::stoull(name.substr(1), nullptr, 0)), static_cast<u32>(value));
  } else if (name == "flags") {
    s.n = value >> 3 & 1;
    s.z = value >> 2 & 1;
    s.c = value >> 1 & 1;
    s.v = value & 1;
  } else if (name == "q") {
    s.q = static_cast<u8>(value);
  } else if (name == "ge") {
    s.ge = static_cast<u8>(value);
  } else if (name == "cpsr") {
    arm::set_cpsr(s, static_cast<u32>(value));
  } else if (name == "fpscr") {
    arm::set_fpscr(s, static_cast<u32>(value));
  } else if (name[0] == 'd') {
    s.d[std::stoul(name.substr(1))] = value;
  } else {
    s.r[std::stoul(name.substr(1))] = static_cast<u32>(value);
  }
}

void run_case(const IrCase& c) {
  SCOPED_TRACE(c.name);
  ir::Block block;
  std::string error;
  ASSERT_TRUE(ir::parse(c.text, block, error)) << error;
  ASSERT_EQ(ir::verify(block), "");
  Machine m(1, [&block](u32 pc, ir::Block& out) {
    if (pc == block.pc) {
      out = block;
      return;
    }
    // Anything else stops where it is.
    out.pc = pc;
    out.guest_bytes = 4;
    out.insn_count = 1;
    out.insts.push_back({.op = ir::Op::Insn, .attr = 4, .imm = pc});
    out.insts.push_back({.op = ir::Op::ExitYield, .imm = pc});
  });
  m.state().cp15.vbar = k_ram;
  m.state().fpexc = 1u << 30;
  m.state().z = 0;  // cases say which flags are set
  for (const Assignment& a : c.before) put(m, a.name, a.value);
  EXPECT_EQ(m.run(k_first_pc), Exit::Yield);
  for (const Assignment& a : c.after) EXPECT_EQ(get(m, a.name), a.value) << a.name;
}

TEST(EngineIr, EveryCaseOfEveryFile) {
  const auto folder = std::filesystem::path(ARMVISOR_TESTS) / "ir";
  u32 count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".ir") continue;
    SCOPED_TRACE(entry.path().filename());
    for (const IrCase& c : read_ir_cases(entry.path())) {
      run_case(c);
      ++count;
    }
  }
  EXPECT_GT(count, 30u);
}

}  // namespace
}  // namespace armvisor::engine::test
