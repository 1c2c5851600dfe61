#pragma once
// What goes over a network, in a file of the pcap format (libpcap's pcap-savefile(5), version 2.4), as QEMU's
// filter-dump writes it. A dump outlives the machine that it is given to, so that a reset of the machine does not empty
// the file.
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/outlet.h"
#include "base/output_file.h"
#include "base/result.h"
#include "devices/backends/network.h"

namespace armvisor::devices {

struct DumpOptions {
  static constexpr u32 k_usual_bytes = 65536;
  enum class Direction : u8 { Both, FromGuest, ToGuest };
  std::string option;  ///< for messages
  std::string path;
  u32 most_bytes = k_usual_bytes;  ///< of a frame; what is longer is cut off
  Direction direction = Direction::Both;
  bool on = true;  ///< else the file has no frames
};

/// A dump waits for the host's file system, as a disk does, but not for the reader of a FIFO: frames for which that has
/// left no room are missing. For one thread at a time, unless it says otherwise.
class PacketDump {
 public:
  /// Bytes that wait to be written at most.
  static constexpr std::size_t k_most_waiting = 4 << 20;

  /// Checks that the file can be written, and leaves all as it is. `inputs`: files that the machine reads.
  static Result<std::shared_ptr<PacketDump>> open(const DumpOptions& options, const std::vector<std::string>& inputs);
  ~PacketDump();

  /// Empties the file, and begins it. Once.
  Status start();
  void add(std::span<const u8> frame, bool from_guest);
  void give_up();  ///< (any thread) from now on nothing waits
  void drain();    ///< (any thread, once started) waits until all is written

 private:
  PacketDump(const DumpOptions& options, OutputFile file) : options_(options), file_(std::move(file)) {}
  void put(std::span<const u8> record);

  const DumpOptions options_;
  OutputFile file_;
  bool waits_ = false;  ///< the file is a regular one
  std::mutex mutex_;    ///< guards given_up_, and that outlet_ is set
  bool given_up_ = false;
  std::unique_ptr<Outlet> outlet_;
  std::vector<u8> record_;
};

/// A network whose frames are also in dumps, both ways.
class DumpedNetwork final : public NetworkBackend, private NetworkClient {
 public:
  DumpedNetwork(std::unique_ptr<NetworkBackend> network, std::vector<std::shared_ptr<PacketDump>> dumps)
      : network_(std::move(network)), dumps_(std::move(dumps)) {}

  Status start(NetworkClient& client) override;
  void stop() override { network_->stop(); }
  void wake() override { network_->wake(); }
  void send(std::span<const u8> frame) override;

 private:
  bool transmit_pending() override { return client_->transmit_pending(); }
  void receive(std::span<const u8> frame) override;
  void received_all() override { client_->received_all(); }

  const std::unique_ptr<NetworkBackend> network_;
  const std::vector<std::shared_ptr<PacketDump>> dumps_;
  NetworkClient* client_ = nullptr;
};

}  // namespace armvisor::devices
