// The options of the compiling engine by name.
#include <charconv>
#include <utility>

#include "engine/engine.h"

namespace armvisor::engine {
namespace {

struct Entry {
  const char* name;
  bool JitOptions::*member;
  bool normally;
  const char* help;
};

constexpr Entry k_entries[] = {
#define JIT(member, name, normally, help) {name, &JitOptions::member, normally, help},
#include "engine/jit_options.inc"
#undef JIT
};
constexpr std::string_view k_code = "code=", k_hot = "hot=", k_warm = "warm=", k_no = "no-";
constexpr u64 k_min_mib = 2, k_max_mib = 1024;  // jumps within the cache are 32 bits
constexpr u64 k_most_runs = 1'000'000;

Status set_number(std::string_view name, std::string_view digits, u64 least, u64 most, u64& out) {
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), out);
  if (error == std::errc() && end == digits.end() && out >= least && out <= most) return {};
  return Error{ErrorKind::BadArguments, "--jit " + std::string(name) + ": expected a number from " +
                                            std::to_string(least) + " to " + std::to_string(most) + ", found '" +
                                            std::string(digits) + "'; change it"};
}

Status set_one(std::string_view word, JitOptions& options) {
  u64 number = 0;
  if (word.starts_with(k_code)) {
    AV_TRY(set_number("code", word.substr(k_code.size()), k_min_mib, k_max_mib, number));
    options.code_bytes = number << 20;
    return {};
  }
  if (word.starts_with(k_hot)) {
    AV_TRY(set_number("hot", word.substr(k_hot.size()), 1, k_most_runs, number));
    options.hot = static_cast<u32>(number);
    return {};
  }
  if (word.starts_with(k_warm)) {
    AV_TRY(set_number("warm", word.substr(k_warm.size()), 0, k_most_runs, number));
    options.warm = static_cast<u32>(number);
    return {};
  }
  const bool on = !word.starts_with(k_no);
  const std::string_view name = on ? word : word.substr(k_no.size());
  for (const Entry& e : k_entries) {
    if (name != e.name) continue;
    options.*e.member = on;
    return {};
  }
  return Error{ErrorKind::BadArguments, "--jit: expected names of this list, found '" + std::string(word) +
                                            "'; change it\n" + jit_options_help()};
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
               "--traps: expected one of " + names + ", found '" + std::string(name) + "'; give one of these"};
}

std::string jit_options_help() {
  std::string text;
  for (const Entry& e : k_entries)
    text += std::string(e.normally ? "no-" : "") + e.name + "  " + (e.normally ? "without: " : "") + e.help + "\n";
  return text + "code=N  at most N MiB of generated code\nhot=N  loops that ran N times are compiled as a whole\n"
                "warm=N  blocks are interpreted N times before they are compiled\n";
}

}  // namespace armvisor::engine
