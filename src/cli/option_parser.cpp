#include "cli/option_parser.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

namespace armvisor::cli {
namespace {

Error bad(std::string message) { return {ErrorKind::BadArguments, std::move(message)}; }

}  // namespace

void OptionBinder::text(const char* names, std::optional<std::string>& to, const char* value) {
  app_.add_option(names, to)->type_name(value);
}
void OptionBinder::list(const char* names, std::vector<std::string>& to, const char* value) {
  app_.add_option(names, to)->type_name(value)->allow_extra_args(false);
}
void OptionBinder::flag(const char* names, bool& to) { app_.add_flag(names, to, ""); }
void OptionBinder::form(const char* names, std::string& to) { app_.add_flag(names, to, ""); }
void OptionBinder::word(const char* name, std::string& to) { app_.add_option(name, to)->required(); }
void OptionBinder::words(const char* name, std::vector<std::string>& to) { app_.add_option(name, to)->required(); }

Status parse_options(std::string_view command, const Arguments& arguments, bool& help,
                     const std::function<void(OptionBinder&)>& bind) {
  CLI::App app;
  app.set_help_flag();
  app.add_flag("--help,-h", help, "");
  OptionBinder binder(app);
  bind(binder);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 takes them
    app.parse(reversed);
  } catch (const CLI::ParseError& e) {
    if (help) return {};
    return bad(fmt::format("{0}: expected options as 'armvisor help {0}' lists them, found: {1}; change them", command,
                           e.what()));
  }
  return {};
}

Result<u64> parse_number(const std::string& option, const std::string& text, u64 low, u64 high) {
  u64 value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high)
    return bad(fmt::format("{}: expected a number from {} to {}, found '{}'; change it", option, low, high, text));
  return value;
}

Result<u64> parse_size(const std::string& option, const std::string& text) {
  u64 value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit(end, text.data() + text.size());
  unsigned shift = 0;
  if (unit == "K" || unit == "k") shift = 10;
  if (unit == "M" || unit == "m") shift = 20;
  if (unit == "G" || unit == "g") shift = 30;
  if (error != std::errc() || (shift == 0 && !unit.empty()) || value > (~u64{0} >> shift))
    return bad(fmt::format("{}: expected a size such as 512M or 1G, found '{}'; change it", option, text));
  return value << shift;
}

}  // namespace armvisor::cli
