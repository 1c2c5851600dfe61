#pragma once
// The machine protocol of QEMU (QMP): a greeting, capabilities, then commands and answers as JSON, and events.
// QEMU's docs/interop/qmp-spec.rst says what it is.
#include <atomic>
#include <nlohmann/json.hpp>

#include "monitor/json_stream.h"
#include "monitor/session.h"

namespace armvisor::monitor {

using Json = nlohmann::ordered_json;

/// As QEMU writes it: a space behind each colon and comma, or over several lines.
std::string json_text(const Json& value, bool pretty);

class QmpSession final : public Session {
 public:
  QmpSession(MachineControl& machine, bool pretty, Say say)
      : machine_(machine), pretty_(pretty), say_(std::move(say)) {}

  void opened() override;
  void closed() override;
  std::size_t take(std::string_view bytes) override;
  std::string event_text(const Event& event) override;

 private:
  void answer(const JsonStream::Item& item);
  void execute(const Json& command);
  void say(const Json& value);
  void say_error(const char* error_class, const std::string& text, const Json* id = nullptr);
  Status check(const Json& command) const;
  Result<Json> run(std::string_view name, const Json& arguments);

#define QMP(name, function, arguments_there_may_be, returns) Result<Json> function(const Json& arguments);
#define CONSTANT(name, answer, returns)
#define EVENT(name, data)
#define NOT_HERE(name, why)
#include "monitor/qmp_commands.inc"
#undef QMP
#undef CONSTANT
#undef EVENT
#undef NOT_HERE

  MachineControl& machine_;
  const bool pretty_;
  const Say say_;
  JsonStream stream_;
  std::atomic<bool> negotiated_{false};
};

}  // namespace armvisor::monitor
