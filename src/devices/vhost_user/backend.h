#pragma once
// A program on the host that does the work of a virtio device (vhost-user), as this process sees it: it is connected
// to, or started, once, and outlives resets of the machine.
//
// It is given guest RAM and the memory of the rings, of which neither can be made shorter, and no address of this
// process. It may write to RAM at any time, as a device may; that it has done so is told to the engine by the device
// (virtio/vhost_user.h) for what it was given. What it says is checked, and what it does not say in time is an error,
// after which it is broken: nothing is asked of it any more, and one that was started here is killed.
//
// Threads: create() is the thread's that runs the machine; start(), stop() and fail() are the device's thread's, of
// which there is one at a time; what else there is has (any thread).
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/child_process.h"
#include "base/fd.h"
#include "base/result.h"
#include "base/stop_event.h"
#include "devices/vhost_user/connection.h"
#include "devices/vhost_user/options.h"
#include "devices/vhost_user/shadow_ring.h"
#include "memory/guest_ram.h"

namespace armvisor::devices::vhost_user {

/// Where the program finds the rings' memory, beside guest RAM: behind all that a guest can have.
inline constexpr u64 k_rings_address = u64{1} << 44;

/// Rings in memory that both share, and how they tell each other of what is in them.
class Rings {
 public:
  static Result<Rings> create(u32 count);

  u32 count() const { return static_cast<u32>(rings_.size()); }
  ShadowRing& at(u32 ring) { return rings_[ring]; }
  const ShadowRing& at(u32 ring) const { return rings_[ring]; }
  int memory() const { return memory_.get(); }
  u64 bytes() const { return map_.size(); }
  int kick_fd(u32 ring) const { return kicks_[ring].get(); }
  int call_fd() const { return call_.get(); }  ///< one for all of them
  void kick(u32 ring) const;
  void take_call() const;

 private:
  Fd memory_, call_;
  Mapping map_;
  std::vector<ShadowRing> rings_;
  std::vector<Fd> kicks_;
};

class Backend {
 public:
  /// `stop` ends the waiting.
  static Result<std::shared_ptr<Backend>> create(Options options, const StopEvent* stop);
  ~Backend();

  const Options& options() const { return options_; }
  u64 features() const { return features_; }  ///< those of the device's type that it offers, and that are known here
  std::span<const u8> config() const { return config_; }  ///< as the program says it; empty: it is not the program's

  /// From here on it serves the rings, which are empty. False: it is broken.
  bool start(const GuestRam& ram, const Rings& rings, u64 features);
  /// Afterwards it uses neither rings nor RAM, unless it is broken.
  void stop(const Rings& rings);
  /// It did what it may not, or is gone.
  void fail(const std::string& found);
  bool broken() const { return broken_; }  ///< (any thread)
  /// Readable when it says something by itself, which it may not, or is gone; -1: it is broken.
  int fd() const { return broken_ ? -1 : connection_.fd(); }
  /// (any thread) Nobody waits for it from now on.
  void machine_ends() { ending_->set(); }

 private:
  Backend(Options options, Fd socket, std::optional<ChildProcess> process, std::unique_ptr<StopEvent> ending);
  static Result<std::shared_ptr<Backend>> serve(const Options& options, Fd socket, std::optional<ChildProcess> process,
                                                std::string_view advice, const StopEvent* stop);
  static Result<std::shared_ptr<Backend>> start_program(const Options& options, const StopEvent* stop);
  Status negotiate();
  Status negotiate_protocol();
  Status set_up(const GuestRam& ram, const Rings& rings, u64 features);
  Status set_up_ring(const Rings& rings, u32 ring);
  Status tell(Request request, std::span<const u8> payload, std::span<const int> fds = {});
  Error no_backend(const std::string& found, std::string_view advice);

  const Options options_;
  Connection connection_;
  std::optional<ChildProcess> process_;  ///< if it was started here
  const std::unique_ptr<StopEvent> ending_;
  u64 offered_ = 0, protocol_ = 0, features_ = 0;
  std::vector<u8> config_;
  std::atomic<bool> broken_{false};
};

}  // namespace armvisor::devices::vhost_user
