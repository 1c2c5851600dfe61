// armvisor help: text for people, and the manual page, both from the tables.
#include <fmt/format.h>

#include <cctype>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"

namespace armvisor::cli {
namespace {

struct OptionRow {
  std::string_view names, value, help;
  bool repeats;
};
constexpr OptionRow k_run_options[] = {
#define OPTION_TABLE "cli/options.inc"
#include "cli/option_rows.inc"
#undef OPTION_TABLE
};
constexpr OptionRow k_stat_options[] = {
#define OPTION_TABLE "cli/stat_options.inc"
#include "cli/option_rows.inc"
#undef OPTION_TABLE
};
constexpr OptionRow k_exec_options[] = {
#define OPTION_TABLE "cli/exec_options.inc"
#include "cli/option_rows.inc"
#undef OPTION_TABLE
};
constexpr OptionRow k_fetch_options[] = {
#define OPTION_TABLE "cli/fetch_options.inc"
#include "cli/option_rows.inc"
#undef OPTION_TABLE
};
constexpr OptionRow k_calibrate_options[] = {
#define OPTION_TABLE "cli/calibrate_options.inc"
#include "cli/option_rows.inc"
#undef OPTION_TABLE
};
constexpr OptionRow k_model_options[] = {
#define OPTION_TABLE "cli/model_options.inc"
#include "cli/option_rows.inc"
#undef OPTION_TABLE
};
constexpr OptionRow k_disasm_options[] = {
#define OPTION_TABLE "cli/disasm_options.inc"
#include "cli/option_rows.inc"
#undef OPTION_TABLE
};

std::span<const OptionRow> options_of(std::string_view command) {
  if (command == "run") return k_run_options;
  if (command == "exec") return k_exec_options;
  if (command == "stat") return k_stat_options;
  if (command == "fetch") return k_fetch_options;
  if (command == "calibrate") return k_calibrate_options;
  if (command == "model") return k_model_options;
  if (command == "disasm") return k_disasm_options;
  return {};
}

struct CommandRow {
  std::string_view name, arguments, help;
};
constexpr CommandRow k_commands[] = {
#define COMMAND(function, name, arguments, help) {name, arguments, help},
#include "cli/commands.inc"
#undef COMMAND
};

struct StatusRow {
  int value;
  std::string_view meaning;
};
constexpr StatusRow k_statuses[] = {
#define STATUS(name, value, meaning) {value, meaning},
#include "cli/exit_status.inc"
#undef STATUS
};

constexpr StatusRow k_exec_statuses[] = {
#define EXEC_STATUS(name, value, word, meaning) {value, meaning},
#include "exec/outcomes.inc"
#undef EXEC_STATUS
};
constexpr std::string_view k_exec_status =
    "The status of armvisor exec is the command's, or 128 + N if signal N ended it. A command may end with one of the "
    "following, too.";

constexpr std::string_view k_keys =
    "On a terminal, Ctrl-A x ends the machine, Ctrl-A b sends a break, Ctrl-A Ctrl-A sends one Ctrl-A to the guest, "
    "and Ctrl-A h shows this.";

/// "--kernel,-k" as "-k, --kernel".
std::string names_for_people(std::string_view names) {
  const std::size_t comma = names.find(',');
  if (comma == std::string_view::npos) return std::string(names);
  return std::string(names.substr(comma + 1)) + ", " + std::string(names.substr(0, comma));
}

std::string option_title(const OptionRow& o) {
  const bool apart = !o.value.empty() && !o.value.starts_with("[=");
  return names_for_people(o.names) + (apart ? " " : "") + std::string(o.value);
}

std::string option_help(const OptionRow& o) { return std::string(o.help) + (o.repeats ? "; may be repeated" : ""); }

std::string overview() {
  std::string text = "usage: armvisor COMMAND [ARGUMENT...]\n\nCommands:\n";
  for (const CommandRow& c : k_commands) {
    std::string line = "  " + std::string(c.name) + " " + std::string(c.arguments);
    text += line + "\n        " + std::string(c.help) + "\n";
  }
  return text + "\n'armvisor help run' lists the options of a machine.\n";
}

std::string command_help(const CommandRow& c) {
  std::string text =
      "usage: armvisor " + std::string(c.name) + " " + std::string(c.arguments) + "\n\n" + std::string(c.help) + "\n";
  const std::span<const OptionRow> options = options_of(c.name);
  if (!options.empty()) text += "\nOptions:\n";
  for (const OptionRow& o : options) text += "  " + option_title(o) + "\n        " + option_help(o) + "\n";
  const auto list = [&text](std::span<const StatusRow> rows) {
    text += "\nExit statuses:\n";
    for (const StatusRow& s : rows) text += fmt::format("  {:3}  {}\n", s.value, s.meaning);
  };
  if (c.name == "exec") {
    text += "\n" + std::string(k_exec_status) + "\n";
    list(k_exec_statuses);
  }
  if (c.name == "run") {
    text += "\n" + std::string(k_keys) + "\n";
    list(k_statuses);
  }
  return text;
}

/// Text for roff: hyphens that are meant as such, and nothing that reads as a request.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '-' || c == '\\') out += '\\';
    out += c;
  }
  if (!out.empty() && (out[0] == '.' || out[0] == '\'')) out.insert(0, "\\&");
  return out;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(c));
  return out;
}

