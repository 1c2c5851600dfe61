// The options of the compiling engine by name.
#include <fmt/core.h>

#include <charconv>
#include <utility>

#include "engine/engine.h"

namespace armvisor::engine {
namespace {

enum class Audience : u8 { User, All };

struct Entry {
  const char* name;
  bool JitOptions::*member;
  Audience audience;
  bool normally;
  const char* help;
};

constexpr Entry k_entries[] = {
#define JIT(member, name, audience, normally, help) {name, &JitOptions::member, Audience::audience, normally, help},
#include "engine/jit_options.inc"
#undef JIT
};
constexpr std::string_view k_no = "no-";

struct Number {
  const char* name;  // as in name=N
  u64 JitOptions::*member;
  u64 least, most, unit;
  const char* help;
};

constexpr Number k_numbers[] = {
    {"code", &JitOptions::code_bytes, 2, 1024, 1 << 20, "at most N MiB of generated code"},  // jumps are 32 bits
    {"hot", &JitOptions::hot, 1, 1'000'000, 1, "loops that ran N times are compiled as a whole"},
    {"warm", &JitOptions::warm, 0, 1'000'000, 1, "blocks are interpreted N times before they are compiled"},
};

Status set_number(const Number& n, std::string_view digits, JitOptions& options) {
  u64 value = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value);
  if (error != std::errc() || end != digits.end() || value < n.least || value > n.most)
    return Error{ErrorKind::BadArguments,
                 fmt::format("--jit {}: expected a number from {} to {}, found '{}'; change it", n.name, n.least,
                             n.most, digits)};
  options.*n.member = value * n.unit;
  return {};
}

Status set_one(std::string_view word, JitOptions& options) {
  const auto equals = word.find('=');
  for (const Number& n : k_numbers)
    if (equals != word.npos && word.substr(0, equals) == n.name) return set_number(n, word.substr(equals + 1), options);
  const bool on = !word.starts_with(k_no);
  const std::string_view name = on ? word : word.substr(k_no.size());
  for (const Entry& e : k_entries) {
    if (name != e.name) continue;
    options.*e.member = on;
    return {};
  }
  return Error{ErrorKind::BadArguments, fmt::format("--jit: expected names of this list, found '{}'; change it\n{}",
                                                    word, jit_options_help(word == "help-all"))};
}

}  // namespace

Status parse_jit_options(std::string_view list, JitOptions& options) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    AV_TRY(set_one(list.substr(0, comma), options));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return {};
}

Status set_trap_level(std::string_view name, JitOptions& options) {
  constexpr std::pair<std::string_view, std::string_view> k_levels[] = {
#define TRAP_LEVEL(level, choices) {level, choices},
#include "engine/trap_levels.inc"
#undef TRAP_LEVEL
  };
  std::string names;
  for (const auto& [level, choices] : k_levels) {
    if (name == level) return parse_jit_options(choices, options);
    names += (names.empty() ? "" : ", ") + std::string(level);
  }
  return Error{ErrorKind::BadArguments,
               fmt::format("--traps: expected one of {}, found '{}'; give one of these", names, name)};
}

std::string jit_options_help(bool all) {
  std::string text;
  for (const Entry& e : k_entries)
    if (all || e.audience == Audience::User)
      text += fmt::format("{}{}  {}{}\n", e.normally ? "no-" : "", e.name, e.normally ? "without: " : "", e.help);
  for (const Number& n : k_numbers) text += fmt::format("{}=N  {}\n", n.name, n.help);
  if (!all) text += "(--jit help-all lists those that measure what each part of the compiler does)\n";
  return text;
}

}  // namespace armvisor::engine
