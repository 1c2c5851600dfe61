#include "cli/manual.h"

#include <fmt/format.h>

#include <cctype>

#include "cli/commands.h"
#include "qemu/explain.h"

namespace armvisor::cli {
namespace {

struct NamedRow {
  std::string_view name, meaning;
};
constexpr NamedRow k_variables[] = {
    {"ARMVISOR_HIDE", "features of the host, as 'armvisor version' names them, that are not made use of"},
    {"ARMVISOR_QEMU_FALLBACK", "program that runs command lines of qemu-system-arm that 'armvisor qemu' refuses"},
    {"ARMVISOR_VIRTIOFSD", "the program virtiofsd, for shares with fs=virtiofs; default: that of Debian's packages"},
    {"XDG_CACHE_HOME", "where the folder armvisor is that holds what can be made again; default: ~/.cache"},
    {"XDG_RUNTIME_DIR", "where the folder armvisor is that holds sockets of machines; default: /tmp/armvisor-UID"},
    {"TMPDIR", "where temporary files are; default: /var/tmp"},
};

/// Up to its first stop, which is what lists of manual pages show.
std::string_view in_short(std::string_view help) {
  help = help.substr(0, help.find_first_of(":;("));
  return help.substr(0, help.find_last_not_of(' ') + 1);
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

/// Text for roff: hyphens that are meant as such, long values that may be broken at '|' and "[,", and nothing that
/// reads as a request.
std::string roff(std::string_view text) {
  constexpr std::string_view k_may_break = "\\:";
  std::string out;
  for (std::size_t n = 0; n < text.size(); ++n) {
    const char c = text[n];
    if (text.substr(n).starts_with("[,")) out += k_may_break;
    if (c == '-' || c == '\\') out += '\\';
    out += c == '\\' ? 'e' : c;
    if (c == '|') out += k_may_break;
  }
  if (!out.empty() && (out[0] == '.' || out[0] == '\'')) out.insert(0, "\\&");
  return out;
}

std::string title(std::string_view page) {
  return fmt::format(".TH {} 1 \"\" \"armvisor {}\" \"User Commands\"\n.nh\n.ad l\n", roff(upper(page)),
                     version_text());
}

std::string paragraph(std::string_view tag, std::string_view text) {
  return fmt::format(".TP\n.B {}\n{}\n", roff(tag), roff(text));
}

/// Lines as they are.
std::string lines(std::string_view text) {
  std::string out = ".nf\n";
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out += roff(text.substr(0, end)) + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out + ".fi\n";
}

std::string synopsis(const CommandRow& c) {
  return fmt::format(".B armvisor {}\n{}", roff(c.name), c.arguments.empty() ? "" : roff(c.arguments) + "\n");
}

std::string options(std::string_view command) {
  if (command == "qemu") return ".SH OPTIONS\n" + lines(qemu::help_text(""));
  const std::span<const OptionRow> rows = options_of(command);
  std::string text = rows.empty() ? "" : ".SH OPTIONS\n";
  for (const OptionRow& o : rows) text += paragraph(option_title(o), option_help(o));
  return text;
}

std::string exit_status(std::string_view command) {
  std::string text = ".SH EXIT STATUS\n";
  if (command == "exec") text += roff(k_exec_status) + "\n";
  for (const StatusRow& s : statuses_of(command)) text += paragraph(std::to_string(s.value), s.meaning);
  return text;
}

std::string examples(std::string_view command) {
  std::string text;
  for (const ExampleRow& e : examples_of(command)) text += paragraph(e.line, e.meaning);
  return text;
}

std::string see_also(std::string_view command) {
  std::string text = ".SH SEE ALSO\n";
  if (!command.empty()) text += ".BR armvisor (1),\n";
  for (const CommandRow& c : commands())
    if (c.name != command) text += fmt::format(".BR armvisor\\-{} (1),\n", roff(c.name));
  text.resize(text.size() - 2);
  return text + "\n";
}

std::string environment() {
  std::string text = ".SH ENVIRONMENT\n";
  for (const NamedRow& v : k_variables) text += paragraph(v.name, v.meaning);
  return text;
}

}  // namespace

std::string option_title(const OptionRow& o) {
  std::string names(o.long_name());
  if (!o.short_name().empty()) names = fmt::format("{}, {}", o.short_name(), names);
  return fmt::format("{}{}{}", names, o.takes_next_word() ? " " : "", o.value);
}

std::string option_help(const OptionRow& o) { return std::string(o.help) + (o.repeats ? "; may be repeated" : ""); }

std::string manual_page() {
  std::string text = title("armvisor");
  text += ".SH NAME\narmvisor \\- run 32\\-bit ARM systems as virtual machines\n.SH SYNOPSIS\n";
  text += ".B armvisor\n.I COMMAND\n[ARGUMENT...]\n";
  text +=
      ".SH DESCRIPTION\narmvisor runs unmodified 32\\-bit ARMv7\\-A systems (kernels, firmware) as virtual machines "
      "in an ordinary process, without privileges. The machine has the memory map of QEMU's virt board.\n";
  text += ".SH COMMANDS\nEach has a manual page of its own, for example\n.BR armvisor\\-run (1).\n";
  for (const CommandRow& c : commands()) text += paragraph(c.name, c.help);
  text += exit_status("") + environment() + ".SH EXAMPLES\n";
  for (const CommandRow& c : commands()) text += examples(c.name);
  return text + see_also("");
}

std::string manual_page(const CommandRow& c) {
  const std::string page = "armvisor-" + std::string(c.name);
  std::string text = title(page);
  text += fmt::format(".SH NAME\n{} \\- {}\n.SH SYNOPSIS\n{}", roff(page), roff(in_short(c.help)), synopsis(c));
  text += ".SH DESCRIPTION\n" + upper(c.help.substr(0, 1)) + roff(c.help.substr(1)) + ".\n" + options(c.name);
  if (c.name == "run") text += ".SH KEYS\n" + roff(k_keys) + "\n";
  text += exit_status(c.name);
  if (const std::string shown = examples(c.name); !shown.empty()) text += ".SH EXAMPLES\n" + shown;
  return text + see_also(c.name);
}

}  // namespace armvisor::cli
