#pragma once
// One connection between a port of the guest and a Unix socket of the host: bytes both ways, what each side has room
// for (credit, virtio 1.2 section 5.10.6.3), and how it ends.
//
// What the guest sends goes to the socket at once; what the socket has no room for is kept, up to k_buffer bytes, which
// is all that the guest may send ahead. What comes from the host stays in its socket until the guest has room. So a
// reader that does not read holds back the other side, and nobody else.
//
// Used by one thread at a time, which never waits here.
#include <sys/uio.h>

#include <optional>
#include <span>
#include <vector>

#include "base/fd.h"
#include "devices/vsock/packet.h"

namespace armvisor::devices::vsock {

class Connection {
 public:
  static constexpr u32 k_buffer = 128 << 10;
  enum class MadeBy { Guest, Host };

  /// The guest's is open from the start, and it is told so; it is asked for the host's.
  Connection(Ports ports, Fd socket, MadeBy by);

  Ports ports() const { return ports_; }
  int fd() const { return socket_.get(); }

  /// What epoll(7) says of the socket, edge by edge.
  void socket_ready(u32 events);

  // What the guest says.
  void set_credit(const Header& header);
  /// False: the host does not wait for an answer.
  [[nodiscard]] bool answered();
  /// `data` has `bytes`. False: the guest may not send (so much).
  [[nodiscard]] bool send(std::span<const iovec> data, u32 bytes);
  void asked_for_credit() { credit_update_ = true; }
  void guest_ends(u32 flags);

  /// Whether the guest is to be told something, or that may be found out by packet().
  bool has_packet() const;
  /// The next packet, but for its CIDs, with data in `room`; nothing: there is none after all.
  std::optional<Header> packet(std::span<const iovec> room);

  /// Who asked for the guest went before it answered.
  bool is_given_up() const { return !open_ && hung_up_; }
  /// The guest does nothing more with it; what it sent still goes to the host.
  bool guest_is_done() const { return (guest_flags_ & k_does_nothing_more) == k_does_nothing_more; }
  /// The socket is of no more use.
  bool host_is_done() const { return !socket_ || (guest_is_done() && kept_.empty()); }

 private:
  u32 credit() const;
  bool can_receive() const { return open_ && readable_ && !end_of_input_; }
  std::optional<Header> receive(std::span<const iovec> room);
  Header header(Op op);
  void keep(std::span<const iovec> data, std::size_t skip);
  void flush();
  void passed_on(std::size_t bytes);
  void cannot_write();
  void look_at_end();

  const Ports ports_;
  Fd socket_;
  bool open_;
  bool readable_ = false, writable_ = true, hung_up_ = false;
  bool end_of_input_ = false;   ///< nothing more comes from the socket, or the guest wants nothing more
  bool write_failed_ = false;   ///< what the guest sends goes nowhere
  bool told_end_ = false;       ///< of the guest's data, to the socket
  u32 guest_flags_ = 0;         ///< of its SHUTDOWN
  std::vector<u8> kept_;        ///< the socket has no room for
  // Packets that the guest is to be sent.
  bool request_ = false, response_ = false, credit_update_ = false, credit_asked_ = false;
  u32 shutdown_ = 0, shutdown_told_ = 0;
  // Credit, modulo 2^32.
  u32 passed_on_ = 0, passed_on_told_ = 0;  ///< of the guest's bytes
  u32 sent_ = 0;                            ///< to the guest
  u32 guest_room_ = 0, guest_passed_on_ = 0;
};

}  // namespace armvisor::devices::vsock
