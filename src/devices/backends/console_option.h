#pragma once
// Where a console of the guest goes on the host: what --console and --virtio-console say.
#include <string>
#include <string_view>

#include "base/result.h"

namespace armvisor::devices {

struct ConsoleOption {
  enum class Kind { Stdio, Pty, File, None };
  Kind kind = Kind::Stdio;
  std::string path;                  ///< of File
  std::string option = "--console";  ///< for messages
  /// `option` is for messages.
  static Result<ConsoleOption> parse(const std::string& option, std::string_view text);
};

}  // namespace armvisor::devices
