#pragma once
// A virtio console (virtio 1.2 section 5.3) with one port.
//
// Output goes to a sink on the notifying vCPU's thread. Input comes from any thread into a bounded queue, from which
// it moves to the guest's buffers as there are some.
#include <functional>
#include <mutex>
#include <vector>

#include "devices/virtio/device.h"

namespace armvisor::devices::virtio {

class Console final : public Device {
 public:
  using Sink = std::function<void(std::span<const u8>)>;
  static constexpr std::size_t k_input_capacity = 4096;

  explicit Console(Sink sink) : sink_(std::move(sink)) {}

  /// Takes input for the guest: as much as there is room for; returns how much that was. (any thread)
  std::size_t input(std::span<const u8> bytes);
  /// Called when room has come after input() took less than it was given. Set before the machine runs.
  void on_room(std::function<void()> callback) { room_ = std::move(callback); }
  /// The terminal's size, told to the guest. (any thread)
  void resize(u16 columns, u16 rows);

  std::string_view name() const override { return "virtio-console"; }
  u32 id() const override { return 3; }
  u64 features() const override;
  std::span<const u16> queue_sizes() const override;
  void read_config(u32 offset, std::span<u8> out) override;
  void write_config(u32 offset, std::span<const u8> in) override;
  void activate(u64 negotiated) override;
  void reset() override;
  void notify(u16 queue) override;

 private:
  void transmit();
  bool deliver();  ///< true when input that found no room may be tried again
  std::optional<u32> send(const Chain& chain);

  const Sink sink_;
  std::function<void()> room_;
  std::mutex mutex_;  // guards what follows and the receive queue
  bool active_ = false;
  u16 columns_ = 0;
  u16 rows_ = 0;
  std::vector<u8> pending_;
  bool starved_ = false;  ///< input() took less than it was given
  Chain receive_chain_;
  Chain transmit_chain_;  // of the notifying thread
};

}  // namespace armvisor::devices::virtio
