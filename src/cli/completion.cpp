#include "cli/completion.h"

#include <algorithm>
#include <sstream>

#include "cli/command_tables.h"
#include "engine/engine.h"
#include "vmm/control_path.h"

namespace armvisor::cli {
namespace {

using Paths = Completion::Paths;

/// What values are that the tables name only, as the tables would write them.
struct NamedValue {
  std::string_view name, value;
};
constexpr NamedValue k_named[] = {
    {"WHERE", "stdio|pty|file=FILE|pipe=PATH|unix:PATH|tcp:HOST:PORT|telnet:HOST:PORT|none"},
    {"KIND",
     "user|tap|tap=NAME|bridge|bridge=NAME|stream=tcp:HOST:PORT|stream=unix:PATH|dgram=udp:HOST:PORT|"
     "dgram=unix:PATH|switch=NAME"},
    {"SYSTEM", "FILE|tar:FILE|oci:FOLDER|oci-archive:FILE|docker-archive:FILE"},
};

const std::vector<std::string> k_io_choices = {
#define IO(member, name, normally, help) "no-" name,
#include "devices/io_options.inc"
#undef IO
};

bool is_placeholder(char c) { return (c >= 'A' && c <= 'Z') || c == '@'; }

/// Where in an alternative what is to be chosen by the user begins: 5 in "json:FILE"; its size if it is all given.
std::size_t literal_size(std::string_view alternative) {
  return static_cast<std::size_t>(std::ranges::find_if(alternative, is_placeholder) - alternative.begin());
}

Paths paths_of(std::string_view placeholder) {
  if (placeholder.starts_with("FOLDER")) return Paths::Folders;
  if (placeholder.starts_with("FILE") || placeholder.starts_with("PATH") || placeholder.ends_with(".json"))
    return Paths::Files;
  return Paths::None;
}

/// Names of a list of choices, "no-" included, a line each with the name first.
std::vector<std::string> names_of_lines(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream in(text);
  for (std::string line, name; std::getline(in, line);)
    if (std::istringstream(line) >> name && name.front() != '(') names.push_back(name.substr(0, name.find('N')));
  return names;
}

class Completer {
 public:
  explicit Completer(std::string last) : last_(std::move(last)) {}

  Completion take() && {
    std::ranges::sort(out_.candidates);
    return std::move(out_);
  }
  void add(std::string word, std::string_view help = {}) {
    if (word.starts_with(last_)) out_.candidates.push_back({std::move(word), help});
  }

  void add_commands() {
    for (const CommandRow& c : commands())
      if (c.name != "switch") add(std::string(c.name), c.help);  // machines start it, not people
  }
  void add_options(std::span<const OptionRow> rows) {
    for (const OptionRow& o : rows) {
      if (o.is_operand()) continue;
      if (!last_.starts_with("--")) add(std::string(o.short_name()), o.help);
      add(std::string(o.long_name()), o.help);
    }
  }

  /// What `value` of a table may be, behind `before` of the word ("--stats=").
  void add_values(std::string_view value, const std::string& before) {
    if (value == "MACHINE") return add_machines(before);
    for (const std::string_view one : alternatives(value)) {
      const auto named = std::ranges::find(k_named, one, &NamedValue::name);
      if (named != std::end(k_named))
        add_values(named->value, before);
      else
        add_value(one, before);
    }
    add_suffixes(value, before);
  }

  /// The next of names with commas between them.
  void add_list(const std::vector<std::string>& names, const std::string& before) {
    const std::size_t comma = last_.rfind(',');
    const std::string kept = comma == last_.npos || comma < before.size() ? before : last_.substr(0, comma + 1);
    for (const std::string& name : names) add(kept + name);
  }

