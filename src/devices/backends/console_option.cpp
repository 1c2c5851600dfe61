#include "devices/backends/console_option.h"

namespace armvisor::devices {

Result<ConsoleOption> ConsoleOption::parse(const std::string& option, std::string_view text) {
  ConsoleOption o;
  o.option = option;
  for (const auto& [word, kind] : {std::pair{"stdio", Kind::Stdio}, {"pty", Kind::Pty}, {"none", Kind::None}})
    if (text == word) {
      o.kind = kind;
      return o;
    }
  if (text.starts_with("file=") && text.size() > 5) {
    o.kind = Kind::File;
    o.path = text.substr(5);
    return o;
  }
  return Error{ErrorKind::BadArguments, option + ": expected stdio, pty, file=FILE or none, found '" +
                                            std::string(text) + "'; give one of these"};
}

}  // namespace armvisor::devices
