#pragma once
// Where a console of the guest goes: the options --console (its first UART) and --virtio-console.
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "devices/backends/console.h"

namespace armvisor::vmm {

struct ConsoleOption {
  enum class Kind { Stdio, Pty, File, None };
  Kind kind = Kind::Stdio;
  std::string path;  ///< of File
  /// `option` is for messages.
  static Result<ConsoleOption> parse(const std::string& option, std::string_view text);
};

struct TerminalSize {
  u16 columns = 0, rows = 0;
};

class Console {
 public:
  static Result<std::unique_ptr<Console>> open(const ConsoleOption& option);

  /// Begins to read. `input` takes what it has room for; `quit` is the user's wish to end the machine (Ctrl-A x).
  Status start(devices::HostConsole::Input input, std::function<void()> quit);
  void stop();                               ///< no callback runs after it returns
  void room();                               ///< (any thread) the guest takes input again
  void write(std::span<const u8> bytes);     ///< (any thread)
  std::optional<TerminalSize> size() const;  ///< where it is standard output and that is a terminal

 private:
  Console() = default;
  Status open_pty();
  Status open_file(const std::string& path);

  bool stdio_ = false;
  Fd master_, slave_, file_;
  std::unique_ptr<devices::HostConsole> host_;
};

}  // namespace armvisor::vmm
