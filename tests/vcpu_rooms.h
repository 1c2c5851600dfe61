#pragma once
// The rooms of vCPUs (engine/vcpu.h) without the dispatcher: nothing runs, tests do what code would.
#include <deque>

#include "engine/guest_access.h"
#include "engine/shared.h"
#include "engine/system_effects.h"
#include "engine_machine.h"

namespace armvisor::engine::test {

inline constexpr u32 k_table = k_ram + 0x4000, k_page_table = k_ram + 0x8000, k_data = k_ram + 0x10000;
inline constexpr u32 k_pages = 0x00100000;  ///< the MiB that is translated by pages
/// Short descriptors with full access for domain 0 (B3.5.1).
inline constexpr u32 k_section_normal = 0xc0e, k_section_device = 0xc06, k_page_normal = 0x3e;
inline constexpr u8 k_word = 4;  ///< ir::MemAttr

/// One device that answers everything, and a page of ROM.
class DevicePort final : public MachinePort {
 public:
  bool mmio_read(GuestPa, u32, u64& value) override {
    outside = inbox->mailbox().has_served(~u64{0});
    value = 0x1234;
    return answers;
  }
  bool mmio_write(GuestPa, u32, u64) override { return answers; }
  const u8* rom_page(GuestPa pa) override { return pa.value == k_rom ? rom : nullptr; }
  bool hypercall(arm::CpuState&, u32, bool, u32) override { return false; }
  u64 counter() override { return 0; }
  void timer_changed(u32, const arm::CpuState&, bool) override {}
  void send_event() override {}
  Inbox* inbox = nullptr;  ///< of the vCPU that reads
  bool outside = false;    ///< at the last read it was outside guest code
  bool answers = true;
  u8 rom[k_page_size] = {};
};

/// A vCPU in guest code, at an instruction 8 bytes behind k_ram. The MMU is on: RAM and the device stand where they
/// are, k_pages translates to k_data, and the page behind that is not mapped.
class VcpuRooms final : public Inbox::Owner {
 public:
  VcpuRooms(Shared& shared, u32 index)
      : stops(shared.stops),
        inbox(*this, context->dispatch, shared.holders, true),
        outbox(index, shared.inboxes, context->policy),
        memory(*context, shared, index, inbox, outbox, clock, nullptr),
        windows(*context, shared, memory, inbox),
        views(*context, memory, windows),
        system(*context, shared, index, memory, windows, views, inbox, outbox, nullptr) {
    shared.inboxes.push_back(&inbox);
    context->stops = &stops;
    arm::CpuState& s = context->guest;
    s = arm::reset_state(index, shared.config.vcpus);
    s.cp15.ttbr0 = k_table;
    s.cp15.dacr = 1;
    s.cp15.sctlr |= 1;  // M
    block.make_tables(1, 0, 1);
    block.marks[0] = {.first_uop = 0, .offset = 8, .bytes = 4, .it = 0};
    block.pc = k_ram;
    context->dispatch.block = &block;
    context->dispatch.at = block.code;
    inbox.enter();
    context->dispatch.attention = 0;
    views.sync();
  }

  void apply(const Request& r) override {
    ++applied;
    system.apply(r);
  }
  void settle() override { windows.settle(); }
  void forget_blocks() override {}
  bool needs(const Request& r) const override { return memory.needs(r); }

  u64 counted(measure::Counter c) const { return context->counters.get(c); }
  /// Of privileged data accesses.
  const mmu::TlbEntry& entry(u32 va) {
    return memory.tlb().current().data[1][(va >> k_page_bits) % mmu::k_tlb_entries];
  }
  bool load(u32 va) {
    u64 value = 0;
    return memory.load(va, k_word, 0, value);
  }

  std::unique_ptr<Context> context = std::make_unique<Context>();
  VcpuStops stops;
  Inbox inbox;
  Outbox outbox;
  measure::VcpuClock clock;
  GuestMemory memory;
  Windows windows;
  ViewKeeper views;
  SystemEffects system;
  Block block;
  u32 applied = 0;
};

struct VcpuWorld {
  explicit VcpuWorld(u32 count, MmuPolicy policy = MmuPolicy::Asid)
      : ram(std::move(*GuestRam::create(GuestPa(k_ram), k_ram_size))),
        shared({.vcpus = count, .ram = &ram, .port = &port, .translator = {}, .mmu = policy},
               make_interpreter_backend()) {
    put(k_table + 4 * (k_ram >> 20), k_ram | k_section_normal);
    put(k_table + 4 * (k_device >> 20), (k_device & 0xfff00000) | k_section_device);
    put(k_table + 4 * (k_pages >> 20), k_page_table | 1);
    put(k_page_table, k_data | k_page_normal);
    for (u32 k = 0; k < count; ++k) vcpus.emplace_back(shared, k);
    port.inbox = &vcpus[0].inbox;
  }
  void put(u32 pa, u32 word) { guest_store(reinterpret_cast<u64>(ram.host(GuestPa(pa))), word); }
  u32 get(u32 pa) { return guest_load<u32>(reinterpret_cast<u64>(ram.host(GuestPa(pa)))); }

  GuestRam ram;
  DevicePort port;
  Shared shared;
  std::deque<VcpuRooms> vcpus;
};

}  // namespace armvisor::engine::test