 private:
  void add_value(std::string_view alternative, const std::string& before) {
    const std::size_t literal = literal_size(alternative);
    const std::string given = before + std::string(alternative.substr(0, literal));
    const std::string_view placeholder = alternative.substr(literal);
    if (literal && (placeholder.empty() || last_.size() < given.size())) add(given);
    if (placeholder.empty() || !last_.starts_with(given)) return;
    // Of two that fit, the one that says more: "tar:FILE" rather than "FILE".
    const Paths paths = paths_of(placeholder);
    if (paths == Paths::None || (out_.paths != Paths::None && out_.prefix.size() > given.size())) return;
    out_.paths = paths;
    out_.prefix = given;
  }

  /// "ro" and "format=" of "FILE[,ro][,format=FORMAT]", behind a comma that was typed.
  void add_suffixes(std::string_view value, const std::string& before) {
    const std::size_t comma = last_.rfind(',');
    if (comma == last_.npos || comma < before.size()) return;
    for (std::size_t at = value.find("[,"); at != value.npos; at = value.find("[,", at + 1)) {
      const std::string_view suffix = value.substr(at + 2, value.find(']', at) - at - 2);
      const std::string name(suffix.substr(0, suffix.find('=') + 1));  // empty: it has no value
      for (const std::string_view one : alternatives(suffix.substr(name.size())))
        add(last_.substr(0, comma + 1) + name + std::string(one.substr(0, literal_size(one))));
    }
  }

  void add_machines(const std::string& before) {
    const auto directory = vmm::open_control_directory();
    if (!directory) return;
    for (const std::string& name : vmm::running_machines(*directory)) add(before + name);
  }

  std::string last_;
  Completion out_;
};

const OptionRow* find_option(std::span<const OptionRow> rows, std::string_view name) {
  for (const OptionRow& o : rows)
    if (!o.is_operand() && (name == o.long_name() || (name == o.short_name() && !name.empty()))) return &o;
  return nullptr;
}

void complete_value(Completer& c, const OptionRow& option, const std::string& before) {
  if (option.long_name() == "--jit") return c.add_list(names_of_lines(engine::jit_options_help(false)), before);
  if (option.long_name() == "--io") return c.add_list(k_io_choices, before);
  c.add_values(option.value, before);
}

void complete_operand(Completer& c, std::string_view command, std::size_t before) {
  if (command == "help") return before == 0 ? c.add_commands() : void();
  for (const OptionRow& o : options_of(command))
    if (o.is_operand() && (before-- == 0 || o.repeats)) return c.add_values(o.names, "");
}

struct Place {
  const OptionRow* option = nullptr;  ///< whose value the last word is
  std::size_t operands = 0;           ///< before it
  bool behind_dashes = false;
};

Place place_of_last(std::span<const OptionRow> rows, const Arguments& words) {
  Place place;
  for (std::size_t n = 1; n + 1 < words.size(); ++n) {
    const OptionRow* const option = place.option ? nullptr : find_option(rows, words[n]);
    if (!place.option && words[n] == "--") place.behind_dashes = true;
    if (!place.option && !words[n].starts_with('-')) ++place.operands;
    place.option = option && option->takes_next_word() ? option : nullptr;
  }
  return place;
}

}  // namespace

Completion complete(const Arguments& words) {
  if (words.empty()) return {};
  const std::string& last = words.back();
  Completer c(last);
  if (words.size() == 1) {
    c.add_commands();
    return std::move(c).take();
  }
  const std::string& command = words.front();
  const std::span<const OptionRow> rows = options_of(command);
  const Place place = place_of_last(rows, words);
  const std::size_t equals = last.find('=');
  const bool assigned = last.starts_with("--") && equals != last.npos;
  if (place.behind_dashes) {
    c.add_values("FILE", "");
  } else if (place.option) {
    complete_value(c, *place.option, "");
  } else if (const OptionRow* const option = assigned ? find_option(rows, last.substr(0, equals)) : nullptr) {
    complete_value(c, *option, last.substr(0, equals + 1));
  } else if (last.starts_with('-')) {
    c.add_options(rows);
  } else {
    complete_operand(c, command, place.operands);
  }
  return std::move(c).take();
}

}  // namespace armvisor::cli
