#pragma once
// What a shell is told when the user presses the tabulator key: from the tables of commands and options.
#include <string>
#include <vector>

#include "cli/commands.h"

namespace armvisor::cli {

struct Candidate {
  std::string word;  ///< the whole word in the place of the last one
  std::string_view help{};
  auto operator<=>(const Candidate&) const = default;
};

struct Completion {
  enum class Paths { None, Files, Folders };
  std::vector<Candidate> candidates;
  Paths paths = Paths::None;  ///< the shell adds these itself
  std::string prefix;         ///< what stands before the path in the last word: "json:"
};

/// `words`: the command line behind the program's name; the last one is to be completed, and may be empty.
Completion complete(const Arguments& words);

}  // namespace armvisor::cli
