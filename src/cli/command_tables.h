#pragma once
// The tables of commands, options and statuses as rows, for all that describes them: help, manual pages, completions.
#include <span>
#include <string_view>
#include <vector>

namespace armvisor::cli {

struct OptionRow {
  std::string_view names;  ///< "--kernel,-k"; of an operand what it is called
  std::string_view value;  ///< empty: a flag or an operand; "[=VALUE]": it may be left out
  std::string_view help;
  bool repeats = false;

  bool is_operand() const { return !names.starts_with('-'); }
  bool takes_next_word() const { return !value.empty() && !value.starts_with('['); }
  std::string_view long_name() const { return names.substr(0, names.find(',')); }
  /// empty: it has none
  std::string_view short_name() const {
    const std::size_t comma = names.find(',');
    return comma == names.npos ? std::string_view() : names.substr(comma + 1);
  }
};

struct CommandRow {
  std::string_view name, arguments, help;
};

struct ExampleRow {
  std::string_view command, line, meaning;
};

struct StatusRow {
  int value;
  std::string_view meaning;
};

std::span<const CommandRow> commands();
const CommandRow* find_command(std::string_view name);
/// The options and operands of a command; none for those that have no table.
std::span<const OptionRow> options_of(std::string_view command);
/// Those that a command may end with; "": all of the program's but exec's own.
std::vector<StatusRow> statuses_of(std::string_view command);
std::vector<ExampleRow> examples_of(std::string_view command);

/// "cortex-a15|cortex-a7" as its alternatives. What stands behind "[" can be left out and is none of them.
std::vector<std::string_view> alternatives(std::string_view value);

}  // namespace armvisor::cli
