#pragma once
// A front end's end of a vhost-user connection: requests, and replies that come in time. One thread at a time uses it.
//
// Who is at the other end may say anything, or nothing, or a little now and then: a conversation has a time limit, ends
// at once when `stop` is set, and with an error for what is no reply to what was asked. After an error the connection
// is of no use any more. Descriptors that come with a reply are not taken.
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/stop_event.h"
#include "devices/vhost_user/wire.h"

namespace armvisor::devices::vhost_user {

class Connection {
 public:
  /// A stream socket that is connected. `patience_ms`: for one conversation.
  Connection(Fd socket, int patience_ms) : socket_(std::move(socket)), patience_ms_(patience_ms) {}

  /// What follows is a conversation; before all else, and when a new one begins.
  void begin();

  /// What ends waiting from now on.
  void set_stop(const StopEvent* stop) { stop_ = stop; }
  /// Readable when there is something that nobody asked for, or when the other end is gone.
  int fd() const { return socket_.get(); }

  Status send(Request request, std::span<const u8> payload, std::span<const int> fds = {}, bool need_reply = false);
  /// Sends, and waits for the reply: its payload.
  Result<std::vector<u8>> ask(Request request, std::span<const u8> payload = {});
  /// Sends, and waits until the back end says that it has done it.
  Status demand(Request request, std::span<const u8> payload, std::span<const int> fds = {});
  /// Like ask(), for a reply of one number.
  Result<u64> ask_number(Request request);

 private:
  Status wait(short events);
  Status receive(std::span<u8> bytes);
  Result<std::vector<u8>> receive_reply(Request request);

  Fd socket_;
  int patience_ms_;
  u64 until_ms_ = 0;
  const StopEvent* stop_ = nullptr;
};

}  // namespace armvisor::devices::vhost_user