std::string manual_page() {
  std::string text = ".TH ARMVISOR 1 \"\" \"armvisor " + version_text() + "\" \"User Commands\"\n";
  text += ".SH NAME\narmvisor \\- run 32\\-bit ARM systems as virtual machines\n.SH SYNOPSIS\n";
  for (const CommandRow& c : k_commands) {
    if (&c != k_commands) text += ".br\n";
    text += ".B armvisor " + std::string(c.name) + "\n";
    if (!c.arguments.empty()) text += roff(c.arguments) + "\n";
  }
  text +=
      ".SH DESCRIPTION\narmvisor runs unmodified 32\\-bit ARMv7\\-A systems (kernels, firmware) as virtual machines "
      "in an ordinary process, without privileges. The machine has the memory map of QEMU's virt board.\n";
  text += ".SH COMMANDS\n";
  for (const CommandRow& c : k_commands)
    text += ".TP\n.B " + std::string(c.name) + " " + roff(c.arguments) + "\n" + roff(c.help) + "\n";
  for (const CommandRow& c : k_commands) {
    const std::span<const OptionRow> options = options_of(c.name);
    if (!options.empty()) text += ".SH OPTIONS OF " + upper(c.name) + "\n";
    for (const OptionRow& o : options) text += ".TP\n.B " + roff(option_title(o)) + "\n" + roff(option_help(o)) + "\n";
  }
  text += ".SH KEYS\n" + roff(k_keys) + "\n.SH EXIT STATUS\n";
  for (const StatusRow& s : k_statuses) text += ".TP\n.B " + std::to_string(s.value) + "\n" + roff(s.meaning) + "\n";
  text += ".SH EXIT STATUS OF EXEC\n" + roff(k_exec_status) + "\n";
  for (const StatusRow& s : k_exec_statuses)
    text += ".TP\n.B " + std::to_string(s.value) + "\n" + roff(s.meaning) + "\n";
  text +=
      ".SH EXAMPLES\n.nf\narmvisor run \\-k zImage \\-i initrd.img \\-a console=ttyAMA0 \\-d disk.img \\-n user\n"
      "armvisor run \\-\\-firmware u\\-boot.bin\narmvisor exec ./debian\\-armhf \\-\\- uname \\-m\narmvisor disasm "
      "e3a00001 e12fff1e\n.fi\n";
  return text;
}

}  // namespace

std::string version_text() { return ARMVISOR_VERSION; }

ExitStatus help(const Arguments& arguments) {
  std::string text;
  if (arguments.empty()) {
    text = overview();
  } else if (arguments.front() == "--man") {
    text = manual_page();
  } else {
    for (const CommandRow& c : k_commands)
      if (c.name == arguments.front()) text = command_help(c);
    if (text.empty())
      return report({ErrorKind::BadArguments,
                     "help: expected a command, found '" + arguments.front() + "'; 'armvisor help' lists them"});
  }
  std::fputs(text.c_str(), stdout);
  return ExitStatus::PoweredOff;
}

}  // namespace armvisor::cli
