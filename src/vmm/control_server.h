#pragma once
// The control socket of a machine that has a name: requests of this user's other processes, answered on the event loop.
//
// A request is a line. The answer is "ok LENGTH\n" and LENGTH bytes, or "error LENGTH\n" and a message. What a client
// may make us hold is bounded: few clients, short lines, one answer at a time. When the process has no descriptors
// left, one that is kept for that serves a client at a time; the others wait.
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "machine/event_loop.h"

namespace armvisor::vmm {

class ControlServer {
 public:
  /// Answers the requests of one client; made anew for each, so it may remember what it answered before.
  using Session = std::function<Result<std::string>(const std::string& request)>;

  /// An error when a machine of that name runs. `loop` outlives the server.
  static Result<std::unique_ptr<ControlServer>> open(const std::string& name, machine::EventLoop& loop,
                                                     std::function<Session()> make_session);
  ~ControlServer();  ///< not on the loop's thread

 private:
  struct Client {
    Fd fd;
    Session session;
    std::string in, out;
    std::size_t sent = 0;
  };

  ControlServer(std::string path, Fd socket, machine::EventLoop& loop, std::function<Session()> make_session);
  void accept();
  Fd accept_one();
  void pause();
  void resume();
  void serve(machine::EventLoop::WatchId id);
  bool receive(Client& client);
  bool answer(Client& client);
  bool send(Client& client);

  const std::string path_;
  Fd socket_;
  Fd reserve_;  ///< its place is a client's when there is no other; empty then
  machine::EventLoop& loop_;
  const std::function<Session()> make_session_;
  machine::EventLoop::WatchId watch_ = 0;
  machine::EventLoop::Id retry_ = 0;
  std::mutex mutex_;  ///< guards what follows; taken before any lock of a session
  bool closing_ = false;
  std::map<machine::EventLoop::WatchId, Client> clients_;
};

}  // namespace armvisor::vmm
