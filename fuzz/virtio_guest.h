#pragma once
// A hostile driver for virtio devices over MMIO: brings a device up properly when the input says so, then writes
// anything into registers, rings and buffers.
#include <atomic>

#include "devices/virtio/mmio.h"
#include "registers.h"

namespace armvisor::fuzz {

class VirtioGuest {
 public:
  static constexpr u64 k_base = 0x40000000, k_size = 1u << 20;
  /// Queue q has its rings at q * k_stride: descriptors, available ring at 0x1000, used ring at 0x2000.
  static constexpr u64 k_stride = 0x4000;

  VirtioGuest(std::unique_ptr<devices::virtio::Device> device, bool legacy)
      : ram_(*GuestRam::create(GuestPa(k_base), k_size)),
        legacy_(legacy),
        transport_(std::move(device), ram_, irq_,
                   legacy ? devices::virtio::MmioVersion::Legacy : devices::virtio::MmioVersion::Modern) {}

  devices::virtio::Device& device() { return transport_.device(); }

  /// Steps until the input ends. `after` lets the device's world act: called after notifications and for opcode 9.
  template <class After>
  void run(Input& in, After after) {
    for (unsigned steps = 0; !in.empty() && steps < 512; ++steps) step(in, after);
  }

 private:
  template <class After>
  void step(Input& in, After after) {
    switch (in.get<u8>() % 10) {
      case 0: {
        const u8 reg = in.get<u8>();
        transport_.mmio_write(u64{reg} * 2 & ~u64{3}, 4, in.get<u32>());
        break;
      }
      case 1: {
        const u16 at = in.get<u16>();
        const u32 size = 1u << (at >> 9 & 3);
        (void)transport_.mmio_read((at & 0x1ff) & ~u64{size - 1}, size);
        break;
      }
      case 2: {
        const u64 at = u64{in.get<u16>()} * 16;
        const auto bytes = in.bytes(in.get<u8>());
        if (!bytes.empty()) (void)ram_.write(GuestPa(k_base + at), bytes);
        break;
      }
      case 3: bring_up(in); break;
      case 4: descriptor(in); break;
      case 5: offer(in); break;
      case 6:
        transport_.mmio_write(0x50, 4, in.get<u8>() & 3);
        after(in);
        break;
      case 7: transport_.mmio_write(0x70, 4, in.get<u8>()); break;
      case 8: {
        const u16 at = in.get<u16>();
        const u32 size = 1u << (at >> 9 & 3);
        transport_.mmio_write((0x100 | (at & 0xff)) & ~u64{size - 1}, size, in.get<u64>() & low_bytes_mask(size));
        break;
      }
      case 9: after(in); break;
    }
  }

  void write(u32 offset, u32 value) { transport_.mmio_write(offset, 4, value); }
  u64 ring(u32 queue, u64 offset) const { return k_base + (queue & 7) * k_stride + offset; }

  void bring_up(Input& in) {
    const u64 features = in.get<u64>() | (legacy_ ? 0 : devices::virtio::k_feature_version_1);
    const u32 size = 1u << (in.get<u8>() % 9);
    write(0x70, 0);
    write(0x70, 1);
    write(0x70, 3);
    for (u32 half = 0; half < 2; ++half) {
      write(0x14, half);
      const u32 offered = static_cast<u32>(transport_.mmio_read(0x10, 4));
      write(0x24, half);
      write(0x20, static_cast<u32>(features >> (32 * half)) & offered);
    }
    if (legacy_) write(0x28, 4096);
    write(0x70, 11);
    for (u32 q = 0; q < 4; ++q) set_up_queue(q, size);
    write(0x70, 15);
  }
  void set_up_queue(u32 q, u32 size) {
    write(0x30, q);
    if (transport_.mmio_read(0x34, 4) == 0) return;
    write(0x38, size);
    available_[q] = 0;
    size_[q] = size;
    if (legacy_) {
      write(0x3c, 4096);
      write(0x40, static_cast<u32>(ring(q, 0) >> 12));
      return;
    }
    const u64 at[] = {ring(q, 0), ring(q, 0x1000), ring(q, 0x2000)};
    for (u32 i = 0; i < 3; ++i) {
      write(0x80 + 0x10 * i, static_cast<u32>(at[i]));
      write(0x84 + 0x10 * i, static_cast<u32>(at[i] >> 32));
    }
    write(0x44, 1);
  }
  void descriptor(Input& in) {
    const u32 queue = in.get<u8>() & 3;
    const u32 index = in.get<u8>();
    const u8 how = in.get<u8>();
    struct {
      u64 address;
      u32 length;
      u16 flags, next;
    } d{k_base + 0x10000 + u64{in.get<u16>()} * 8, in.get<u16>(), static_cast<u16>(how & 7), in.get<u8>()};
    if (how & 0x40) d.address = in.get<u64>();
    if (how & 0x80) d.length = in.get<u32>();
    u8 bytes[16];
    std::memcpy(bytes, &d, 16);
    (void)ram_.write(GuestPa(ring(queue, 16 * u64{index})), bytes);
  }
  void offer(Input& in) {
    const u32 queue = in.get<u8>() & 3;
    const u16 head = in.get<u8>(), slot = available_[queue]++;
    const u32 size = size_[queue];
    const u64 at = legacy_ ? ring(queue, 16 * u64{size}) : ring(queue, 0x1000);
    store16(at + 4 + 2 * u64{slot % size}, head);
    store16(at + 2, available_[queue]);
  }
  void store16(u64 pa, u16 value) {
    u8 bytes[2];
    std::memcpy(bytes, &value, 2);
    (void)ram_.write(GuestPa(pa), bytes);
  }

  GuestRam ram_;
  const bool legacy_;
  NullIrq irq_;
  devices::virtio::MmioTransport transport_;
  u16 available_[4] = {};
  u32 size_[4] = {256, 256, 256, 256};
};

}  // namespace armvisor::fuzz
