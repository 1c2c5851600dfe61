#pragma once
// A character device at the other end of the guest's connections to an address of its network (guestfwd=).
//
// libslirp connects each of them to a Unix socket of this object's, so that it holds a guest back by its window when
// the device takes no more, and counts a connection as any other. What all of them send goes to the device; what comes
// from it goes to the newest, or waits for one, as in QEMU. The guest is not told that the device's peer comes or goes.
// A connection that the guest has ended still hears what comes until there is a newer one.
//
// What the guest was told has arrived reaches the device when the network ends, too: as long as the device takes some
// within a second, and somebody waits for its reader at all (Chardev::hurried()).
//
// Memory: 4 KiB for what the device has no room for, and the host's buffers of each socket. Nothing is read meanwhile,
// of any connection. Locks: mutex_ is a leaf but for the device's offer().
#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "base/wake_event.h"

namespace armvisor::devices {

class Chardev;

class GuestLine {
 public:
  /// `line` outlives it and has no other user; null: nobody is there, and what is sent is dropped.
  static Result<std::unique_ptr<GuestLine>> create(Chardev* line);
  ~GuestLine();  ///< after libslirp's sockets were closed

  /// How long a device may take nothing before the rest of what is to go to it at the end is dropped.
  static constexpr int k_patience_ms = 1000;

  /// Leads to the socket while this lives, in this process alone.
  const std::string& path() const { return path_; }

 private:
  struct Connection {
    Fd socket;
    bool ended = false;  ///< nothing more comes of the guest
    bool deaf = false;   ///< nothing more can be sent to it
  };

  GuestLine(Chardev* line, WakeEvent wake) : line_(line), wake_(std::move(wake)) {}
  Status open();
  std::size_t take_input(std::span<const u8> bytes);
  void run();
  void finish();
  bool finish_offer();
  void wait();
  void accept_all();
  void serve();
  void receive(Connection& connection);
  bool offer(std::span<const u8> bytes);
  Connection* newest();

  Chardev* const line_;
  const WakeEvent wake_;
  Fd listening_, place_;  ///< place_ names the socket, whose file is gone
  std::string path_;
  std::atomic<bool> stopping_{false};
  std::vector<u8> waiting_;            ///< for room in the device. Of the thread, as what follows
  bool accepts_ = true;                ///< false: for want of descriptors it tries again later
  std::mutex mutex_;                   // guards what follows
  std::list<Connection> connections_;  ///< the newest last
  bool held_back_ = false;             ///< the newest one takes no more for now
  bool refused_ = false;               ///< the device has input that was not taken
  std::thread thread_;
};

}  // namespace armvisor::devices
