#pragma once
// One protocol spoken on a monitor's line: QMP, or commands for people.
//
// All is called with the monitor's input handler running or its line opening or closing, one at a time, but event().
#include <functional>
#include <string>
#include <string_view>

#include "monitor/control.h"

namespace armvisor::monitor {

/// What happened to the machine, as QMP tells it.
struct Event {
  std::string name;
  std::string data;  ///< JSON; empty: none
  u64 realtime_us = 0;
};

class Session {
 public:
  /// Where what it says goes.
  using Say = std::function<void(std::string_view)>;

  virtual ~Session() = default;
  virtual void opened() = 0;  ///< somebody is there
  virtual void closed() = 0;  ///< nobody is
  /// Takes bytes up to the end of the next command and answers it; returns how many.
  virtual std::size_t take(std::string_view bytes) = 0;
  virtual void focused(bool has) { (void)has; }                ///< of the users of a mux it gets input, or no longer
  virtual std::string event_text(const Event&) { return {}; }  ///< (any thread) empty: it is not told
};

}  // namespace armvisor::monitor
