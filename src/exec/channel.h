#pragma once
// The host's end of the conversation with the agent (protocol.h): what comes is checked, and what goes is framed. It
// has no thread, no lock and no descriptor; whoever has it brings bytes and takes bytes.
//
// The guest may send anything. What is held of it is one frame. The first thing that the protocol does not allow ends
// the conversation: state() is Broken from then on, and nothing more is taken.
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "exec/protocol.h"

namespace armvisor::exec {

struct CommandRequest {
  std::vector<std::string> command;      ///< the program and its arguments
  std::vector<std::string> variables{};  ///< "NAME=VALUE"
  std::string user{};                    ///< empty: root
  std::string folder{};                  ///< empty: the user's
  bool terminal = false;
  bool sets_time = true;  ///< the guest's clock gets the host's time
  av_size size{};
};

/// What the agent said, called from Channel::receive().
class ChannelUser {
 public:
  /// Bytes of an output stream, which there was credit for.
  virtual void output(av_stream stream, std::span<const u8> bytes) = 0;

 protected:
  ~ChannelUser() = default;
};

class Channel {
 public:
  enum class State : u8 {
    Booting,  ///< nothing was said
    Ready,    ///< the agent waits for the request, or was sent it
    Failed,   ///< there will be no command: failure() says why
    Running,  ///< the command is
    Exited,   ///< exited() says how; all of its output has come
    Broken,   ///< broken() says what the protocol does not allow
  };
  struct Failure {
    u32 step = 0, error = 0;
    std::string text;
  };

  explicit Channel(ChannelUser& user) : user_(user) {}

  void receive(std::span<const u8> bytes);
  State state() const { return state_; }
  const Failure& failure() const { return failure_; }
  const av_exited& exited() const { return exited_; }
  const std::string& broken() const { return broken_; }
  /// Nothing more will come: unless it has ended, the conversation is broken off.
  void end(std::string why) { break_off(std::move(why)); }
  u32 credit(av_stream stream) const { return credit_[stream]; }  ///< bytes that may still come, or go to AV_STDIN
  bool has_ended(av_stream stream) const { return ended_[stream]; }
  u64 frames() const { return frames_; }  ///< that came

  // What goes to the agent, behind what waits already. All but run() and resize() while Running.
  void run(const CommandRequest& request);
  void send_input(std::span<const u8> bytes);  ///< no more than the credit
  void end_input();
  void give_credit(av_stream stream, u32 bytes);
  void close_output(av_stream stream);
  void send_signal(u32 signal);
  void resize(av_size size);
  /// What waits; whoever sends it takes it out.
  std::vector<u8>& outgoing() { return outgoing_; }

 private:
  void take(const av_frame& head, std::span<const u8> bytes);
  void take_hello(std::span<const u8> bytes);
  void take_failed(std::span<const u8> bytes);
  void take_data(av_stream stream, std::span<const u8> bytes);
  void take_end(av_stream stream, std::span<const u8> bytes);
  void take_credit(std::span<const u8> bytes);
  void take_exited(std::span<const u8> bytes);
  void break_off(std::string why);
  bool is_output(u8 stream) const { return stream == AV_STDOUT || stream == AV_STDERR; }
  void send(u8 type, u8 stream, std::span<const u8> bytes);
  template <class T>
  void send_value(u8 type, u8 stream, const T& value) {
    send(type, stream, {reinterpret_cast<const u8*>(&value), sizeof value});
  }

  ChannelUser& user_;
  State state_ = State::Booting;
  std::vector<u8> partial_;  ///< a frame that has not come whole
  Failure failure_;
  av_exited exited_{};
  std::string broken_;
  std::array<u32, AV_STREAMS> credit_{};
  std::array<u64, AV_STREAMS> total_{};
  std::array<bool, AV_STREAMS> ended_{};
  u64 frames_ = 0;
  std::vector<u8> outgoing_;
};

}  // namespace armvisor::exec
