#pragma once
// A console of the guest at its place on the host.
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/output_file.h"
#include "base/result.h"
#include "devices/backends/console.h"
#include "devices/backends/console_option.h"

namespace armvisor::vmm {

struct TerminalSize {
  u16 columns = 0, rows = 0;
};

class Console {
 public:
  /// Checks that output can go there and leaves all as it is. `inputs`: files that the machine reads.
  static Result<std::unique_ptr<Console>> open(const devices::ConsoleOption& option,
                                               const std::vector<std::string>& inputs);

  /// Empties the file and begins to read. `input` takes what it has room for.
  Status start(devices::HostConsole::Input input, devices::HostConsole::Actions actions);
  void stop();                               ///< no callback runs after it returns
  void room();                               ///< (any thread, once started) the guest takes input again
  void write(std::span<const u8> bytes);     ///< (any thread, once started) waits for the reader
  void give_up();                            ///< (any thread) from now on nobody waits for the reader
  void drain();                              ///< waits for the reader to have it all
  void continued();                          ///< (any thread) the process goes on after a stop
  std::optional<TerminalSize> size() const;  ///< where it is standard output and that is a terminal

 private:
  explicit Console(const devices::ConsoleOption& option) : kind_(option.kind), keys_(option.keys) {}
  Status open_pty();
  Result<std::unique_ptr<devices::HostConsole>> make_host();

  const devices::ConsoleOption::Kind kind_;
  const devices::ConsoleKeys keys_;
  Fd master_, slave_;
  std::optional<OutputFile> file_;
  std::mutex mutex_;  ///< guards the change of host_ and given_up_
  std::unique_ptr<devices::HostConsole> host_;
  bool given_up_ = false;
};

}  // namespace armvisor::vmm
