#pragma once
// How a command in a guest ended, the exit status for it, and the report of it.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace armvisor::exec {

enum class Ending : u8 {
  Exited,       ///< by itself: value is its status
  Signalled,    ///< by a signal: value is its number
  Interrupted,  ///< the user ended the machine by a signal: value is its number
#define EXEC_STATUS(name, status, word, meaning) name,
#include "exec/outcomes.inc"
#undef EXEC_STATUS
};

struct Outcome {
  Ending ending = Ending::AgentLost;
  u32 value = 0;
  std::string message{};               ///< for people; empty: there is nothing to say
  std::vector<std::string> console{};  ///< the guest's last lines, where they say why
  u32 killed = 0;                      ///< processes that the guest's kernel killed because memory was short
  std::optional<u64> start_ms{};       ///< until the command was executed; nothing: it was not
  std::optional<u64> run_ms{};         ///< from then until its end was known; nothing: it was not

  /// 0 only for a command that ended with 0.
  int status() const;
  /// As the report has it: "exited", "guest-panic".
  std::string_view word() const;
  /// A JSON object and a newline.
  std::string report() const;
};

}  // namespace armvisor::exec
