#pragma once
// A virtio block device (virtio 1.2 section 5.2) over a DiskBackend.
//
// A worker thread does all of the I/O, so a vCPU never waits for the disk: it takes whatever requests there are, joins
// neighbouring transfers into one, and completes them in order. Data moves between the backend and guest RAM directly.
#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "devices/backends/disk.h"
#include "devices/virtio/device.h"

namespace armvisor::devices::virtio {

struct BlockOptions {
  std::string serial;  ///< up to 20 bytes, read by GET_ID
};

class Block final : public Device {
 public:
  static Result<std::unique_ptr<Block>> create(std::unique_ptr<DiskBackend> backend, BlockOptions options = {});
  ~Block() override;

  std::string_view name() const override { return "virtio-blk"; }
  u32 id() const override { return 2; }
  u64 features() const override;
  std::span<const u16> queue_sizes() const override;
  void read_config(u32 offset, std::span<u8> out) override;
  void write_config(u32 offset, std::span<const u8> in) override;
  void activate(u64 negotiated) override;
  void reset() override;
  void notify(u16 queue) override;

 private:
  struct Request {
    Chain chain;
    u32 type = 0;
    u64 sector = 0;
    u64 bytes = 0;  ///< data, without header and status
  };

  Block(std::unique_ptr<DiskBackend> backend, BlockOptions options);
  void work();
  void drain();
  std::size_t take_batch();
  bool parse(Request& r);
  void execute_batch(std::size_t count);
  std::size_t run_length(std::size_t first, std::size_t count) const;
  bool transfer_together(std::size_t first, std::size_t last);
  u8 execute(Request& r);
  u8 transfer(Request& r);
  u8 discard_or_zero(Request& r);
  u8 get_id(Request& r);
  u8 finish(const char* what, int error);
  void append_vectors(const Request& r);
  bool in_range(u64 sector, u64 bytes) const;
  void complete_request(Request& r, u8 status);
  bool writeback() const;

  const std::unique_ptr<DiskBackend> backend_;
  const BlockOptions options_;
  std::array<u8, 60> config_{};

  std::mutex mutex_;  // guards the flags below; not held during I/O
  std::condition_variable wake_;
  std::condition_variable idle_;
  bool kicked_ = false;
  bool busy_ = false;
  bool stopping_ = false;
  std::atomic<bool> active_{false};
  std::atomic<u64> negotiated_{0};
  std::atomic<bool> config_writeback_{true};

  // The worker's own.
  std::vector<Request> batch_;
  std::vector<iovec> vectors_;
  std::vector<int> warned_;  ///< errors already told of
  std::thread worker_;
};

}  // namespace armvisor::devices::virtio
