#pragma once
// Frames over a socket of the host, to another machine or to a program that is a network: in QEMU's framing over a
// stream, or a frame in each datagram. A link outlives the machine that it is given to, so that a reset of the machine
// does not cut it.
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/sandbox/thread_kind.h"
#include "base/stop_event.h"
#include "base/types.h"
#include "devices/backends/socket_address.h"

namespace armvisor::devices {

struct FrameLinkOptions {
  enum class Kind { Connect, Listen, Datagram, Switch, Vde };
  std::string option;  ///< for messages
  Kind kind = Kind::Connect;
  SocketAddress local{};   ///< of Listen, and of Datagram; for a multicast group: the interface's, which may be none
  SocketAddress remote{};  ///< of Connect, and of Datagram; None if the local one is a descriptor
  std::optional<u32>
      reconnect_ms{};         ///< of Connect: this long after a connection ended or was not to be had; else never
  std::string switch_name{};  ///< of Switch: what all machines call it that are on it
  bool switch_nat = false;    ///< the user-mode network is to be on it as well
  struct Vde {
    std::string place;  ///< as libvdeplug takes it; empty: the usual one
    u32 port = 0;       ///< of the switch; 0: any
    std::string group;  ///< of the socket for frames; empty: the usual one
    u32 mode = 0700;    ///< of the socket for frames
  } vde{};
};

/// A link waits for nobody: frames for which there is no room, or nobody who takes them, are lost. Except for open()
/// and the destructor it is for one thread at a time.
class FrameLink {
 public:
  using Receive = std::function<void(std::span<const u8> frame)>;
  /// What the thread is to wait for before it calls serve() again.
  struct Wait {
    int fd = -1;  ///< -1: none
    short events = 0;
    int timeout_ms = -1;  ///< -1: none
  };
  /// The frames that are given on; others are no frames of Ethernet.
  static constexpr std::size_t k_least_frame = 14, k_largest_frame = 65536;

  /// Binds, and looks names up; an error if that cannot be. It connects later, and goes on if that fails; but with a
  /// VDE switch it connects now, and waits for it until `stop`, if any.
  static Result<std::shared_ptr<FrameLink>> open(const FrameLinkOptions& options, const StopEvent* stop = nullptr);
  virtual ~FrameLink() = default;

  virtual Wait wait() = 0;
  /// Connects, and takes frames that came, a bounded number. True: there may be more.
  virtual bool serve(const Receive& receive) = 0;
  virtual void send(std::span<const u8> frame) = 0;
  /// Nothing more is sent for now.
  virtual void sent_all() {}
  /// What serve() asks of the host, on top of passing frames on.
  virtual ThreadKind duties() const { return {}; }
};

}  // namespace armvisor::devices
