#include "cli/command_tables.h"

#include "cli/exit_status.h"

namespace armvisor::cli {
namespace {

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
constexpr OptionRow k_cp_options[] = {
#define OPTION_TABLE "cli/cp_options.inc"
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
constexpr OptionRow k_doctor_options[] = {
#define OPTION_TABLE "cli/doctor_options.inc"
#include "cli/option_rows.inc"
#undef OPTION_TABLE
};
constexpr OptionRow k_completion_options[] = {
#define OPTION_TABLE "cli/completion_options.inc"
#include "cli/option_rows.inc"
#undef OPTION_TABLE
};
constexpr OptionRow k_help_options[] = {
    {"COMMAND", "", "the command to explain; without one, all that there is", false},
    {"--man", "", "as a manual page (roff): for reading, 'armvisor help exec --man | man -l -'", false},
};

constexpr CommandRow k_commands[] = {
#define COMMAND(function, name, arguments, help) {name, arguments, help},
#include "cli/commands.inc"
#undef COMMAND
};
constexpr StatusRow k_statuses[] = {
#define STATUS(name, value, meaning) {value, meaning},
#include "cli/exit_status.inc"
#undef STATUS
};
constexpr ExampleRow k_examples[] = {
#define EXAMPLE(command, line, meaning) {command, line, meaning},
#include "cli/examples.inc"
#undef EXAMPLE
};
constexpr StatusRow k_exec_statuses[] = {
#define EXEC_STATUS(name, value, word, meaning) {value, meaning},
#include "exec/outcomes.inc"
#undef EXEC_STATUS
};

constexpr int k_first_of_machines = static_cast<int>(ExitStatus::Reset);

}  // namespace

std::span<const CommandRow> commands() { return k_commands; }

const CommandRow* find_command(std::string_view name) {
  for (const CommandRow& c : k_commands)
    if (c.name == name) return &c;
  return nullptr;
}

std::span<const OptionRow> options_of(std::string_view command) {
  if (command == "run") return k_run_options;
  if (command == "exec" || command == "shell") return k_exec_options;
  if (command == "cp") return k_cp_options;
  if (command == "stat") return k_stat_options;
  if (command == "fetch") return k_fetch_options;
  if (command == "calibrate") return k_calibrate_options;
  if (command == "model") return k_model_options;
  if (command == "disasm") return k_disasm_options;
  if (command == "doctor") return k_doctor_options;
  if (command == "completion") return k_completion_options;
  if (command == "help") return k_help_options;
  return {};
}

std::vector<StatusRow> statuses_of(std::string_view command) {
  if (command == "exec" || command == "shell" || command == "cp")
    return {std::begin(k_exec_statuses), std::end(k_exec_statuses)};
  const bool machine = command.empty() || command == "run" || command == "qemu";
  std::vector<StatusRow> rows;
  for (const StatusRow& s : k_statuses)
    if (machine || s.value < k_first_of_machines) rows.push_back(s);
  return rows;
}

std::vector<ExampleRow> examples_of(std::string_view command) {
  std::vector<ExampleRow> rows;
  for (const ExampleRow& e : k_examples)
    if (e.command == command) rows.push_back(e);
  return rows;
}

std::vector<std::string_view> alternatives(std::string_view value) {
  if (value.starts_with("[=")) value = value.substr(2, value.size() - 3);
  value = value.substr(0, value.find('['));
  std::vector<std::string_view> all;
  while (!value.empty()) {
    const std::size_t end = value.find('|');
    all.push_back(value.substr(0, end));
    value.remove_prefix(end == value.npos ? value.size() : end + 1);
  }
  return all;
}

}  // namespace armvisor::cli
