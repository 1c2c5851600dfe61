#pragma once
// A virtio console (virtio 1.2 section 5.3): one port, or several that the driver finds by control messages.
//
// What a port sends goes to its line on the notifying vCPU's thread, as long as the line takes it; then the buffer is
// kept, and the queue stands still, until the line takes something again, on a thread of the line's. Input comes on
// that thread into a bounded queue, from which it moves to the guest's buffers as there are some.
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "devices/chardev/chardev.h"
#include "devices/virtio/device.h"

namespace armvisor::devices::virtio {

struct ConsolePort {
  Chardev* line = nullptr;  ///< outlives the device; null: nobody is at its other end
  bool console = true;      ///< a console, which is open whoever is at its other end; else a port that has a name
  std::string name{};
  u32 number = 0;  ///< each its own, below Console::k_max_ports; only 0 can be used by a driver without MULTIPORT
};

class Console final : public Device {
 public:
  static constexpr std::size_t k_input_capacity = 4096;
  static constexpr u32 k_max_ports = 31;
  /// Control messages that wait for the driver's buffers; what is more is lost.
  static constexpr std::size_t k_max_messages = 128;

  /// One port, a console with the terminal's size.
  explicit Console(Chardev* line);
  /// Any number, with the feature VIRTIO_CONSOLE_F_MULTIPORT.
  explicit Console(std::vector<ConsolePort> ports);
  ~Console() override;

  std::string_view name() const override { return "virtio-console"; }
  u32 id() const override { return 3; }
  u64 features() const override;
  std::span<const u16> queue_sizes() const override { return queue_sizes_; }
  void read_config(u32 offset, std::span<u8> out) override;
  void write_config(u32 offset, std::span<const u8> in) override;
  void activate(u64 negotiated) override;
  void reset() override;
  void notify(u16 queue) override;

 private:
  class Port;
  Console(std::vector<ConsolePort> ports, bool multiport);
  Port* port(u32 number);
  void resize(TerminalSize size);
  void receive_control();
  void handle(u32 id, u16 event, u16 value);
  void tell(u32 id, u16 event, u16 value, std::string_view more = {});
  void send_control();

  const bool multiport_;
  std::vector<u16> queue_sizes_;
  Chain control_in_;                          // of the notifying thread
  std::mutex mutex_;                          // guards what follows and the queue of messages to the driver
  bool active_ = false, controlled_ = false;  ///< MULTIPORT was negotiated
  TerminalSize size_{};
  std::deque<std::vector<u8>> messages_;
  Chain control_out_;
  std::vector<std::unique_ptr<Port>> ports_;  ///< last, so that their lines are let go first
};

}  // namespace armvisor::devices::virtio
