// armvisor disasm: text of instructions given as hexadecimal words or in a file of raw code.
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "cli/commands.h"
#include "frontend/disassembler.h"
#include "machine/image.h"

namespace armvisor::cli {
namespace {

struct Request {
  bool thumb = false;
  u32 base = 0;
  Arguments operands;
};

Error bad(const std::string& message) { return Error{ErrorKind::BadArguments, "disasm: " + message}; }

/// A number in hexadecimal with or without 0x.
bool parse_hex(std::string_view text, u32& value) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

Result<Request> parse(const Arguments& arguments) {
  Request r;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& a = arguments[i];
    if (a != "--isa" && a != "--base") {
      if (a.starts_with("-")) return bad("expected --isa or --base, found '" + a + "'; see 'armvisor help disasm'");
      r.operands.push_back(a);
      continue;
    }
    if (++i == arguments.size()) return bad("expected a value after " + a + ", found the end; add it");
    if (a == "--base" && !parse_hex(arguments[i], r.base))
      return bad("--base: expected a hexadecimal address, found '" + arguments[i] + "'; change it");
    if (a == "--isa" && arguments[i] != "a32" && arguments[i] != "t32")
      return bad("--isa: expected a32 or t32, found '" + arguments[i] + "'; change it");
    if (a == "--isa") r.thumb = arguments[i] == "t32";
  }
  if (r.operands.empty()) return bad("expected a file or hexadecimal words, found nothing; see 'armvisor help disasm'");
  return r;
}

void print(u32 pc, u32 word, unsigned digits, frontend::Isa isa) {
  std::printf("%08x:  %0*x%*s  %s\n", pc, static_cast<int>(digits), word, static_cast<int>(8 - digits), "",
              frontend::disassemble(word, pc, isa).c_str());
}

/// Bytes of a file, as the CPU reads them.
void disassemble_bytes(const std::vector<u8>& code, const Request& r) {
  std::size_t at = 0;
  const auto pc = [&] { return r.base + static_cast<u32>(at); };
  while (!r.thumb && code.size() - at >= 4) {
    print(pc(), machine::little32(code, at), 8, frontend::Isa::A32);
    at += 4;
  }
  while (r.thumb && code.size() - at >= 2) {
    const u16 first = static_cast<u16>(machine::little16(code, at));
    const bool wide = frontend::is_t32(first);
    if (wide && code.size() - at < 4) break;
    if (wide)
      print(pc(), u32(first) << 16 | machine::little16(code, at + 2), 8, frontend::Isa::T32);
    else
      print(pc(), first, 4, frontend::Isa::T16);
    at += wide ? 4 : 2;
  }
}

/// Words as people write them: a T32 instruction with its first halfword in the high half.
Status disassemble_words(const Request& r) {
  u32 pc = r.base;
  for (const std::string& text : r.operands) {
    u32 word = 0;
    if (!parse_hex(text, word))
      return bad("expected hexadecimal words or the name of one file, found '" + text + "'; change it");
    const bool half = r.thumb && word <= 0xffff;
    print(pc, word, half ? 4 : 8, !r.thumb ? frontend::Isa::A32 : half ? frontend::Isa::T16 : frontend::Isa::T32);
    pc += half ? 2 : 4;
  }
  return {};
}

Status disassemble_request(const Arguments& arguments) {
  AV_TRY_ASSIGN(const Request r, parse(arguments));
  u32 ignored = 0;
  std::error_code none;
  if (r.operands.size() > 1 ||
      (parse_hex(r.operands.front(), ignored) && !std::filesystem::exists(r.operands.front(), none)))
    return disassemble_words(r);
  AV_TRY_ASSIGN(const std::vector<u8> code, machine::read_file(r.operands.front(), "code"));
  disassemble_bytes(code, r);
  return {};
}

}  // namespace

ExitStatus disasm(const Arguments& arguments) {
  const auto result = disassemble_request(arguments);
  return result ? ExitStatus::PoweredOff : report(result.error());
}

}  // namespace armvisor::cli
