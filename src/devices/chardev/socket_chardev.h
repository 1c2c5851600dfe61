#pragma once
// A stream socket, TCP or Unix, as a character device: one peer at a time, who may go and come again.
//
// A thread accepts or connects, and reads; output goes by way of an outlet, which each connection has for itself. While
// a peer is there a server does not accept others: they wait in the host's queue. Without a peer, output is dropped. A
// peer that reads nothing holds back its user's output and nobody else.
#include <atomic>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/sandbox/thread_kind.h"
#include "base/wake_event.h"
#include "devices/chardev/chardev.h"
#include "devices/chardev/socket_place.h"
#include "devices/chardev/telnet.h"

namespace armvisor::devices {

class SocketChardev final : public Chardev {
 public:
  /// A server listens from now on; a client is connected, unless it is to reconnect by itself. `stop_fd` ends waiting
  /// for that.
  static Result<std::unique_ptr<SocketChardev>> create(const std::string& option, const SocketOptions& options,
                                                       int stop_fd);
  ~SocketChardev() override;

  Status start() override;
  Status wait_for_peer(int stop_fd) override;
  void stop() override;
  void room() override;
  void accept_waiting() override;
  bool connected() const override;
  std::string filename() const override;

 private:
  struct Connection {
    Fd socket;  ///< shared with the outlet, which has a duplicate
    std::unique_ptr<Outlet> out;
  };

  SocketChardev(const std::string& option, const SocketOptions& options, SocketPlace place, WakeEvent wake);
  bool do_offer(std::span<const u8> bytes) override;
  void do_write(std::span<const u8> bytes) override;
  void do_give_up() override;
  void do_drain() override;

  void run();
  ThreadKind duties() const;
  void look_for_peer();
  void serve_peer();
  int accept();
  bool receive();
  void open_connection(Fd socket);
  void close_connection();
  std::shared_ptr<Connection> connection() const;
  std::span<const u8> as_sent(std::span<const u8> bytes, std::vector<u8>& escaped) const;
  void wait(int fd, short events, int timeout_ms);

  const std::string option_;
  const SocketOptions options_;
  SocketPlace place_;
  Fd listening_;    ///< of a server
  WakeEvent wake_;  ///< there is room, or the thread is to end
  std::atomic<bool> stopping_{false}, wants_more_{false};
  std::mutex accept_mutex_;     ///< held while a peer comes or goes; before the lock of the handlers
  Telnet telnet_;               // this and what follows: of the thread, and of who makes a connection
  std::vector<u8> read_ahead_;  ///< and not yet taken
  bool was_connected_ = false;  ///< a client, which then waits before it connects again
  mutable std::mutex mutex_;    // guards what follows
  std::shared_ptr<Connection> connection_;
  bool given_up_ = false;
  std::thread thread_;
};

}  // namespace armvisor::devices
