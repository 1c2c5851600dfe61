// armvisor help: text for people, from the tables.
#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "cli/command_tables.h"
#include "cli/commands.h"
#include "cli/manual.h"

namespace armvisor::cli {
namespace {

std::string overview() {
  std::string text = "usage: armvisor COMMAND [ARGUMENT...]\n\nCommands:\n";
  for (const CommandRow& c : commands()) text += fmt::format("  {} {}\n        {}\n", c.name, c.arguments, c.help);
  return text +
         "\n'armvisor help run' explains a command and lists its options; 'armvisor doctor' looks at this host.\n";
}

std::string statuses(std::string_view command) {
  std::string text = "\nExit statuses:\n";
  for (const StatusRow& s : statuses_of(command)) text += fmt::format("  {:3}  {}\n", s.value, s.meaning);
  return text;
}

std::string command_help(const CommandRow& c) {
  std::string text = fmt::format("usage: armvisor {} {}\n\n{}\n", c.name, c.arguments, c.help);
  const std::span<const OptionRow> options = options_of(c.name);
  if (!options.empty()) text += "\nOptions:\n";
  for (const OptionRow& o : options) text += fmt::format("  {}\n        {}\n", option_title(o), option_help(o));
  const auto examples = examples_of(c.name);
  if (!examples.empty()) text += "\nExamples:\n";
  for (const ExampleRow& e : examples) text += fmt::format("  {}\n        {}\n", e.line, e.meaning);
  if (c.name == "exec") text += fmt::format("\n{}\n{}", k_exec_status, statuses(c.name));
  if (c.name == "run") text += fmt::format("\n{}\n{}", k_keys, statuses(c.name));
  return text;
}

Error bad(std::string message) { return {ErrorKind::BadArguments, "help: " + std::move(message)}; }

Result<std::string> explain(const Arguments& arguments) {
  const CommandRow* command = nullptr;
  bool manual = false;
  for (const std::string& word : arguments) {
    if (word == "--man") {
      manual = true;
    } else if (command) {
      return bad("expected one command, found '" + word + "' beside '" + std::string(command->name) +
                 "'; leave it out");
    } else if (!(command = find_command(word))) {
      return bad("expected a command, found '" + word + "'; 'armvisor help' lists them");
    }
  }
  if (manual) return command ? manual_page(*command) : manual_page();
  return command ? command_help(*command) : overview();
}

}  // namespace

std::string version_text() { return ARMVISOR_VERSION; }

ExitStatus help(const Arguments& arguments) {
  const auto text = explain(arguments);
  if (!text) return report(text.error());
  std::fputs(text->c_str(), stdout);
  return ExitStatus::PoweredOff;
}

}  // namespace armvisor::cli
