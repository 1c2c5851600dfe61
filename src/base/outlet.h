#pragma once
// Output to a descriptor whose reader may be slow, stopped or gone.
//
// Such a descriptor may be shared with other processes (standard output mostly is), so it cannot be made non-blocking,
// and poll() does not say how much a terminal or a pipe with other writers has room for. So a thread of the outlet's
// own is the only one that is ever inside write(2). Others wait, if at all, for room in memory, and only until
// give_up(). A thread that is inside write(2) when its outlet goes is left behind: it touches nothing but its own
// state, and the end of the process ends it.
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor {

class Outlet {
 public:
  /// The usual capacity.
  static constexpr std::size_t k_capacity = 64 * 1024;

  /// Where output goes. `fd` is closed with the outlet if it is owned.
  struct Target {
    Fd owned;
    int fd = -1;
    std::string fifo;                   ///< not empty: a FIFO that is opened when it has a reader, and `fd` is not used
    std::size_t capacity = k_capacity;  ///< bytes that wait for the reader at most; then writers wait
    /// What each call of write() or offer() is given is written by one write(2), so that a file ends with a whole one
    /// of them whenever the process is killed. It is no longer than the capacity.
    bool records = false;
  };
  /// What did not reach the reader.
  struct Loss {
    u64 bytes = 0;  ///< that nobody read after give_up()
    int error = 0;  ///< the errno value that ended the output; 0: none did. What came then is in no count.
  };

  /// An error when the host has no thread for it. `room` is called on that thread, not after close(), when there is
  /// room again after offer() had none, or when the output ended with an error.
  static Result<std::unique_ptr<Outlet>> create(Target target, std::function<void()> room = {});
  static Result<std::unique_ptr<Outlet>> create(int borrowed_fd) { return create(Target{{}, borrowed_fd, {}}); }
  ~Outlet();  ///< as close()
  Outlet(const Outlet&) = delete;

  /// Waits for room for all of it; after give_up(), what has no room is dropped. Returns Loss::error. (any thread)
  int write(std::span<const u8> bytes);
  /// Takes all of it or, when there is no room or the output has ended, nothing; never waits. (any thread)
  bool offer(std::span<const u8> bytes);
  /// Whether offer() would take so many, or the output has ended; if not, `room` is called as after offer(). (any
  /// thread)
  bool has_room(std::size_t bytes);
  /// From now on nobody waits for the reader. (any thread)
  void give_up();
  /// Waits until all is written. Once given up, only as long as the reader goes on reading, a second at most.
  void drain();
  /// Ends the output: what the reader does not take at once is dropped. Repeated calls say the same.
  Loss close();
  /// Bytes that are not written yet. (any thread; async-signal-safe)
  std::size_t pending() const;
  /// The output ended with an error. (any thread)
  bool failed() const;

 private:
  struct State;
  explicit Outlet(std::shared_ptr<State> state) : state_(std::move(state)) {}

  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace armvisor
