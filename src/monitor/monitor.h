#pragma once
// A monitor: a session on a character device.
//
// What it says waits in a memory of a bounded size for the line to take it; while there is much, no commands are taken,
// and events that find no room are lost. On a mux it says nothing while it has no focus.
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "devices/chardev/chardev.h"
#include "monitor/session.h"

namespace armvisor::monitor {

class Monitor {
 public:
  enum class Mode { Readline, Control, ControlPretty };
  static constexpr std::size_t k_enough = 64 * 1024;  ///< beyond which no command is taken
  static constexpr std::size_t k_most = 1024 * 1024;  ///< beyond which events are lost

  /// Both outlive it. Begins to listen.
  Monitor(devices::Chardev& line, Mode mode, MachineControl& machine);
  /// Likewise, with another session, which is made with where its words go.
  Monitor(devices::Chardev& line, const std::function<std::unique_ptr<Session>(Session::Say)>& make);
  ~Monitor();
  Monitor(const Monitor&) = delete;

  /// (any thread)
  void event(const Event& event);
  /// (any thread) What was said before the machine ends is handed on, as far as the line takes it.
  void flush();

 private:
  std::size_t input(std::span<const u8> bytes);
  void opened(bool open);
  void say(std::string_view text);
  bool flush_locked();

  devices::Chardev& line_;
  std::unique_ptr<Session> session_;
  std::mutex mutex_;  // guards what follows
  std::string out_;
  bool focused_ = true;
  bool refused_ = false;  ///< commands were not taken, since there was much to say
};

}  // namespace armvisor::monitor
