#pragma once
// A virtio device type, independent of its transport, and what the transport gives it.
#include <atomic>
#include <optional>
#include <span>
#include <string_view>

#include "base/types.h"
#include "devices/virtio/queue.h"
#include "measure/steps.h"
#include "memory/guest_ram.h"

namespace armvisor::devices::virtio {

/// A count that any thread may add to and read.
class Counter {
 public:
  void add(u64 n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  u64 get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<u64> value_{0};
};

/// What every device counts.
struct DeviceCounters {
  Counter requests;        ///< chains completed
  Counter bytes_to_guest;  ///< payload
  Counter bytes_from_guest;
  Counter errors;         ///< requests that failed
  Counter dropped;        ///< frames or input given up for want of room
  Counter notifications;  ///< QueueNotify writes
  Counter interrupts;     ///< used-buffer and configuration interrupts raised
};

/// The transport, as a device sees it. (any thread)
class DeviceHost {
 public:
  virtual GuestRam& ram() = 0;
  virtual Queue& queue(u16 index) = 0;
  virtual void used_buffers(u16 queue) = 0;  ///< raises a used-buffer interrupt
  virtual void config_changed() = 0;         ///< new configuration generation, and its interrupt
  virtual void needs_reset(u16 queue, QueueFault fault) = 0;

 protected:
  ~DeviceHost() = default;
};

/// Threads: read_config to notify are called by the transport, one at a time (the bus serialises them). A device whose
/// requests may have to wait has a QueueWorker, and guards itself what its functions and serving share. attach comes
/// first and once; the destructor ends the workers, after they completed what they had taken.
class Device {
 public:
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  virtual std::string_view name() const = 0;
  virtual u32 id() const = 0;                            ///< virtio 1.2 section 5
  virtual u64 features() const = 0;                      ///< of the device type, bits 0 to 23
  virtual std::span<const u16> queue_sizes() const = 0;  ///< the maximum size of each queue

  /// Of its configuration structure, if that is longer in some devices of the type than in others.
  virtual u32 config_bytes() const { return 0; }
  /// Reads beyond the structure give zeros; the transport has filled `out` with them.
  virtual void read_config(u32 offset, std::span<u8> out) = 0;
  virtual void write_config(u32 offset, std::span<const u8> in) {
    (void)offset;
    (void)in;
  }
  /// The driver is ready: `negotiated` holds, and queues that were enabled may be used.
  virtual void activate(u64 negotiated) = 0;
  /// Back to the initial state. When it returns, no thread of the device uses a queue or writes guest memory.
  virtual void reset() = 0;
  /// New buffers in a queue of an active device.
  virtual void notify(u16 queue) = 0;

  /// The queue whose requests are timed.
  virtual u16 request_queue() const { return 0; }

  void attach(DeviceHost& host) { host_ = &host; }
  measure::StepTimes& steps() { return steps_; }
  DeviceCounters& counters() { return counters_; }
  const DeviceCounters& counters() const { return counters_; }

 protected:
  Device() = default;
  DeviceHost& host() { return *host_; }
  Queue& queue(u16 index) { return host_->queue(index); }
  GuestRam& ram() { return host_->ram(); }
  /// The next chain of a queue; false when there is none or the queue is broken, which it has then reported.
  bool next(u16 index, Chain& chain) {
    switch (queue(index).pop(chain)) {
      case Queue::Pop::Got:
        if (index == request_queue()) {
          steps_.end(measure::Step::Notice);
          steps_.begin(measure::Step::Serve);
        }
        return true;
      case Queue::Pop::Empty:
        if (index == request_queue()) steps_.forget(measure::Step::Notice);
        return false;
      case Queue::Pop::Faulted: host_->needs_reset(index, queue(index).fault()); return false;
    }
    return false;
  }
  /// Stops a queue whose driver sent what the device type does not allow.
  void malformed(u16 index) {
    queue(index).set_fault(QueueFault::MalformedRequest);
    host_->needs_reset(index, QueueFault::MalformedRequest);
  }
  void complete(u16 index, const Chain& chain, u32 written) {
    queue(index).push(chain.head, written);
    counters_.requests.add();
  }
  /// Answers the chains of a queue as they come, until there are none or `wanted()` is false: `answer` gives the bytes
  /// that it wrote, or nothing for what the device type does not allow. `chain` is kept for its memory.
  template <class Wanted, class Answer>
  void serve(u16 index, Chain& chain, Wanted wanted, Answer answer) {
    do {
      queue(index).disable_notifications();
      while (wanted() && next(index, chain)) {
        if (const std::optional<u32> written = answer(chain))
          complete(index, chain, *written);
        else
          malformed(index);
      }
    } while (wanted() && queue(index).enable_notifications());
    interrupt(index);
  }
  void interrupt(u16 index) {
    if (index == request_queue()) steps_.end(measure::Step::Serve);
    if (queue(index).take_interrupt()) host_->used_buffers(index);
  }
  /// Copies from the configuration structure `config`.
  static void copy_config(std::span<const u8> config, u32 offset, std::span<u8> out) {
    for (std::size_t i = 0; i < out.size() && offset + i < config.size(); ++i) out[i] = config[offset + i];
  }

  DeviceCounters counters_;
  measure::StepTimes steps_;

 private:
  DeviceHost* host_ = nullptr;
};

}  // namespace armvisor::devices::virtio
