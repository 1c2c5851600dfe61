#pragma once
// Options of a subcommand, from its table to a struct. A table is a file of lines as options.inc has them; the struct's
// members come from it by option_members.inc, and how they are parsed by option_bindings.inc. CLI11 parses; only
// option_parser.cpp includes it, since each source that does takes seconds to compile.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "cli/commands.h"

namespace CLI {
class App;
}

namespace armvisor::cli {

/// Tells the parser where what is given goes, for each kind of line of a table. `value` is for messages.
class OptionBinder {
 public:
  explicit OptionBinder(CLI::App& app) : app_(app) {}
  void text(const char* names, std::optional<std::string>& to, const char* value);
  void list(const char* names, std::vector<std::string>& to, const char* value);
  void flag(const char* names, bool& to);
  void form(const char* names, std::string& to);
  void word(const char* name, std::string& to);
  void words(const char* name, std::vector<std::string>& to);

 private:
  CLI::App& app_;
};

/// Parses `arguments` of `command`. `bind` tells the parser of the members that options set; `help` becomes true by
/// --help, which makes every other fault forgiven.
Status parse_options(std::string_view command, const Arguments& arguments, bool& help,
                     const std::function<void(OptionBinder&)>& bind);

/// A number in decimal from `low` to `high`. `option` is for messages.
Result<u64> parse_number(const std::string& option, const std::string& text, u64 low, u64 high);
/// 512M, 1G, 1048576K, or a number of bytes.
Result<u64> parse_size(const std::string& option, const std::string& text);

}  // namespace armvisor::cli
