#pragma once
// A disk that another program serves by the NBD protocol (libnbd): one that we started for an image of some format, or
// any that listens at an address.
//
// Up to 16 requests of up to 1 MiB each are under way at once, each straight to or from its buffers if these are one
// piece of memory, and by way of one of 16 buffers of 256 KiB if they are not. A server that ends, or breaks the
// protocol, is an error for each request from then on; it is not called again, since what it had not yet put on stable
// storage may be lost.
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "base/fd.h"
#include "base/result.h"
#include "base/stop_event.h"
#include "devices/backends/disk.h"

struct nbd_handle;

namespace armvisor::devices {

/// Whether a disk's name is an address: nbd://HOST[:PORT]/EXPORT, nbd+unix:///EXPORT?socket=PATH, and with TLS nbds.
bool is_nbd_address(std::string_view name);

struct NbdOptions {
  bool read_only = false;
  bool ignore_flush = false;  ///< what is written need not outlive the host
};

class NbdDisk final : public DiskBackend {
 public:
  /// Waits for the server, half a minute at most and until `stop`, if any, is set.
  static Result<std::unique_ptr<NbdDisk>> connect(const std::string& address, NbdOptions options,
                                                  const StopEvent* stop);
  /// The export of a server of ours, at the other end of `socket`; waits until it answers or ends. `name` is the image.
  static Result<std::unique_ptr<NbdDisk>> serve(ChildProcess server, Fd socket, std::string name, NbdOptions options,
                                                const StopEvent* stop);
  /// Flushes, and ends the server if it is ours.
  ~NbdDisk() override;

  u64 size() const override { return size_; }
  bool read_only() const override { return options_.read_only; }
  std::string_view path() const override { return name_; }
  bool parallel() const override { return true; }
  void transfer(std::span<DiskTransfer> all) override;
  int read(std::span<iovec> to, u64 offset) override;
  int write(std::span<iovec> from, u64 offset) override;
  int flush() override;
  int discard(u64 offset, u64 size) override;
  int write_zeroes(u64 offset, u64 size, bool unmap) override;
  void machine_ends() override { ending_->set(); }
  /// The process that serves it, if that is ours. For tests.
  std::optional<int> server_id() const;

 private:
  static constexpr std::size_t k_slots = 16, k_slot_bytes = 256 * 1024;
  /// A request under way.
  struct Slot {
    bool busy = false;
    u64 cookie = 0;
    DiskTransfer* transfer = nullptr;
    std::vector<iovec> parts;  ///< where what was read goes from the slot's buffer; empty: it went there itself
    std::size_t bytes = 0;
  };

  NbdDisk(std::string name, NbdOptions options);
  Status prepare();
  Status finish_connect(const StopEvent* stop, int patience_ms);
  Status look_at_export();
  Error no_answer(const std::string& found);
  std::string server_says();
  bool issue(Slot& slot, DiskTransfer& t, u64& at);
  bool collect();
  int wait_events(int timeout_ms, const StopEvent* other);
  int step();
  int complete(s64 cookie, const char* what);
  void lose(const std::string& why);
  void disconnect();
  u8* buffer(const Slot& slot) {
    return buffers_.data() + static_cast<std::size_t>(&slot - slots_.data()) * k_slot_bytes;
  }

  const std::string name_;
  NbdOptions options_;
  u64 size_ = 0;
  std::unique_ptr<StopEvent> ending_;
  std::optional<u64> patience_ends_ms_;  ///< when ending_ was seen, the time until which a server may keep us waiting
  std::optional<ChildProcess> server_;
  struct Close {
    void operator()(nbd_handle* h) const;
  };
  std::unique_ptr<nbd_handle, Close> nbd_;  ///< null: the server is lost
  bool can_flush_ = false, can_trim_ = false, can_zero_ = false;
  bool ready_ = false;  ///< connected, and not lost since
  bool unflushed_ = false;
  std::array<Slot, k_slots> slots_;
  Mapping buffers_;
};

}  // namespace armvisor::devices
