// Any bytes as code: decoded, disassembled, translated; the IR must verify and survive its text form.
#include <string>

#include "arm/psr.h"
#include "frontend/decoder.h"
#include "frontend/disassembler.h"
#include "frontend/translate.h"
#include "input.h"

using namespace armvisor;

namespace {

frontend::Context context_of(u16 bits, u8 it) {
  frontend::Context c;
  c.thumb = bits & 1;
  c.big_endian = bits & 2;
  c.privileged = bits & 4;
  c.align_strict = bits & 8;
  c.vfp_accessible = bits & 16;
  c.vfp_enabled = (bits & 32) && c.vfp_accessible;
  c.simd_enabled = (bits & 64) && c.vfp_enabled;
  c.sctlr_nmfi = bits & 128;
  // ITSTATE of real code: zero, or a condition with a non-empty mask.
  if (c.thumb && (it & 15)) c.it = it;
  return c;
}

void disassemble_all(const frontend::Context& context, std::span<const u8> code) {
  for (std::size_t at = 0; at + 4 <= code.size(); at += context.thumb ? 2 : 4) {
    u32 word;
    std::memcpy(&word, code.data() + at, 4);
    const u16 half = static_cast<u16>(word);
    if (!context.thumb)
      (void)frontend::disassemble(word, 0x8000, frontend::Isa::A32);
    else if (frontend::is_t32(half))
      (void)frontend::disassemble(u32{half} << 16 | word >> 16, 0x8000, frontend::Isa::T32);
    else
      (void)frontend::disassemble(half, 0x8000, frontend::Isa::T16);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  const u16 bits = in.get<u16>();
  const frontend::Context context = context_of(bits, in.get<u8>());
  const u32 pc = u32{in.get<u8>()} << 24 | 0xf00;
  const auto code = in.bytes(512);
  disassemble_all(context, code);
  ir::Block block;
  if (!frontend::translate(context, pc, code, {}, block)) return 0;
  const std::string text = ir::print(block);
  if (const std::string error = ir::verify(block); !error.empty()) fuzz::fail(error.c_str(), text.c_str());
  ir::Block again;
  std::string error;
  if (!ir::parse(text, again, error)) fuzz::fail(error.c_str(), text.c_str());
  if (ir::print(again) != text) fuzz::fail("the text form changed on its way through the parser", text.c_str());
  return 0;
}
