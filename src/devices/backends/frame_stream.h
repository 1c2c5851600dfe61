#pragma once
// Frames in QEMU's framing, both ways, over a stream socket that is connected. It waits for nobody: what the peer does
// not take is kept up to a bound, and lost beyond.
#include <poll.h>

#include <functional>
#include <vector>

#include "base/fd.h"
#include "devices/backends/frame_reader.h"

namespace armvisor::devices {

/// For one thread at a time.
class FrameStream {
 public:
  /// Bytes that wait for a peer who takes none; a frame beyond them is lost.
  static constexpr std::size_t k_most_waiting = 1 << 20;
  enum class Came {
    All,    ///< nothing more is there
    More,   ///< there may be more
    Gone,   ///< the peer has gone: the stream is of no more use
    Wrong,  ///< it sent a length that no frame has: likewise
  };

  explicit FrameStream(Fd socket);

  int fd() const { return socket_.get(); }
  /// What poll(2) is to wait for.
  short events() const { return static_cast<short>(POLLIN | (waiting_.empty() ? 0 : POLLOUT)); }
  /// Keeps the frame until flush(). False: it is lost for want of room.
  bool send(std::span<const u8> frame);
  /// Hands on what the peer takes now. False: the peer has gone.
  bool flush();
  /// Gives frames, of any length, to `frame`: a bounded number.
  Came receive(const std::function<void(std::span<const u8>)>& frame);

 private:
  Fd socket_;
  FrameReader reader_;
  std::vector<u8> waiting_;  ///< to be sent
  std::size_t sent_ = 0;     ///< of waiting_
  bool gone_ = false;
};

}  // namespace armvisor::devices
