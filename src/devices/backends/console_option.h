#pragma once
// Where a console of the guest goes on the host: what --console and --virtio-console say.
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"

namespace armvisor::devices {

/// What of a console's input is for the program and not for the guest.
struct ConsoleKeys {
  enum class When { Terminal, Always, Never };
  When when = When::Terminal;  ///< the escape is seen on a terminal only, on pipes and files too, or nowhere
  u8 escape = 0x01;            ///< Ctrl-A; what follows it says what it means
  bool signals = false;        ///< Ctrl-C and the like, typed on a terminal, end or stop the program
};

struct ConsoleOption {
  enum class Kind { Stdio, Pty, File, None };
  Kind kind = Kind::Stdio;
  std::string path;                  ///< of File
  std::string option = "--console";  ///< for messages
  ConsoleKeys keys{};
  /// `option` is for messages.
  static Result<ConsoleOption> parse(const std::string& option, std::string_view text);
};

}  // namespace armvisor::devices
