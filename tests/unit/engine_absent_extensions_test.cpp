// A guest that executes what only Hyp mode has is told of to the user, once, and takes its Undefined Instruction
// exception; programs, whose instructions say nothing of the system, are not.
#include "engine_machine.h"
#include "stderr_text.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_code = k_ram + 0x8000;
constexpr u32 k_mrc_hcr = 0xee910f11;  ///< mrc p15, 4, r0, c1, c1, 0

std::string said_of(u32 mode, u32 insn) {
  Machine m;
  m.put32(k_ram + 4, k_stop);
  m.words(k_code, {insn, k_stop});
  m.state().cp15.vbar = k_ram;
  arm::set_cpsr(m.state(), mode | arm::k_psr_i | arm::k_psr_f | arm::k_psr_a);
  const std::string text = stderr_text_of([&] {
    m.run(k_code);
    drain_messages();
  });
  EXPECT_EQ(m.state().psr & arm::k_psr_mode, arm::k_mode_und);
  EXPECT_EQ(m.reg(14), k_code + 4);
  return text;
}

TEST(AbsentExtensionsOfTheEngine, AreToldOnce) {
  EXPECT_EQ(said_of(arm::k_mode_svc, 0xe7f000f0), "");
  EXPECT_EQ(said_of(arm::k_mode_usr, k_mrc_hcr), "");
  const std::string text = said_of(arm::k_mode_svc, k_mrc_hcr);
  EXPECT_NE(text.find("Virtualization Extensions"), std::string::npos) << text;
  EXPECT_NE(text.find("ee910f11 at 40008000"), std::string::npos) << text;
  EXPECT_EQ(said_of(arm::k_mode_svc, k_mrc_hcr), "");
}

}  // namespace
}  // namespace armvisor::engine::test
