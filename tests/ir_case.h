#pragma once
// IR test files: tests/ir/*.ir. A file holds cases, each run by every engine:
//
//   test NAME
//   set r0=1 flags=0xc [0x40020000]=5      state before; flags are N8 Z4 C2 V1, [address] a word of memory
//   block pc=0x40008000 ...                the block, as ir::parse reads it; the lines up to 'expect'
//     ...
//   expect r0=2 pc=0x40008008              what must hold after the block; what is not named must not be checked
//
// Names: r0..r14, pc, flags, q, ge, cpsr, fpscr, d0..d31, mode, [address]. ';' starts a comment.
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "ir/ir.h"

namespace armvisor::engine::test {

struct Assignment {
  std::string name;
  u64 value = 0;
};

struct IrCase {
  std::string name;
  std::string text;  ///< of the block
  std::vector<Assignment> before, after;
};

inline std::vector<Assignment> parse_assignments(std::istringstream& words) {
  std::vector<Assignment> out;
  for (std::string word; words >> word && word[0] != ';';) {
    const auto eq = word.rfind('=');
    out.push_back({word.substr(0, eq), std::stoull(word.substr(eq + 1), nullptr, 0)});
  }
  return out;
}

inline std::vector<IrCase> read_ir_cases(const std::string& path) {
  std::vector<IrCase> cases;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string first;
    if (!(words >> first) || first[0] == ';') continue;
    if (first == "test") {
      cases.emplace_back();
      words >> cases.back().name;
    } else if (first == "set" || first == "expect") {
      auto& list = first == "set" ? cases.back().before : cases.back().after;
      for (auto& a : parse_assignments(words)) list.push_back(a);
    } else {
      cases.back().text += line + "\n";
    }
  }
  return cases;
}

}  // namespace armvisor::engine::test
