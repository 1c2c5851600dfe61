#pragma once
// The host's end of a guest's console: a terminal, pipe or file pair.
//
// A thread reads the input and hands it to the guest's device; output goes by way of an outlet, so that a reader who is
// slow or gone keeps nobody inside write(2). A terminal is in raw mode while the console lives and the process is in
// the terminal's foreground, so that control characters reach the guest, and Ctrl-A is the escape: Ctrl-A x ends the
// machine, Ctrl-A b sends a break, Ctrl-A Ctrl-A sends one Ctrl-A, Ctrl-A h tells. In the background the terminal is
// left alone. ConsoleKeys change what is an escape.
#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/outlet.h"
#include "base/result.h"
#include "base/types.h"
#include "devices/backends/console_option.h"

namespace armvisor::devices {

class HostConsole {
 public:
  /// Takes input for the guest; returns how much of it there was room for.
  using Input = std::function<std::size_t(std::span<const u8>)>;

  /// Borrows `in_fd`; < 0: there is no input.
  static Result<std::unique_ptr<HostConsole>> create(int in_fd, Outlet::Target out, const ConsoleKeys& keys = {});
  /// Borrows both.
  static Result<std::unique_ptr<HostConsole>> create(int in_fd, int out_fd, const ConsoleKeys& keys = {}) {
    return create(in_fd, Outlet::Target{{}, out_fd, {}}, keys);
  }
  /// Ends the thread, restores the terminal, and says how much output nobody read.
  ~HostConsole();

  /// What keys behind the escape do, on the reading thread; what is empty does nothing.
  struct Actions {
    std::function<void()> quit;        ///< x
    std::function<void()> send_break;  ///< b
  };

  /// Starts reading.
  Status start(Input input, Actions actions);
  /// The guest takes input again after it took less than it was given. (any thread)
  void room();
  /// The process goes on after a stop, in the foreground or the background. (any thread)
  void continued();
  /// Writes all of it, however slow the reader is, until give_up(). (any thread)
  void write(std::span<const u8> bytes);
  void give_up();  ///< (any thread) from now on nobody waits for the reader
  void drain();    ///< waits until all is written; after give_up(), only as long as the reader goes on reading

 private:
  HostConsole(int in_fd, std::unique_ptr<Outlet> out, Fd wake, const ConsoleKeys& keys);
  void run();
  bool wait_for_input(bool open, bool nothing_waits);
  bool may_read();
  bool read_input(std::vector<u8>& typed);
  void filter(std::span<const u8> bytes, std::vector<u8>& out);
  void act(u8 key);
  void wake();
  void say_error(int error);

  const int in_fd_;
  const bool terminal_;
  const std::unique_ptr<Outlet> out_;
  Fd wake_;  ///< there is room, or the thread is to end
  const ConsoleKeys keys_;
  const bool escapes_;  ///< there is an escape
  Input input_;
  Actions actions_;
  bool escaped_ = false;
  bool background_ = false;  ///< of the terminal, when last seen
  std::atomic<bool> stopping_{false}, error_said_{false};
  std::thread thread_;
};

}  // namespace armvisor::devices
