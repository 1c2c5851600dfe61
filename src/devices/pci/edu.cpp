#include "devices/pci/edu.h"

namespace armvisor::devices::pci {
namespace {

constexpr Identity k_identity = {.vendor = 0x1234,
                                 .device = 0x11e8,
                                 .class_code = 0x00ff00,
                                 .revision = 0x10,
                                 .subsystem_vendor = 0x1af4,
                                 .subsystem = 0x1100};

enum Register : u64 {
  Identification = 0x00,
  Inverted = 0x04,
  Factorial = 0x08,
  Status = 0x20,
  Causes = 0x24,
  Raise = 0x60,
  Acknowledge = 0x64,
  DmaSource = 0x80,
  DmaDestination = 0x88,
  DmaCount = 0x90,
  DmaCommand = 0x98,
};
constexpr u32 k_identification = 0x010000ed;
constexpr u32 k_status_interrupt = 0x80;  ///< when a factorial is there
constexpr u32 k_cause_factorial = 0x1, k_cause_dma = 0x100;
constexpr u64 k_dma_run = 1, k_dma_to_ram = 2, k_dma_interrupt = 4;

/// Modulo 2^32: from 34 on it is zero.
u32 factorial(u32 n) {
  if (n >= 34) return 0;
  u32 product = 1;
  for (; n > 0; --n) product *= n;
  return product;
}

}  // namespace

Edu::Edu(GuestRam& ram, const Wires& wires, u64 dma_mask)
    : Function(k_identity, wires.intx), ram_(ram), sink_(wires.sink), dma_mask_(dma_mask) {
  add_bar({0, BarKind::Memory, k_region_size, this});
  config().set(InterruptPin, 1, 1);
  // Messages without MSI-X (PCI Local Bus Specification 3.0, 6.8.1): one vector, an address of 64 bits.
  constexpr u8 k_messages = 0x05, k_wide = 0x80;
  constexpr std::array<u8, 12> k_body = {k_wide};
  message_at_ = config().add_capability(k_messages, k_body) + 2;
  config().allow(message_at_, 2, 1);
  config().allow(message_at_ + 2, 4, ~u32{3});
  config().allow(message_at_ + 6, 4, ~u32{0});
  config().allow(message_at_ + 10, 2, 0xffff);
}

/// A line that is high goes low when messages take its place.
void Edu::config_write(u32 offset, u32 size, u32 value) {
  Function::config_write(offset, size, value);
  if (offset < message_at_ + 2 && message_at_ < offset + size) set_intx(causes_ != 0 && !sends_messages());
}

void Edu::raise(u32 causes) {
  causes_ |= causes;
  if (causes_ == 0) return;
  if (!sends_messages()) return set_intx(true);
  if (!is_master()) return;
  const u64 address = config().read(message_at_ + 2, 4) | u64{config().read(message_at_ + 6, 4)} << 32;
  sink_.message(GuestPa(address), config().read(message_at_ + 10, 2));
}

void Edu::lower(u32 causes) {
  causes_ &= ~causes;
  if (causes_ == 0) set_intx(false);
}

u64 Edu::mmio_read(u64 offset, u32 size) {
  const u64 none = size == 8 ? ~u64{0} : (u64{1} << 8 * size) - 1;
  if (size != 4 && (offset < DmaSource || size != 8)) return none;
  switch (offset) {
    case Identification: return k_identification;
    case Inverted: return inverted_;
    case Factorial: return factorial_;
    case Status: return status_;
    case Causes: return causes_;
    case DmaSource: return source_ & none;
    case DmaDestination: return destination_ & none;
    case DmaCount: return count_ & none;
    case DmaCommand: return command_ & none;
    default: return none;
  }
}

void Edu::mmio_write(u64 offset, u32 size, u64 value) {
  if (size != 4 && (offset < DmaSource || size != 8)) return;
  const u32 word = static_cast<u32>(value);
  switch (offset) {
    case Inverted: inverted_ = ~word; break;
    case Factorial:
      factorial_ = factorial(word);
      if (status_ & k_status_interrupt) raise(k_cause_factorial);
      break;
    case Status: status_ = word & k_status_interrupt; break;
    case Raise: raise(word); break;
    case Acknowledge: lower(word); break;
    case DmaSource: source_ = value; break;
    case DmaDestination: destination_ = value; break;
    case DmaCount: count_ = value; break;
    case DmaCommand:
      if (!(value & k_dma_run)) break;
      command_ = value & ~k_dma_run;
      transfer();
      if (value & k_dma_interrupt) raise(k_cause_dma);
      break;
    default: break;
  }
}

/// What is not all in the buffer and in RAM is not done, nor without being a master of the bus.
void Edu::transfer() {
  const bool to_ram = command_ & k_dma_to_ram;
  const u64 own = (to_ram ? source_ : destination_) - k_buffer_at;
  const GuestPa pa((to_ram ? destination_ : source_) & dma_mask_);
  if (!is_master() || own > k_buffer_size || count_ > k_buffer_size - own || !ram_.contains(pa, count_)) return;
  const std::span<u8> bytes = std::span(buffer_).subspan(own, count_);
  (void)(to_ram ? ram_.write(pa, bytes) : ram_.read(pa, bytes));
}

}  // namespace armvisor::devices::pci
