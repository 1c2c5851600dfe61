// armvisor disasm: text of instructions given as hexadecimal words or in a file of raw code.
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "base/input_file.h"
#include "cli/option_parser.h"
#include "frontend/disassembler.h"
#include "machine/image.h"

namespace armvisor::cli {
namespace {

struct Options {
#define OPTION_TABLE "cli/disasm_options.inc"
#include "cli/option_members.inc"
#undef OPTION_TABLE
};

struct Request {
  bool thumb = false;
  u32 base = 0;
  Arguments operands;
};

constexpr u64 k_most_code = u64{256} << 20;

Error bad(const std::string& message) { return Error{ErrorKind::BadArguments, "disasm: " + message}; }

/// A number in hexadecimal with or without 0x.
bool parse_hex(std::string_view text, u32& value) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

Result<Options> parse(const Arguments& arguments) {
  Options o;
  const auto bind = [&o](OptionBinder& to) {
#define OPTION_TABLE "cli/disasm_options.inc"
#include "cli/option_bindings.inc"
#undef OPTION_TABLE
  };
  AV_TRY(parse_options("disasm", arguments, o.help, bind));
  return o;
}

Result<Request> request_of(const Options& o) {
  Request r{.operands = o.operands};
  if (o.base && !parse_hex(*o.base, r.base))
    return bad("--base: expected a hexadecimal address, found '" + *o.base + "'; change it");
  if (o.isa && *o.isa != "a32" && *o.isa != "t32")
    return bad("--isa: expected a32 or t32, found '" + *o.isa + "'; change it");
  r.thumb = o.isa == "t32";
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

Status disassemble_operands(const Request& r) {
  u32 ignored = 0;
  std::error_code none;
  if (r.operands.size() > 1 ||
      (parse_hex(r.operands.front(), ignored) && !std::filesystem::exists(r.operands.front(), none)))
    return disassemble_words(r);
  AV_TRY_ASSIGN(const std::vector<u8> code, read_file(r.operands.front(), "code", k_most_code));
  disassemble_bytes(code, r);
  return {};
}

Result<ExitStatus> disassemble_request(const Arguments& arguments) {
  AV_TRY_ASSIGN(const Options options, parse(arguments));
  if (options.help) return help({"disasm"});
  AV_TRY_ASSIGN(const Request request, request_of(options));
  AV_TRY(disassemble_operands(request));
  return ExitStatus::PoweredOff;
}

}  // namespace

ExitStatus disasm(const Arguments& arguments) {
  const auto result = disassemble_request(arguments);
  return result ? *result : report(result.error());
}

}  // namespace armvisor::cli
