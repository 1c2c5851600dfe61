#pragma once
// A character device of the host: what is at the other end of a guest's serial line or port, or of a monitor.
//
// It lives as long as the program's machine; who uses it (a device, which a reset makes anew, or a monitor) attaches
// itself. Input is handed over on a thread of the chardev's own. Output is put into memory of a bounded size, from
// where the chardev writes it, so that a peer that is slow, stopped or gone keeps nobody inside a system call: offer()
// says that there is no room, and write() waits for it, but only until give_up(). Where nobody is connected, output is
// dropped, as QEMU does it.
//
// Locks: a handler runs with the lock that attach() and detach() take, and no other of the chardev's; offer(), write()
// and room() take none of the user's. So a device may call them with its own mutex held, and take it in a handler.
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/outlet.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor::devices {

struct TerminalSize {
  u16 columns = 0, rows = 0;
};

class Chardev {
 public:
  /// What the user is told; what is empty is not wanted.
  struct Handlers {
    /// Takes input; returns how much of it there was room for. What is left comes again after room().
    std::function<std::size_t(std::span<const u8>)> input{};
    std::function<void()> send_break{};           ///< the line is held low for a while
    std::function<void(bool)> opened{};           ///< a peer came, or went; at once, if there is one when attached
    std::function<void()> writable{};             ///< there is room again after offer() had none
    std::function<void(TerminalSize)> resized{};  ///< of the terminal behind it; at once, if it has a size
    std::function<void(bool)>
        focused{};  ///< of several users of a mux, this one gets input, or no longer; when attached, too
  };

  virtual ~Chardev() = default;
  Chardev(const Chardev&) = delete;
  Chardev& operator=(const Chardev&) = delete;

  /// One user at a time. (any thread, but no handler's)
  void attach(Handlers handlers);
  /// No handler runs after it returns.
  void detach();

  /// Starts to read and to accept; once.
  virtual Status start() { return {}; }
  /// Waits for the peer that the machine is not to start without; an error if `stop_fd` becomes readable first.
  virtual Status wait_for_peer(int stop_fd) {
    (void)stop_fd;
    return {};
  }
  /// Ends what start() began, and says how much output nobody read. No handler runs after it returns.
  virtual void stop() {}

  /// Takes all of it or, when there is no room, nothing; never waits. (any thread)
  bool offer(std::span<const u8> bytes);
  /// A program of the guest has opened the user's end, or closed it, which a reset of the guest does, too. True: input
  /// that the user has not passed on is for nobody. (any thread)
  virtual bool user_opened(bool open) {
    (void)open;
    return false;
  }
  /// Waits for room for all of it until give_up(). (any thread)
  void write(std::span<const u8> bytes);
  /// The user takes input again after it took less than it was given. (any thread)
  virtual void room() {}
  void give_up();  ///< (any thread) from now on nobody waits for the reader
  /// (any thread) Until all who began it have ended it, who waits for room by himself does not: vCPUs are to stop.
  void hurry(bool begin) { hurried_ += begin ? 1 : -1; }
  virtual bool hurried() const { return hurried_ > 0 || given_up_; }
  void drain();                     ///< waits until all is written; after give_up(), only as long as the reader goes on
  virtual void accept_waiting() {}  ///< (any thread) a peer that waits to be accepted is there when it returns
  virtual void continued() {}       ///< (any thread) the process goes on after a stop
  virtual void look_at_size();      ///< (any thread) the terminal behind it may have another size
  virtual std::optional<TerminalSize> size() const { return std::nullopt; }
  virtual bool is_terminal() const { return false; }  ///< input is typed: what is too much is lost
  virtual bool connected() const { return true; }
  virtual bool has_focus() const { return true; }
  /// As QEMU's query-chardev tells it.
  virtual std::string filename() const = 0;

  /// A copy of the output goes there, too, and holds it back if need be.
  Status log_to(Outlet::Target log);

 protected:
  Chardev() = default;
  virtual bool do_offer(std::span<const u8> bytes) = 0;
  virtual void do_write(std::span<const u8> bytes) = 0;
  virtual void do_give_up() {}
  virtual void do_drain() {}

  // What the user is told, if there is one.
  std::size_t give(std::span<const u8> bytes);
  /// Gives what waits; what was taken waits no longer.
  void hand_over(std::vector<u8>& waiting);
  void tell_break();
  void tell_opened(bool open);
  void tell_writable();
  void tell_focus(bool has);

 private:
  std::mutex handlers_mutex_;
  Handlers handlers_;
  bool attached_ = false, told_open_ = false;
  std::atomic<int> hurried_{0};
  std::atomic<bool> given_up_{false}, size_changed_{false};
  bool log_caught_up();
  std::mutex log_mutex_;         ///< held while output is offered to the line and to the log. Before the line's locks
  std::vector<u8> log_behind_;   ///< what the line has and the log had no room for
  std::unique_ptr<Outlet> log_;  ///< the last: its thread uses the others
};

/// Nobody is there: output is dropped.
class NullChardev final : public Chardev {
 public:
  std::string filename() const override { return "null"; }

 private:
  bool do_offer(std::span<const u8>) override { return true; }
  void do_write(std::span<const u8>) override {}
};

}  // namespace armvisor::devices
