#pragma once
// The monitor's commands for people (QEMU's HMP): those that scripts send, with QEMU's words.
#include <string>
#include <vector>

#include "monitor/session.h"

namespace armvisor::monitor {

const char* name(RunState state);

/// Runs one command, about that CPU if it is about one; what it says, with '\n' at the end of each line.
std::string run_human_command(MachineControl& machine, const std::string& line, u32 cpu = 0);

/// A line that is typed, edited and shown as QEMU's monitor does it.
class LineEditor {
 public:
  static constexpr std::size_t k_max_line = 4095;

  /// Takes a key; appends what is to be shown. True: the line is complete.
  bool key(char c, std::string& shown);
  /// The line that is complete, which the next keys no longer belong to.
  std::string take();
  void reset();

 private:
  void escape(char c);
  void recall(std::ptrdiff_t step);
  void insert(char c);
  void erase_before();
  void show(std::string& shown);

  enum class State : char { Plain, Escape, Sequence };
  State state_ = State::Plain;
  std::string number_;  ///< of an escape sequence
  std::string line_, shown_;
  std::size_t cursor_ = 0, shown_cursor_ = 0;
  std::vector<std::string> history_;
  std::size_t recalled_ = 0;  ///< its place in the history; the size: none
};

class HmpSession final : public Session {
 public:
  HmpSession(MachineControl& machine, Say say) : machine_(machine), say_(std::move(say)) {}

  void opened() override;
  void closed() override { open_ = false; }
  std::size_t take(std::string_view bytes) override;
  void focused(bool has) override;

 private:
  void say(std::string_view text);
  void prompt() { say("(qemu) "); }

  MachineControl& machine_;
  const Say say_;
  LineEditor editor_;
  bool open_ = false, has_focus_ = true;
};

}  // namespace armvisor::monitor
