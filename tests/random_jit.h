#pragma once
// Choices of the compiling engine by chance: each changes speed and nothing else, so any set of them must do.
#include <random>
#include <string>
#include <string_view>

#include "base/types.h"

namespace armvisor::engine::test {

/// A list for parse_jit_options that the seed decides: each choice of jit_options.inc is kept, or made otherwise than
/// it normally is, the latter in one of four cases or in one of two.
inline std::string random_jit_list(u64 seed) {
  struct Choice {
    const char* name;
    bool normally;
  };
  static constexpr Choice k_choices[] = {
#define JIT(member, name, whom, normally, help) {name, normally},
#include "engine/jit_options.inc"
#undef JIT
  };
  std::mt19937_64 random(seed);
  const u64 one_in = random() % 2 ? 4 : 2;
  static constexpr const char* k_numbers[] = {"hot=1", "hot=2", "hot=50", "hot=2000"};
  std::string list = k_numbers[random() % 4];
  list += random() % 2 ? ",warm=0" : ",warm=2";
  for (const Choice& c : k_choices) {
    if (std::string_view(c.name) == "perf-map" || random() % one_in != 0) continue;  // that one writes a file
    list += std::string(c.normally ? ",no-" : ",") + c.name;
  }
  return list;
}

/// `list` itself, or what "random:SEED" stands for.
inline std::string expand_jit_list(std::string_view list) {
  constexpr std::string_view k_random = "random:";
  if (!list.starts_with(k_random)) return std::string(list);
  return random_jit_list(std::stoull(std::string(list.substr(k_random.size()))));
}

}  // namespace armvisor::engine::test
