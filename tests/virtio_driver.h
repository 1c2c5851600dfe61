#pragma once
// The guest's side of a virtio device, for tests: finds it, negotiates, posts buffers in split rings, waits for used
// ones. It obeys the rules unless a test writes something else into its rings.
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "virtio_registers.h"

namespace armvisor::devices::virtio::testing {

class FakeIrq final : public IrqLine {
 public:
  void set(bool level) override {
    const std::lock_guard lock(mutex_);
    if (level && !level_) ++edges_;
    level_ = level;
    changed_.notify_all();
  }
  bool level() {
    const std::lock_guard lock(mutex_);
    return level_;
  }
  unsigned edges() {
    const std::lock_guard lock(mutex_);
    return edges_;
  }
  bool wait(std::chrono::milliseconds limit = std::chrono::milliseconds(5000)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [this] { return level_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool level_ = false;
  unsigned edges_ = 0;
};

struct Buffer {
  GuestPa pa;
  u32 length;
  bool writable;
};

struct Used {
  u32 id;
  u32 length;
};

class Driver {
 public:
  static constexpr u64 k_base = 0x40000000;
  static constexpr u64 k_ram_size = 32u << 20;
  using enum Reg;
  static constexpr u32 k_needs_reset = 64;

  struct Ring {
    u16 size = 0;
    GuestPa desc, avail, used;
    u16 next_avail = 0, next_used = 0;
    std::vector<u16> free;
    std::map<u16, std::vector<u16>> chains;  ///< descriptors in use by head
  };

  Driver(std::unique_ptr<Device> device, MmioVersion version = MmioVersion::Modern)
      : registers(std::make_unique<MmioRegisters>(std::move(device), ram, irq, version)) {}
  /// Over PCI, by the legacy interface if there is no other.
  Driver(std::unique_ptr<Device> device, PciForm form)
      : registers(std::make_unique<PciRegisters>(std::move(device), ram, irq, form)) {}

  // Registers, as the bus serialises them.
  u32 read(u32 offset, u32 size = 4) {
    const std::lock_guard lock(bus_);
    return static_cast<u32>(registers->read(offset, size));
  }
  void write(u32 offset, u32 value, u32 size = 4) {
    const std::lock_guard lock(bus_);
    registers->write(offset, size, value);
  }
  void any_access(u32 how, u32 where, u32 value) {
    const std::lock_guard lock(bus_);
    registers->any_access(how, where, value);
  }
  u64 offered() {
    write(DeviceFeaturesSel, 1);
    const u64 high = read(DeviceFeatures);
    write(DeviceFeaturesSel, 0);
    return (high << 32) | read(DeviceFeatures);
  }

  /// Reset to FEATURES_OK; false when the device refuses.
  bool negotiate(u64 wanted) {
    features = wanted;
    write(Status, 0);
    write(Status, 1);
    write(Status, 3);
    write(DriverFeaturesSel, 0);
    write(DriverFeatures, static_cast<u32>(wanted));
    write(DriverFeaturesSel, 1);
    write(DriverFeatures, static_cast<u32>(wanted >> 32));
    if (read(Version) == 1) {
      write(GuestPageSize, 4096);
      return true;
    }
    write(Status, 11);
    return (read(Status) & 8) != 0;
  }
  void driver_ok() { write(Status, read(Version) == 1 ? 7 : 15); }

  GuestPa allocate(u64 size, u64 align = 4096) {
    next_ = (next_ + align - 1) & ~(align - 1);
    const GuestPa pa(next_);
    next_ += size;
    if (!ram.contains(pa, size)) std::abort();
    return pa;
  }
  /// What a queue's size is when a driver asks for `size`: over PCI's legacy interface it is the device's.
  u16 size_of_queue(u32 index, u16 size) {
    write(QueueSel, index);
    if (read(Version) != 1 || !dynamic_cast<PciRegisters*>(registers.get())) return size;
    return static_cast<u16>(read(QueueNumMax));
  }
  /// Places the rings (in the legacy layout, which also serves the modern one) without telling the device.
  Ring& place_queue(u32 index, u16 size) {
    Ring r;
    size = size_of_queue(index, size);
    r.size = size;
    r.desc = allocate(3 * 4096 + u64{size} * 32);
    r.avail = r.desc + u64{size} * 16;
    r.used = GuestPa((r.avail.value + 6 + 2u * size + 4095) & ~u64{4095});
    for (u16 i = size; i-- > 0;) r.free.push_back(i);
    if (rings.size() <= index) rings.resize(index + 1);
    rings[index] = r;
    std::memset(ram.host(r.desc), 0, r.used.value + 6 + 8u * size - r.desc.value);
    return rings[index];
  }
  void announce_queue(u32 index) {
    const Ring& r = rings[index];
    write(QueueSel, index);
    write(QueueNum, r.size);
    if (read(Version) == 1) {
      write(QueueAlign, 4096);
      write(QueuePFN, static_cast<u32>(r.desc.value / 4096));
      return;
    }
    write64(QueueDesc, r.desc.value);
    write64(QueueDriver, r.avail.value);
    write64(QueueDevice, r.used.value);
    write(QueueReady, 1);
  }
  void setup_queue(u32 index, u16 size = 16) {
    place_queue(index, size);
    announce_queue(index);
  }
  void write64(u32 low, u64 value) {
    write(low, static_cast<u32>(value));
    write(low + 4, static_cast<u32>(value >> 32));
  }
  /// Everything up to DRIVER_OK.
  bool bring_up(u64 wanted, u32 queues, u16 size = 16) {
    if (!negotiate(wanted)) return false;
    for (u32 i = 0; i < queues; ++i) setup_queue(i, size);
    driver_ok();
    return true;
  }

  void write_descriptor(GuestPa table, u32 index, u64 address, u32 length, u16 flags, u16 next) {
    u8* p = ram.host(table + u64{index} * 16);
    std::memcpy(p, &address, 8);
    std::memcpy(p + 8, &length, 4);
    std::memcpy(p + 12, &flags, 2);
    std::memcpy(p + 14, &next, 2);
  }
  /// Writes a chain; with `indirect` as one descriptor and a table.
  u16 write_chain(u32 queue, const std::vector<Buffer>& buffers, bool indirect = false) {
    Ring& r = rings[queue];
    std::vector<u16> taken;
    const std::size_t n = indirect ? 1 : buffers.size();
    for (std::size_t i = 0; i < n; ++i) {
      taken.push_back(r.free.back());
      r.free.pop_back();
    }
    const GuestPa table = indirect ? allocate(buffers.size() * 16, 16) : r.desc;
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      const bool last = i + 1 == buffers.size();
      const u16 next = last ? u16{0} : indirect ? static_cast<u16>(i + 1) : taken[i + 1];
      write_descriptor(table, indirect ? static_cast<u32>(i) : taken[i], buffers[i].pa.value, buffers[i].length,
                       static_cast<u16>((last ? 0 : 1) | (buffers[i].writable ? 2 : 0)), next);
    }
    if (indirect) write_descriptor(r.desc, taken[0], table.value, static_cast<u32>(buffers.size() * 16), 4, 0);
    r.chains[taken[0]] = taken;
    return taken[0];
  }
  void offer(u32 queue, u16 head) {
    Ring& r = rings[queue];
    std::memcpy(ram.host(r.avail + (4 + 2u * (r.next_avail % r.size))), &head, 2);
    ++r.next_avail;
    store16(r.avail + 2, r.next_avail);
  }
  u16 add(u32 queue, const std::vector<Buffer>& buffers, bool indirect = false) {
    const u16 head = write_chain(queue, buffers, indirect);
    offer(queue, head);
    return head;
  }
  void kick(u32 queue) { write(QueueNotify, queue); }

  std::optional<Used> poll_used(u32 queue) {
    Ring& r = rings[queue];
    if (load16(r.used + 2) == r.next_used) return std::nullopt;
    Used u;
    std::memcpy(&u, ram.host(r.used + (4 + 8u * (r.next_used % r.size))), 8);
    ++r.next_used;
    const auto chain = r.chains.find(static_cast<u16>(u.id));
    if (chain != r.chains.end()) {
      r.free.insert(r.free.end(), chain->second.begin(), chain->second.end());
      r.chains.erase(chain);
    }
    if (features & k_feature_event_idx) store16(r.avail + (4 + 2u * r.size), r.next_used);
    return u;
  }
  /// Where the buffer is whose use poll_used() will tell next.
  GuestPa load_buffer(u32 queue) {
    Ring& r = rings[queue];
    u32 id = 0;
    u64 address = 0;
    std::memcpy(&id, ram.host(r.used + (4 + 8u * (r.next_used % r.size))), 4);
    std::memcpy(&address, ram.host(r.desc + u64{id % r.size} * 16), 8);
    return GuestPa(address);
  }
  /// Waits for interrupts and takes the next used buffer.
  std::optional<Used> wait_used(u32 queue, std::chrono::milliseconds limit = std::chrono::milliseconds(5000)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
      if (auto u = poll_used(queue)) return u;
      const auto now = std::chrono::steady_clock::now();
      if (now >= end) return std::nullopt;
      irq.wait(std::min<std::chrono::milliseconds>(std::chrono::milliseconds(20),
                                                   std::chrono::duration_cast<std::chrono::milliseconds>(end - now)));
      write(InterruptACK, read(InterruptStatus));
    }
  }
  bool wait_status(u32 bits, std::chrono::milliseconds limit = std::chrono::milliseconds(5000)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!(read(Status) & bits)) {
      if (std::chrono::steady_clock::now() >= end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  u16 load16(GuestPa pa) { return __atomic_load_n(reinterpret_cast<u16*>(ram.host(pa)), __ATOMIC_SEQ_CST); }
  void store16(GuestPa pa, u16 v) { __atomic_store_n(reinterpret_cast<u16*>(ram.host(pa)), v, __ATOMIC_SEQ_CST); }
  GuestPa put(std::string_view bytes) {
    const GuestPa pa = allocate(bytes.size(), 16);
    std::memcpy(ram.host(pa), bytes.data(), bytes.size());
    return pa;
  }
  std::string_view view(GuestPa pa, std::size_t size) { return {reinterpret_cast<const char*>(ram.host(pa)), size}; }

  GuestRam ram = *GuestRam::create(GuestPa(k_base), k_ram_size);
  FakeIrq irq;
  std::unique_ptr<Registers> registers;
  Transport& transport = registers->transport();
  std::vector<Ring> rings;
  u64 features = 0;

 private:
  std::mutex bus_;
  u64 next_ = k_base + 0x10000;
};

}  // namespace armvisor::devices::virtio::testing
