#include "devices/backends/console_option.h"

namespace armvisor::devices {

Result<ConsoleOption> ConsoleOption::parse(const std::string& option, std::string_view text) {
  if (text == "stdio") return ConsoleOption{Kind::Stdio, {}};
  if (text == "pty") return ConsoleOption{Kind::Pty, {}};
  if (text == "none") return ConsoleOption{Kind::None, {}};
  if (text.starts_with("file=") && text.size() > 5)
    return ConsoleOption{Kind::File, std::string(text.substr(5)), option};
  return Error{ErrorKind::BadArguments, option + ": expected stdio, pty, file=FILE or none, found '" +
                                            std::string(text) + "'; give one of these"};
}

}  // namespace armvisor::devices
