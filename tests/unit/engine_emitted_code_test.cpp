// The code that the compiler emits for each case of tests/ir/*.ir, pinned beside it in *.x64, so that a review sees
// what a change does to it. To write the files anew: ARMVISOR_UPDATE_EMITTED=1 engine_emitted_code_test
//
// Pinned is what a host with all features gets. What is not of the code's shape is left out: addresses of the host, and
// places in the context that have no name below.
#include <capstone/capstone.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "engine/context.h"
#include "engine/jit/jit.h"
#include "frontend/translate.h"
#include "ir_case.h"
#include "pinned_file.h"

namespace armvisor::engine::test {
namespace {

/// Names of places in the context, by offset from it.
std::map<s64, std::string> context_names() {
  std::map<s64, std::string> names;
  const auto of_state = [](std::size_t member) { return static_cast<s64>(offsetof(Context, guest) + member); };
  for (u32 n = 0; n < 15; ++n) names[of_state(offsetof(arm::CpuState, r) + 4 * n)] = fmt::format("R{}", n);
  names[of_state(offsetof(arm::CpuState, r) + 4 * 15)] = "PC";
  names[of_state(offsetof(arm::CpuState, n))] = "N";
  names[of_state(offsetof(arm::CpuState, z))] = "Z";
  names[of_state(offsetof(arm::CpuState, c))] = "C";
  names[of_state(offsetof(arm::CpuState, v))] = "V";
  names[of_state(offsetof(arm::CpuState, q))] = "Q";
  names[of_state(offsetof(arm::CpuState, ge))] = "GE";
  names[of_state(offsetof(arm::CpuState, psr))] = "psr";
  names[static_cast<s64>(offsetof(Context, dispatch.attention))] = "attention";
  return names;
}

class Disassembly {
 public:
  Disassembly() {
    EXPECT_EQ(cs_open(CS_ARCH_X86, CS_MODE_64, &handle_), CS_ERR_OK);
    cs_option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
  }
  ~Disassembly() { cs_close(&handle_); }
  Disassembly(const Disassembly&) = delete;
  Disassembly& operator=(const Disassembly&) = delete;

  std::string of(const Block& block) const {
    std::string out;
    const u8* at = static_cast<const u8*>(block.host);
    std::size_t left = block.host_size;
    u64 offset = 0;
    cs_insn* const insn = cs_malloc(handle_);
    while (cs_disasm_iter(handle_, &at, &left, &offset, insn))
      out += fmt::format("    {:03x}  {}\n", insn->address, text(*insn, block.host_size));
    cs_free(insn, 1);
    if (left != 0) out += fmt::format("    {} bytes that are no instruction\n", left);
    return out;
  }

 private:
  std::string text(const cs_insn& insn, u64 size) const {
    const cs_x86& x86 = insn.detail->x86;
    const bool jumps = cs_insn_group(handle_, &insn, CS_GRP_JUMP) || cs_insn_group(handle_, &insn, CS_GRP_CALL);
    if (jumps && x86.operands[0].type == X86_OP_IMM) {
      const u64 target = static_cast<u64>(x86.operands[0].imm);
      return std::string(insn.mnemonic) + (target < size ? fmt::format(" {:03x}", target) : " <outside>");
    }
    if (insn.id == X86_INS_MOVABS)
      return fmt::format("{} {}, <pointer>", insn.mnemonic, cs_reg_name(handle_, x86.operands[0].reg));
    std::string operands = insn.op_str;
    for (u8 k = 0; k < x86.op_count; ++k) {
      const cs_x86_op& op = x86.operands[k];
      if (op.type != X86_OP_MEM || op.mem.base != X86_REG_RBP) continue;
      const auto name = names_.find(op.mem.disp);
      const std::size_t open = operands.find("[rbp"), close = operands.find(']', open);
      if (open == operands.npos) continue;
      const bool plain = op.mem.index == X86_REG_INVALID && name != names_.end();
      operands.replace(open, close - open + 1, plain ? "[" + name->second + "]" : "[context]");
    }
    return insn.mnemonic + std::string(operands.empty() ? "" : " ") + operands;
  }

  csh handle_ = 0;
  const std::map<s64, std::string> names_ = context_names();
};

std::string emitted(const std::filesystem::path& cases) {
  JitOptions options;
  options.windows = options.background = false;
  auto backend = jit::make_backend(options);
  EXPECT_TRUE(backend);
  const Disassembly disassembly;
  const u32 key = frontend::Context::of(arm::reset_state(0, 1)).key();
  std::string out =
      "What the compiler emits for the cases of " + cases.filename().string() + "; engine_emitted_code_test\n";
  for (const IrCase& c : read_ir_cases(cases.string())) {
    ir::Block ir;
    std::string error;
    EXPECT_TRUE(ir::parse(c.text, ir, error)) << c.name << ": " << error;
    const auto block = (*backend)->make(ir, block_key(key, true));
    out += "\n" + c.name + "\n" + (block && block->compiled ? disassembly.of(*block) : "    not compiled\n");
  }
  return out;
}

TEST(EmittedCode, IsWhatIsPinned) {
  for (const HostFeature& f : host_features())
    if (!f.usable && f.name != "fsgsbase") GTEST_SKIP() << "pinned is what a host with " << f.name << " gets";
  const std::filesystem::path directory = std::filesystem::path(ARMVISOR_TESTS) / "ir";
  u32 files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".ir") continue;
    ++files;
    std::filesystem::path pinned = entry.path();
    pinned.replace_extension(".x64");
    ASSERT_NO_FATAL_FAILURE(expect_pinned(pinned, emitted(entry.path()), "ARMVISOR_UPDATE_EMITTED"));
  }
  EXPECT_GT(files, 0u);
}

}  // namespace
}  // namespace armvisor::engine::test
