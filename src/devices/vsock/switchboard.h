#pragma once
// All connections between a guest and Unix sockets of the host, and how they come about.
//
// A program of the host connects to the HostSocket and says "CONNECT PORT\n"; when the guest has taken the connection it
// is told "OK NUMBER\n", and what follows is the guest's. One that the guest does not take is closed. The guest connects
// to a port of CID 2, on which a program of the host listens (host_socket.h), or is told that nobody does.
//
// Bounds, whatever both sides do: k_most_connections, or a fourth of the descriptors that the process may have, with
// Connection::k_buffer bytes each; k_most_greetings clients that have not said yet which port they want, of which the
// oldest goes when another one comes; k_most_replies answers to packets that belong to no connection, after which no
// packet is taken (has_room()). Beyond, the guest's requests are refused and the host's wait in the socket's queue.
//
// Used by one thread at a time, which never waits here: fd() tells when there is something to look at.
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "devices/vsock/connection.h"
#include "devices/vsock/host_socket.h"
#include "devices/vsock/packet.h"

namespace armvisor::devices::vsock {

class Switchboard {
 public:
  static constexpr std::size_t k_most_connections = 256, k_most_greetings = 16, k_most_replies = 128;

  static Result<std::unique_ptr<Switchboard>> create(std::shared_ptr<HostSocket> host);

  u64 cid() const { return host_->cid(); }
  /// Readable when look() has something to do.
  int fd() const { return epoll_.get(); }
  /// In how many milliseconds look() has something to do anyway; -1: never.
  int patience_ms() const { return accept_ == Accept::Now ? 0 : accept_ == Accept::Later ? k_accept_again_ms : -1; }

  /// The guest has a driver from now on: clients are taken.
  void open();
  /// It has none any more: all connections end. Clients wait.
  void close();
  void look();

  /// For what a packet of the guest's may ask for.
  bool has_room() const { return replies_.size() < k_most_replies; }
  /// A packet from the guest, with has_room(). `data` has header.len bytes. False: it is not from or to who it should be.
  bool take(const Header& header, std::span<const iovec> data);
  /// Whether there may be something for the guest.
  bool has_packet() const { return !replies_.empty() || !waiting_.empty(); }
  /// The next packet for the guest, with data in `room`, which has at least a byte; nothing: there was none.
  std::optional<Header> packet(std::span<const iovec> room);

  std::size_t connections() const { return lines_.size(); }

 private:
  using Id = u64;
  static constexpr int k_accept_again_ms = 1000;
  static constexpr std::size_t k_longest_greeting = 32;

  /// When a client is looked for: when epoll tells, also without, or when there is room.
  enum class Accept { WhenTold, Now, Later, WithRoom };
  struct Line {
    explicit Line(Connection c) : connection(std::move(c)) {}
    Connection connection;
    bool is_waiting = false;  ///< its id is in waiting_
  };

  Switchboard(std::shared_ptr<HostSocket> host, Fd epoll);
  void accept();
  void greet(Id id);
  std::optional<u32> read_greeting(int socket, bool& over) const;
  bool watch(int socket, Id id);
  bool make_room();
  bool add(Ports ports, Fd socket, Connection::MadeBy by);
  void request(const Header& header);
  void packet_of(Id id, const Header& header, std::span<const iovec> data);
  void changed(Id id);
  void forget(Id id);
  void release_ports(Id id);
  void reset_reply(Ports ports);

  const std::shared_ptr<HostSocket> host_;
  const Fd epoll_;
  std::size_t most_;
  bool open_ = false;
  Accept accept_ = Accept::WhenTold;
  Id next_id_ = 1;  ///< 0 is the socket that listens
  u32 next_host_port_;
  std::map<Id, Fd> greetings_;
  std::map<Id, Line> lines_;
  std::map<Ports, Id> ports_;  ///< of lines whose guest's side is not done
  std::deque<Id> waiting_;     ///< those that may have a packet; each once
  std::deque<Ports> replies_;  ///< connections of which the guest is told that they are not there
};

}  // namespace armvisor::devices::vsock
