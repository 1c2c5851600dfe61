#pragma once
// One command in a guest, seen from the host: its channel, and standard input, output and error of this process.
//
// Threads: bytes of the agent come on vCPU threads (the line's offer()), which never wait: output goes to outlets that
// have room for all that there was credit for. The session's own thread sends what goes to the agent, reads standard
// input when there is credit for it, and gives credit as output is written. Signals come on the machine's event loop.
// mutex_ is a leaf, but for the outlets' own; the line is sent to without it.
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/outlet.h"
#include "base/result.h"
#include "base/wake_event.h"
#include "devices/chardev/chardev.h"
#include "exec/channel.h"

namespace armvisor::exec {

class Session final : private ChannelUser {
 public:
  /// Descriptors of this process, borrowed.
  struct Streams {
    int input = 0, output = 1, error = 2;
  };

  static Result<std::unique_ptr<Session>> create(CommandRequest request, Streams streams);
  ~Session();

  /// Of a machine that another process has: `agent` is a socket to it, on which the conversation is.
  static Result<std::unique_ptr<Session>> connect(CommandRequest request, Streams streams, Fd agent);
  /// What the machine has at its end of the channel; the session outlives it.
  std::unique_ptr<devices::Chardev> line();
  /// Begins to serve; `done` is called, on the session's thread, when the command has ended or there will be none.
  Status start(std::function<void()> done);
  /// Ends what start() began; also done by the line's stop(), which the machine calls before it goes.
  void stop();

  /// (any thread) A signal to this process. False: it is to end the machine: the command is not running, or does not
  /// answer.
  bool signalled(int signal);
  void continued() { enter_terminal(); }  ///< (any thread) the process goes on after a stop
  void give_up();                         ///< (any thread) nobody waits for the readers of output any more
  /// Waits until all output is written, or given up; false: some of it was not.
  bool deliver();

  bool is_decided();  ///< (any thread) the command was started, or it is known that it will not be

  /// Of the channel, when the machine has ended.
  Channel::State state() const { return channel_.state(); }
  const Channel& channel() const { return channel_; }
  /// When the command was executed, and when its end was known; nothing: that has not happened.
  using Moment = std::optional<std::chrono::steady_clock::time_point>;
  Moment started() const { return started_; }
  Moment ended() const { return ended_; }
  int input_error() const { return input_error_; }  ///< errno of the read that ended standard input; 0: it had an end
  int last_signal() const { return last_signal_; }  ///< for which signalled() was false; 0: none was

 private:
  class Line;
  struct Output {
    std::unique_ptr<Outlet> outlet;
    bool closed = false;  ///< the agent was told that nobody reads it
  };

  Session(CommandRequest request, Streams streams, WakeEvent wake);
  void output(av_stream stream, std::span<const u8> bytes) override;
  void receive(std::span<const u8> bytes);
  void run();
  void prepare();
  void renew_credit();
  void converse();
  bool wait_for_input(bool wanted);
  void read_input();
  bool wants_input();
  bool may_read();
  av_size terminal_size() const;
  void enter_terminal();

  const CommandRequest request_;
  const Streams streams_;
  const bool input_is_terminal_;
  WakeEvent wake_;
  std::array<Output, AV_STREAMS> outputs_;  ///< of AV_STDOUT and AV_STDERR
  std::function<void()> done_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  // guards what follows while the machine runs
  Channel channel_{*this};
  bool requested_ = false, told_ = false;
  std::atomic<bool> terminal_is_guests_{false};  ///< Ctrl-C and the like are for the command, not for this process
  int input_error_ = 0;
  bool input_ended_ = false, background_ = false;
  bool lost_ = false;  ///< output that was not even kept to be written
  Moment started_, ended_;
  u64 frames_at_signal_ = 0;
  Moment signal_unanswered_;  ///< when one came that asks for the end
  std::atomic<int> last_signal_{0};
  std::atomic<bool> raw_{false};  ///< the terminal was
  Line* line_ = nullptr;          ///< the machine's; none: it is gone, or not there yet
  std::vector<u8> sending_;       ///< of the session's thread
  Fd agent_;                      ///< likewise; of connect() until its end has come
  std::thread thread_;
};

}  // namespace armvisor::exec
