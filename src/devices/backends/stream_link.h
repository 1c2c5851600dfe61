#pragma once
// Frames over a stream socket: one peer at a time, who connects to us or to whom we connect.
#include <chrono>
#include <optional>
#include <vector>

#include "devices/backends/frame_link.h"
#include "devices/backends/frame_stream.h"

namespace armvisor::devices {

class StreamLink final : public FrameLink {
 public:
  static Result<std::shared_ptr<FrameLink>> open(const FrameLinkOptions& options);
  ~StreamLink() override;

  Wait wait() override;
  bool serve(const Receive& receive) override;
  void send(std::span<const u8> frame) override;
  void sent_all() override;
  ThreadKind duties() const override;

 private:
  using Clock = std::chrono::steady_clock;

  explicit StreamLink(const FrameLinkOptions& options) : options_(options) {}
  bool is_server() const { return options_.kind == FrameLinkOptions::Kind::Listen; }
  const SocketAddress& place() const { return is_server() ? options_.local : options_.remote; }
  void accept();
  void connect();
  void finish_connecting();
  void connected(Fd socket);
  void not_connected(int error);
  void disconnect();
  void try_again_after(u32 ms) { next_try_ = Clock::now() + std::chrono::milliseconds(ms); }
  bool receive_some(const Receive& receive);

  const FrameLinkOptions options_;
  std::vector<HostAddress> addresses_;  ///< of a client
  std::size_t address_ = 0;             ///< of those, the one that is tried now
  Fd listening_;                        ///< of a server
  Fd connecting_;                       ///< of a client: not connected yet
  std::optional<FrameStream> peer_;
  /// When to connect, or to accept; nothing: a client has done with it, a server is free to.
  std::optional<Clock::time_point> next_try_;
};

}  // namespace armvisor::devices
