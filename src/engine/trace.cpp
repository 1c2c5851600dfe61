#include "engine/trace.h"

#include <fmt/core.h>

#include <iterator>

#include "base/log.h"
#include "frontend/disassembler.h"
#include "frontend/translate.h"

namespace armvisor::engine {
namespace {

u32 half_at(const u8* code) { return code[0] | u32{code[1]} << 8; }

std::string guest_text(const u8* code, u32 bytes, u32 pc, bool thumb) {
  const u32 first = half_at(code);
  if (bytes == 2) return frontend::disassemble(first, pc, frontend::Isa::T16);
  const u32 second = half_at(code + 2);
  return thumb ? frontend::disassemble(first << 16 | second, pc, frontend::Isa::T32)
               : frontend::disassemble(second << 16 | first, pc, frontend::Isa::A32);
}

}  // namespace

void trace_block(const Block& block, const ir::Block& ir_block, const u8* code) {
  std::string text = "translated";
  const auto out = std::back_inserter(text);
  fmt::format_to(out, " {:08x} key {:x}, {} instructions, {} bytes{}\n", block.pc, block.key, block.insn_count,
                 block.bytes, block.key & k_key_window ? ", window" : "");
  frontend::Context context;
  context.thumb = true;
  const bool thumb = block.key & context.key() & ~frontend::Context{}.key();
  for (const ir::Inst& i : ir_block.insts) {
    if (i.op != ir::Op::Insn) continue;
    const u32 pc = static_cast<u32>(i.imm);
    fmt::format_to(out, "guest {:08x}  {}\n", pc,
                   guest_text(code + static_cast<s32>(pc - block.pc), i.attr, pc, thumb));
  }
  text += ir::print(ir_block);
  if (block.compiled) {
    fmt::format_to(out, "host {:x} ", reinterpret_cast<std::size_t>(block.host));
    for (u32 k = 0; k < block.host_size; ++k) fmt::format_to(out, "{:02x}", static_cast<const u8*>(block.host)[k]);
    text += "\n";
  }
  print_text(text);
}

}  // namespace armvisor::engine
