#include "exec/outcome.h"

#include <nlohmann/json.hpp>

namespace armvisor::exec {
namespace {
constexpr u32 k_signal_base = 128;  // as shells have it
}

int Outcome::status() const {
  switch (ending) {
    case Ending::Exited: return static_cast<int>(value);
    case Ending::Signalled:
    case Ending::Interrupted: return static_cast<int>(k_signal_base + value);
#define EXEC_STATUS(name, status, word, meaning) \
  case Ending::name:                             \
    return status;
#include "exec/outcomes.inc"
#undef EXEC_STATUS
  }
  return 1;
}

std::string_view Outcome::word() const {
  switch (ending) {
    case Ending::Exited: return "exited";
    case Ending::Signalled: return "signalled";
    case Ending::Interrupted: return "interrupted";
#define EXEC_STATUS(name, status, word, meaning) \
  case Ending::name:                             \
    return word;
#include "exec/outcomes.inc"
#undef EXEC_STATUS
  }
  return "";
}

std::string Outcome::report() const {
  nlohmann::ordered_json j;
  j["outcome"] = word();
  j["status"] = status();
  if (ending == Ending::Exited) j["exit_status"] = value;
  if (ending == Ending::Signalled || ending == Ending::Interrupted) j["signal"] = value;
  if (killed) j["killed_for_memory"] = killed;
  if (!message.empty()) j["message"] = message;
  if (start_ms) j["start_ms"] = *start_ms;
  if (run_ms) j["run_ms"] = *run_ms;
  if (!console.empty()) j["console"] = console;
  return j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace armvisor::exec
