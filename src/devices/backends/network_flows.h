#pragma once
// The flows of a user-mode network: what a guest makes libslirp hold for it, counted and bounded. libslirp itself has
// no bounds: every connection that a guest asks for, every UDP port that it sends from and every echo request is a
// socket of the host's, and a connection has 256 KiB of buffers besides.
//
// The truth is libslirp's: a flow is there from the moment at which libslirp opens its socket until it closes it, and
// it says both. So a guest can lie in its packets as it likes, and the counts are right. Used on the network's thread
// only.
#include <list>
#include <optional>
#include <unordered_map>

#include "base/types.h"
#include "devices/backends/guest_packet.h"

namespace armvisor::devices {

class NetworkFlows {
 public:
  enum class Kind : u8 {
    Stream,    ///< a TCP connection
    Datagram,  ///< a UDP port of the guest's, with whatever it sends to
    Echo,      ///< an echo request that waits for its reply; counted with the datagrams
  };
  /// What packets belong to one flow. Of a datagram flow the far side is 0.0.0.0 and port 0; of
  /// an echo all is.
  struct Key {
    Kind kind = Kind::Echo;
    IpAddress guest, far;
    u16 guest_port = 0, far_port = 0;
    bool operator==(const Key&) const = default;
  };
  static Key key_from_guest(const GuestPacket& p);
  static Key key_to_guest(const GuestPacket& p);

  /// How much of a connection's data may wait in libslirp because it is out of order or was not taken, as the memory
  /// that it takes. Each segment that waits is kept as it came, with all its bytes, however few of them are new.
  static constexpr u32 k_max_held = 256 << 10;
  /// What libslirp needs for a segment besides its bytes.
  static constexpr u32 k_segment_cost = 2048;
  /// Data that begins as far beyond what was acknowledged is outside any window of libslirp's.
  static constexpr u32 k_max_ahead = 256 << 10;

  /// At most `limit` streams, and as many datagram flows and echoes together.
  explicit NetworkFlows(u32 limit) : limit_(limit) {}

  void opened(int fd, const Key& key, u64 now_ms);
  void closed(int fd);
  bool has(int fd) const { return flows_.contains(fd); }
  bool has(const Key& key) const { return by_key_.contains(key); }
  u32 streams() const { return streams_; }
  u32 datagrams() const { return static_cast<u32>(flows_.size()) - streams_; }
  bool streams_full() const { return streams_ + asked_.size() >= limit_; }
  bool datagrams_full() const { return datagrams() >= limit_; }

  /// Whether a segment of the guest's that opens no connection may go on. `frame_bytes`: what libslirp would keep.
  bool admit_segment(const GuestPacket& p, std::size_t frame_bytes);
  /// A TCP segment for the guest, by which libslirp says what it has taken.
  void answered(const GuestPacket& p);

  /// Something was sent in a datagram flow, in either direction.
  void used(const Key& key, u64 now_ms);
  /// When the flow was last used that stands `place`-th (from 0) in the order of use, among datagrams and echoes.
  /// There are more than `place`.
  u64 datagram_used_ms(u32 place) const;

  /// The segment by which the guest would reset a connection.
  struct Reset {
    Key key;
    u32 seq;
  };
  /// The guest asks for a connection that libslirp agrees to before it opens a socket for it (guestfwd=). It counts as
  /// a stream until it is one, or until it is forgotten. `seq`: what the guest sends next.
  void asked(const Key& key, u32 seq);
  bool is_asked(const Key& key) const { return asked_by_key_.contains(key); }
  /// The one that was asked for first, of those that are no streams yet.
  std::optional<Reset> oldest_asked() const;
  void forget_asked(const Key& key);

  /// A connection that both sides have ended and acknowledged, for which libslirp still waits out TIME-WAIT.
  std::optional<Reset> ended_stream() const;

 private:
  struct KeyHash {
    std::size_t operator()(const Key& k) const;
  };
  struct Flow {
    Key key;
    u64 used_ms = 0;  ///< of datagrams and echoes
    // Of streams, in sequence numbers of what the guest sends.
    bool acknowledging = false;             ///< acknowledged is known
    u32 acknowledged = 0;                   ///< by libslirp: all before it was taken, and waits no longer
    u32 highest = 0;                        ///< behind the last number that was let through
    u32 held = 0;                           ///< cost of what was let through and may wait
    std::optional<u32> guest_end, far_end;  ///< behind the FIN of the guest, and of the far side
    bool far_end_acknowledged = false;
  };
  Flow* find(const Key& key);

  const u32 limit_;
  u32 streams_ = 0;
  std::unordered_map<int, Flow> flows_;             ///< by descriptor
  std::unordered_map<Key, Flow*, KeyHash> by_key_;  ///< without echoes
  std::list<Reset> asked_;                          ///< in the order of asking
  std::unordered_map<Key, std::list<Reset>::iterator, KeyHash> asked_by_key_;
  Flow* last_ = nullptr;  ///< that find() found: most packets are of the flow of the one before
};

}  // namespace armvisor::devices
