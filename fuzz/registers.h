#pragma once
// Drives the registers of a device as a hostile guest would, and fakes of what devices need.
#include <functional>
#include <map>

#include "devices/clock.h"
#include "devices/device.h"
#include "input.h"

namespace armvisor::fuzz {

class NullIrq final : public devices::IrqLine {
 public:
  void set(bool) override {}
};

/// Time that moves when the input says so, and its timers.
class FakeTime final : public devices::Clock, public devices::TimerQueue {
 public:
  u64 now_ns() override { return now_; }
  u64 realtime_s() override { return 1'700'000'000 + now_ / 1'000'000'000; }
  Id add(std::function<void()> callback) override {
    timers_[++last_] = {std::move(callback), ~u64{0}};
    return last_;
  }
  void arm(Id id, u64 deadline_ns) override { timers_.at(id).deadline = deadline_ns; }
  void disarm(Id id) override { timers_.at(id).deadline = ~u64{0}; }
  void remove(Id id) override { timers_.erase(id); }

  /// Lets time pass and due timers fire, each at most once.
  void advance(u64 ns) {
    now_ += ns;
    for (auto& [id, t] : timers_) {
      if (t.deadline > now_) continue;
      t.deadline = ~u64{0};
      t.callback();
    }
  }

 private:
  struct Timer {
    std::function<void()> callback;
    u64 deadline;
  };
  u64 now_ = 0;
  Id last_ = 0;
  std::map<Id, Timer> timers_;
};

/// The bits of an access of `size` bytes.
constexpr u64 low_bytes_mask(u32 size) { return size == 8 ? ~u64{0} : (u64{1} << (size * 8)) - 1; }

/// One step per opcode byte: bit 0 write, bits 1-2 log2 of the size, bits 3-7 for `extra`, which may take the step.
template <class Read, class Write, class Extra>
void drive(Input& in, u64 region, Read read, Write write, Extra extra) {
  for (unsigned steps = 0; !in.empty() && steps < 4096; ++steps) {
    const u8 op = in.get<u8>();
    if (extra(op >> 3)) continue;
    const u32 size = 1u << ((op >> 1) & 3);
    const u64 offset = in.get<u16>() % (region - size + 1);  // aligned or not
    if (op & 1)
      write(offset, size, in.get<u64>() & low_bytes_mask(size));
    else
      read(offset, size);
  }
}

/// drive() on a device of the bus.
template <class Extra>
void drive(Input& in, devices::MmioDevice& device, u64 region, Extra extra) {
  drive(
      in, region,
      [&](u64 offset, u32 size) {
        if (device.mmio_read(offset, size) & ~low_bytes_mask(size)) fail("a read wider than the access");
      },
      [&](u64 offset, u32 size, u64 value) { device.mmio_write(offset, size, value); }, extra);
}

}  // namespace armvisor::fuzz
