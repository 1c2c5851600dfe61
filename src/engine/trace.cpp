#include "engine/trace.h"

#include <cstdio>

#include "frontend/disassembler.h"
#include "frontend/translate.h"

namespace armvisor::engine {
namespace {

u32 half_at(const CodeSource& source, u32 offset) { return source.bytes[offset] | u32{source.bytes[offset + 1]} << 8; }

std::string guest_text(const CodeSource& source, u32 offset, u32 bytes, u32 pc, bool thumb) {
  const u32 first = half_at(source, offset);
  if (bytes == 2) return frontend::disassemble(first, pc, frontend::Isa::T16);
  const u32 second = half_at(source, offset + 2);
  return thumb ? frontend::disassemble(first << 16 | second, pc, frontend::Isa::T32)
               : frontend::disassemble(second << 16 | first, pc, frontend::Isa::A32);
}

}  // namespace

void trace_block(const Block& block, const ir::Block& ir_block, const CodeSource& source) {
  std::string text = "translated";
  char line[128];
  const auto add = [&]<class... T>(const char* format, T... values) {
    std::snprintf(line, sizeof line, format, values...);
    text += line;
  };
  add(" %08x key %x, %u instructions, %u bytes\n", block.pc, block.key, block.insn_count, block.bytes);
  frontend::Context context;
  context.thumb = true;
  const bool thumb = block.key & context.key() & ~frontend::Context{}.key();
  for (const ir::Inst& i : ir_block.insts) {
    if (i.op != ir::Op::Insn) continue;
    const u32 pc = static_cast<u32>(i.imm);
    add("guest %08x  ", pc);
    text += guest_text(source, pc - block.pc, i.attr, pc, thumb) + "\n";
  }
  text += ir::print(ir_block);
  if (block.compiled) {
    add("host %zx ", reinterpret_cast<std::size_t>(block.host));
    for (u32 k = 0; k < block.host_size; ++k) add("%02x", static_cast<const u8*>(block.host)[k]);
    text += "\n";
  }
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace armvisor::engine
