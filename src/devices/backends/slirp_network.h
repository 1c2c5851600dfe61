#pragma once
// The user-mode network: libslirp speaks TCP/IP with the guest and sockets with the host. No privileges needed.
//
// libslirp keeps whatever a guest makes it keep, so it is given only what there is room for: see NetworkFlows,
// Ipv4Reassembly and send(). docs/security.md has the bounds.
//
// libslirp belongs to one thread: create() sets it up, then the thread that start() makes owns it until stop().
#include <poll.h>

#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "devices/backends/guest_line.h"
#include "devices/backends/ipv4_reassembly.h"
#include "devices/backends/network_flows.h"
#include "devices/backends/network_options.h"
#include "devices/backends/thread_network.h"

struct Slirp;

namespace armvisor::devices {

class SlirpNetwork final : public ThreadNetwork {
 public:
  /// Also binds the forwarded ports of the host. `lines`: of those guest_forwards that have no command, in their
  /// order; they outlive it.
  static Result<std::unique_ptr<SlirpNetwork>> create(const UserNetworkOptions& options,
                                                      std::span<Chardev* const> lines = {});
  ~SlirpNetwork() override;

  void send(std::span<const u8> frame) override;

  /// (any thread) From now on a port of the host is forwarded, or no longer; of what is removed the guest's end is of
  /// no importance.
  Status add_forward(const HostForward& forward) { return change_forward(forward, true); }
  Status remove_forward(const HostForward& forward) { return change_forward(forward, false); }

 private:
  /// For the network's thread, which alone talks to libslirp.
  struct Change {
    HostForward forward;
    bool add = false, done = false;
    Status result{};
  };
  Status change_forward(const HostForward& forward, bool add);
  void make_changes(bool last);
  struct Timer {
    void (*callback)(void*);
    void* opaque;
    s64 deadline_ms;  ///< -1: disarmed
  };
  struct Callbacks;
  friend struct Callbacks;

  SlirpNetwork(WakeEvent event, const UserNetworkOptions& options)
      : ThreadNetwork(std::move(event)), options_(options), flows_(options.flows) {}
  Status open(const UserNetworkOptions& options, std::span<Chardev* const> lines);
  Status check(const HostForward& f) const;
  Status forward(const HostForward& f);
  Status forward(const GuestForward& f, std::span<Chardev* const> lines);
  void run() override;
  /// libslirp connects to the sockets of lines.
  ThreadKind duties() const override {
    const ThreadKind all = ThreadKind::Internet | ThreadKind::Names;
    return guest_lines_.empty() ? all : all | ThreadKind::Sockets;
  }
  void finish_lines();
  void wait(bool more_to_send);
  void run_timers();
  s64 next_deadline_ms() const;

  static u64 now_ms();
  // slirp_admission.cpp
  bool admit(const GuestPacket& p, std::size_t frame_bytes);
  bool admit_connection(const GuestPacket& p);
  bool admit_segment(const GuestPacket& p, std::size_t frame_bytes);
  void make_room_of_asked();
  bool is_forwarded(const GuestPacket& p) const;
  bool admit_datagram(const GuestPacket& p);
  bool is_dhcp(const GuestPacket& p) const;
  bool answers_echo(const IpAddress& address) const;
  void input(std::span<const u8> frame, const GuestPacket& p);
  void teach_address(std::span<const u8> frame, const GuestPacket& p);
  void forget_address(const GuestPacket& p) { (p.kind == GuestPacket::Kind::Arp ? taught_ : taught6_).reset(); }
  void expire_datagrams();
  void look_at_clock();
  void close_ended_streams();
  bool reset_stream(const NetworkFlows::Reset& reset);
  bool descriptors_are_scarce() const;
  void opened(int fd);
  NetworkFlows::Key accepted_key(int fd) const;
  bool accepts(int fd);
  bool take_connection();

  const UserNetworkOptions options_;
  NetworkFlows flows_;
  Ipv4Reassembly fragments_;
  std::optional<NetworkFlows::Key> opening_;  ///< the flow of the packet that libslirp looks at now
  /// The guest's address of each version of IP that libslirp certainly knows the MAC of.
  std::optional<IpAddress> taught_, taught6_;
  std::vector<std::pair<IpAddress, u16>> forwarded_;  ///< address and port of each guestfwd, as libslirp chose them
  std::vector<HostForward> forwards_;                 ///< those that are there now
  std::unordered_map<int, bool> forward_accepts_;     ///< sockets of forwards that were looked at: whether they listen
  u64 accept_again_ms_ = 0;  ///< connections to forwarded ports wait until then; 0: they do not
  u64 clock_ahead_ms_ = 0;   ///< libslirp's clock, while it is to let go of idle flows
  std::vector<std::unique_ptr<GuestLine>> guest_lines_;
  Slirp* slirp_ = nullptr;
  std::mutex changes_mutex_;  // guards what follows, up to takes_changes_
  std::condition_variable changed_;
  std::deque<Change*> changes_;  ///< of those who wait
  bool takes_changes_ = true;    ///< until the thread ends
  std::vector<pollfd> polled_;   ///< event() first, then libslirp's
  std::list<Timer> timers_;      // a list: libslirp keeps pointers to the elements
};

}  // namespace armvisor::devices
