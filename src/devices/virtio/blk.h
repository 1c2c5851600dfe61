#pragma once
// A virtio block device (virtio 1.2 section 5.2) over a DiskBackend.
//
// Who serves the queue (queue_worker.h) takes whatever requests there are, joins neighbouring transfers into one, and
// completes them in order. Data moves between the backend and guest RAM directly. A vCPU never waits for the disk: on
// its thread only short reads are done, and only if the backend has the data at hand (BlockOptions::in_place).
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "devices/backends/disk.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue_worker.h"

namespace armvisor::devices::virtio {

struct BlockOptions {
  std::string serial;          ///< up to 20 bytes, read by GET_ID
  bool in_place = true;        ///< short reads of what the host has cached are done by the vCPU that asks for them
  bool write_through = false;  ///< each write is flushed, and the driver knows of no cache that it would flush
  bool unmap = true;           ///< what is discarded need not stay allocated
};

class Block final : public Device {
 public:
  static Result<std::unique_ptr<Block>> create(std::shared_ptr<DiskBackend> backend, BlockOptions options = {});

  std::string_view name() const override { return "virtio-blk"; }
  u32 id() const override { return 2; }
  u64 features() const override;
  std::span<const u16> queue_sizes() const override;
  void read_config(u32 offset, std::span<u8> out) override;
  void write_config(u32 offset, std::span<const u8> in) override;
  void activate(u64 negotiated) override;
  void reset() override;
  void notify(u16 queue) override { worker_.notify(queue); }

 private:
  struct Request {
    Chain chain;
    u32 type = 0;
    u64 sector = 0;
    u64 bytes = 0;  ///< data, without header and status
  };

  Block(std::shared_ptr<DiskBackend> backend, BlockOptions options);
  QueueWorker::Work work();
  template <class Some>
  bool drain(Some some);
  void take_batch();
  bool parse(Request& r);
  void execute_batch();
  bool execute_in_place(u64& left);
  bool read_at_once(Request& r);
  std::size_t run_length(std::size_t first, std::size_t count) const;
  bool transfer_together(std::size_t first, std::size_t last);
  std::size_t gather_group();
  void execute_group();
  u8 execute(Request& r);
  u8 answer(Request& r);
  u8 transfer(Request& r);
  u8 discard_or_zero(Request& r);
  u8 get_id(Request& r);
  u8 finish(const char* what, int error);
  void append_vectors(const Request& r);
  bool in_range(u64 sector, u64 bytes) const;
  void complete_request(Request& r, u8 status);
  bool writeback() const;

  const std::shared_ptr<DiskBackend> backend_;  ///< no other thread than this device's uses it
  const BlockOptions options_;
  std::array<u8, 60> config_{};

  std::atomic<u64> negotiated_{0};
  std::atomic<bool> config_writeback_{true};

  // Who serves the queue has these.
  std::vector<Request> batch_;
  std::size_t next_ = 0, taken_ = 0;  ///< batch_[next_] to [taken_ - 1] were taken from the queue and wait
  std::vector<iovec> vectors_;
  struct Run {
    std::size_t first, last;    ///< requests of batch_ that are one transfer, without the last
    std::size_t vectors_begin;  ///< where its data begins in vectors_
  };
  std::vector<Run> runs_;
  std::vector<DiskTransfer> transfers_;  ///< one for each of runs_
  QueueWorker worker_;
};

}  // namespace armvisor::devices::virtio
