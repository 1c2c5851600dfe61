#pragma once
// A virtio SCSI host (virtio 1.2 section 5.6) with logical units of its own (devices/scsi/unit.h). One thread serves
// it: commands are done one after the other, in their order, so that a task that is to be aborted is never under way.
#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "devices/scsi/unit.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue_worker.h"

namespace armvisor::devices::virtio {

/// A unit's address: there is one channel.
struct ScsiAddress {
  u8 target = 0;
  u16 lun = 0;  ///< up to k_max_lun
  constexpr bool operator==(const ScsiAddress&) const = default;
  static constexpr u16 k_max_lun = 16383, k_max_target = 255;
};

class Scsi final : public Device {
 public:
  struct Place {
    ScsiAddress address;
    std::unique_ptr<scsi::Unit> unit;
  };

  /// Addresses differ.
  static Result<std::unique_ptr<Scsi>> create(std::vector<Place> units);

  std::string_view name() const override { return "virtio-scsi"; }
  u32 id() const override { return 8; }
  u64 features() const override { return 0; }
  std::span<const u16> queue_sizes() const override;
  void read_config(u32 offset, std::span<u8> out) override;
  void write_config(u32 offset, std::span<const u8> in) override;
  void activate(u64) override { worker_.activate(); }
  void reset() override;
  void notify(u16 queue) override { worker_.notify(queue); }
  u16 request_queue() const override { return k_requests; }

 private:
  static constexpr u16 k_control = 0, k_events = 1, k_requests = 2;

  explicit Scsi(std::vector<Place> units);
  void serve_queue(u16 index);
  std::optional<u32> answer_control(Chain& chain);
  std::optional<u32> answer_request(Chain& chain);
  scsi::Reply execute(const u8* lun, const scsi::Command& command);
  scsi::Unit* find(const u8* lun) const;
  bool has_target(u8 target) const;
  scsi::Reply report_luns(u8 target, const scsi::Command& command) const;

  const std::vector<Place> units_;
  std::mutex config_mutex_;  // guards what the driver may set
  u32 sense_size_, cdb_size_;

  // Who serves has these.
  Chain chain_;
  std::vector<iovec> in_, out_;
  QueueWorker worker_;
};

}  // namespace armvisor::devices::virtio
