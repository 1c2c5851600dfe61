#pragma once
// A guest's semihosting console, which is a chardev or else standard error and input of the process, and the standard
// streams that its program opens as ":tt", which are the process's own, as in QEMU.
//
// Output is held back while its reader is slow, and who writes waits, but not when vCPUs are to stop (hurry()). Input
// never keeps a vCPU inside a call: where there is none yet, the vCPU is noted, and woken when there is.
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/outlet.h"
#include "base/wake_event.h"
#include "devices/chardev/chardev.h"

namespace armvisor::machine::semihosting {

/// One way for output.
class ConsoleOutput {
 public:
  static constexpr std::size_t k_most_held = 64 * 1024;

  explicit ConsoleOutput(devices::Chardev& line) : line_(&line) {}  ///< whose handler of room calls send_held()
  static Result<std::unique_ptr<ConsoleOutput>> of_descriptor(int fd);
  ~ConsoleOutput();

  /// How much was taken: all of it, unless vCPUs are to stop and too much is held back already.
  std::size_t write(std::span<const u8> bytes);
  void send_held();                                       ///< (any thread) there may be room
  void hurry(bool begin) { hurried_ += begin ? 1 : -1; }  ///< (any thread) as of Chardev
  void give_up();                                         ///< (any thread) nobody waits for the reader any more
  void finish(bool wait);  ///< when no vCPU runs: what is held back is sent; `wait`: however slow the reader is
  void drain();

 private:
  ConsoleOutput() = default;
  bool offer(std::span<const u8> bytes) {
    return line_ ? line_->offer(bytes) : !outlet_ || outlet_->offer(bytes) || outlet_->failed();
  }
  void send_held_locked();

  devices::Chardev* line_ = nullptr;  ///< null: the outlet
  std::atomic<int> hurried_{0};
  std::mutex mutex_;  // guards what follows
  std::condition_variable sent_;
  std::vector<u8> held_;
  std::unique_ptr<Outlet> outlet_;  ///< ends before what it calls
};

/// What was read, or typed, and not yet taken by the guest.
class ConsoleInput {
 public:
  static constexpr std::size_t k_most_waiting = 4096;

  /// `wake` is called, with the lock held, for each vCPU that take() let wait; `sleep` likewise, before.
  struct Sleepers {
    std::function<void(u32 vcpu)> sleep, wake;
  };
  explicit ConsoleInput(Sleepers sleepers) : sleepers_(std::move(sleepers)) {}

  /// Takes as much as there is room for. (any thread)
  std::size_t arrive(std::span<const u8> bytes);
  void end();  ///< (any thread) no more comes
  /// How much there was; 0 at the end of the input; nothing: the vCPU is to sleep until it is woken, and come again.
  std::optional<std::size_t> take(std::span<u8> out, u32 vcpu);
  bool is_wanted();  ///< (any thread) a vCPU waits for input

 private:
  void wake_all();

  const Sleepers sleepers_;
  std::mutex mutex_;  // guards what follows
  std::vector<u8> waiting_;
  bool ended_ = false;
  u32 asleep_ = 0;  ///< a bit for each vCPU
};

class Console {
 public:
  struct Place {
    devices::Chardev* line = nullptr;  ///< null: standard error, and input
    bool read_stdin = true;            ///< nobody else reads it; otherwise it is at its end
    int output = STDOUT_FILENO, error = STDERR_FILENO;
  };
  static Result<std::unique_ptr<Console>> open(Place place, ConsoleInput::Sleepers sleepers);
  ~Console();

  ConsoleOutput& output() { return line_output_ ? *line_output_ : *stderr_; }  ///< of SYS_WRITEC and SYS_WRITE0
  ConsoleOutput& standard_output() { return *stdout_; }
  ConsoleOutput& standard_error() { return *stderr_; }
  // As ConsoleInput::take().
  std::optional<std::size_t> read(std::span<u8> out, u32 vcpu);  ///< of SYS_READC
  std::optional<std::size_t> read_standard_input(std::span<u8> out, u32 vcpu);

  void hurry(bool begin);  ///< (any thread) as of each ConsoleOutput, like those that follow
  void give_up();
  void finish(bool wait);
  void drain();

 private:
  explicit Console(const ConsoleInput::Sleepers& sleepers) : typed_(sleepers), stdin_(sleepers) {}
  Status start(Place place);
  void read_stdin();
  template <class F>
  void for_each_output(F f);

  devices::Chardev* line_ = nullptr;
  ConsoleInput typed_, stdin_;  ///< of the line; of the process
  std::unique_ptr<ConsoleOutput> line_output_, stdout_, stderr_;
  std::optional<WakeEvent> wake_;  ///< the thread is to read, or to end
  std::atomic<bool> stopping_{false};
  std::thread thread_;  ///< reads standard input, only when the guest asks for it
};

}  // namespace armvisor::machine::semihosting
