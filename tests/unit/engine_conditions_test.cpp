// Two complementary conditional moves to a register, behind whatever makes flags: the register and the flags are those
// of the interpreter, and of A8.3's conditions.
#include <vector>

#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_code = k_ram + 0x8000, k_data = k_ram + 0x20000;
constexpr u32 k_values[] = {0, 1, 2, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};

struct Producer {
  const char* name;
  std::vector<u32> code;
};

const std::vector<Producer>& producers() {
  static const std::vector<Producer> all = {
      {"none", {}},
      {"cmp r1, r2", {0xe1510002}},
      {"cmp r1, #1", {0xe3510001}},
      {"subs r1, r1, r2", {0xe0511002}},
      {"adds r1, r1, r2", {0xe0911002}},
      {"cmn r1, r2", {0xe1710002}},
      {"adcs r1, r1, r2", {0xe0b11002}},
      {"sbcs r1, r1, r2", {0xe0d11002}},
      {"tst r1, r2", {0xe1110002}},
      {"movs r1, r1, lsr #1", {0xe1b010a1}},
      {"subs r1, r1, r2; str r1, [r3]", {0xe0511002, 0xe5831000}},
      {"cmp r1, r2; mov r4, r1", {0xe1510002, 0xe1a04001}},
      {"cmp r1, r2; moveq r4, #7", {0xe1510002, 0x03a04007}},
      {"tst r1, r2; cmpne r1, #1", {0xe1110002, 0x13510001}},
      {"vmov s0, r1; vmov s1, r2; vcmp.f32 s0, s1; vmrs APSR_nzcv, fpscr",
       {0xee001a10, 0xee002a90, 0xeeb40a60, 0xeef1fa10}},
  };
  return all;
}

u32 conditional_move(u32 condition, u32 rd, u32 value) { return condition << 28 | 0x03a00000 | rd << 12 | value; }

void start(Machine& m, u32 a, u32 b, u8 flags) {
  arm::CpuState& s = m.state();
  s.cp15.cpacr = 0x00f00000;
  s.fpexc = 1u << 30;
  s.n = flags >> 3 & 1;
  s.z = flags >> 2 & 1;
  s.c = flags >> 1 & 1;
  s.v = flags & 1;
  m.reg(1) = a;
  m.reg(2) = b;
  m.reg(3) = k_data;
  m.reg(4) = 0x44;
  EXPECT_EQ(m.run(k_code), Exit::Kicked);
}

void compare(const Producer& producer, u32 condition, u32 rd, u32 if_holds) {
  Machine m, reference(1, {}, {}, "interp");
  std::vector<u32> code = producer.code;
  code.push_back(conditional_move(condition, rd, if_holds));
  code.push_back(conditional_move(condition ^ 1, rd, if_holds ^ 1));
  code.push_back((condition + 3) % 14 << 28 | 0x02466001);  // sub<c> r6, r6, #1: the same flags once more
  code.push_back(0xe10f5000);                               // mrs r5, cpsr
  code.push_back(k_stop);
  for (Machine* const machine : {&m, &reference})
    for (u32 k = 0; k < code.size(); ++k) machine->put32(k_code + 4 * k, code[k]);
  u8 flags = 0;
  for (const u32 a : k_values)
    for (const u32 b : k_values) {
      start(m, a, b, flags);
      start(reference, a, b, flags);
      const bool holds = arm::condition_holds(m.state(), static_cast<arm::Cond>(condition));
      ASSERT_EQ(m.reg(rd), holds ? if_holds : if_holds ^ 1)
          << producer.name << ", condition " << condition << ", r" << rd << ", " << a << ", " << b;
      for (const u32 r : {0u, 1u, 4u, 5u, 6u, 8u})
        ASSERT_EQ(m.reg(r), reference.reg(r)) << producer.name << ", condition " << condition << ", r" << r;
      flags = (flags + 5) & 15;
    }
}

TEST(EngineConditions, PairsOfMovesAreTheConditionsValue) {
  for (const Producer& producer : producers())
    for (u32 condition = 0; condition < 14; ++condition)
      for (const u32 rd : {0u, 1u, 8u})  // with a host register, an operand, and without a host register
        for (const u32 if_holds : {0u, 1u}) compare(producer, condition, rd, if_holds);
}

}  // namespace
}  // namespace armvisor::engine::test
