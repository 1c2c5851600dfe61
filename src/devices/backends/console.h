#pragma once
// The host's end of a guest's console: a terminal, pipe or file pair.
//
// A thread reads the input and hands it to the guest's device; output is written by the caller's thread. A terminal is
// in raw mode while the console lives, so that control characters reach the guest, and Ctrl-A is the escape: Ctrl-A x
// ends the machine, Ctrl-A Ctrl-A sends one Ctrl-A, Ctrl-A h tells.
#include <termios.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor::devices {

class HostConsole {
 public:
  /// Takes input for the guest; returns how much of it there was room for.
  using Input = std::function<std::size_t(std::span<const u8>)>;

  /// Borrows the descriptors. `in_fd` < 0: there is no input.
  static Result<std::unique_ptr<HostConsole>> create(int in_fd, int out_fd);
  /// Ends the thread and restores the terminal.
  ~HostConsole();

  /// Starts reading. `quit` is called, on the reading thread, for the escape Ctrl-A x.
  Status start(Input input, std::function<void()> quit);
  /// The guest takes input again after it took less than it was given. (any thread)
  void room();
  /// Writes all of it, however slow the reader is; gives up, once and for all, when nobody reads. (any thread)
  void write(std::span<const u8> bytes);

 private:
  HostConsole(int in_fd, int out_fd, Fd wake) : in_fd_(in_fd), out_fd_(out_fd), wake_(std::move(wake)) {}
  void set_raw();
  void run();
  bool wait_for_input();
  void filter(std::span<const u8> bytes, std::vector<u8>& out);
  void deliver(std::span<const u8> bytes);

  const int in_fd_;
  const int out_fd_;
  Fd wake_;  ///< ends the thread
  std::optional<termios> saved_;
  Input input_;
  std::function<void()> quit_;
  bool escaped_ = false;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  // guards has_room_
  std::condition_variable room_;
  bool has_room_ = true;
  std::mutex write_mutex_;
  bool output_gone_ = false;
  std::thread thread_;
};

}  // namespace armvisor::devices
