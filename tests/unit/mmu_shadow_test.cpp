// Shadow coherence: three vCPUs, and a device, do random things to random translation tables, in both formats and under
// each policy. What a vCPU has kept is compared with what the plain walker says; it may be older only where the
// architecture allows that (ARM DDI 0406C B3.10):
//   flush, asid   a table was written, or a table base changed, after the last maintenance that covers the address
//   rmap          a table was written and its writer has made no barrier since, or a device wrote it and no maintenance
//                 operation followed. (That is less than the architecture allows.)
// ARMVISOR_SHADOW_STEPS sets the number of steps for each policy and format.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <random>

#include "memory/fence.h"
#include "mmu/shadow.h"

namespace armvisor::mmu {
namespace {

constexpr u32 k_ram = 0x40000000, k_vcpus = 3, k_device = 7;
constexpr u32 k_frames = 64;          // of which the first hold tables
constexpr u32 k_table_frames = 18;    // three tables of 16 KiB, or four and eight of 4 KiB, then six with small ones
constexpr u32 k_linear = 0x50000000;  // where all of RAM is mapped as long as nobody changes that
constexpr u32 k_sctlr_m = 1, k_sctlr_afe = 1u << 29, k_eae = 1u << 31;
constexpr u32 k_mibs[] = {0x001, 0x800, 0x000, 0x101, 0x3ff, 0x400, 0x7ff, 0xc00, 0xfff};
constexpr u32 k_pages[] = {0, 1, 2, 15, 16, 17, 63, 128, 255};

using measure::Counter;

class World;

class Cpu final : public Peers, public arm::WalkMemory {
 public:
  Cpu(World& world, FrameTable& frames, u32 index, Policy policy)
      : world_(world), index_(index), shadow(frames, *this, index, policy, counters) {}

  // Peers
  u64 ask(u32 vcpu, const Request& request) override;
  bool has_served(u32 vcpu, u64 ticket) const override;
  void wrote_unseen(GuestPa pa) override { shadow.release_table(pa); }
  // WalkMemory
  bool read32(GuestPa pa, u32& value) override { return read(pa, value); }
  bool read64(GuestPa pa, u64& value) override { return read(pa, value); }

  void serve();
  void apply(const Request& r);
  void barrier();
  void maintain(const Request& r, bool inner_shareable);
  /// The state's translation context has changed.
  void select();
  /// As an engine does it. False: a fault.
  bool access(u32 va, arm::Access access, bool privileged, u32 value = 0);

  World& world_;
  u32 index_;
  measure::Counters counters;
  Shadow shadow;
  arm::CpuState s;
  bool awake = true;
  std::vector<Request> mailbox;
  u64 posted = 0, served = 0;
  std::array<u64, k_vcpus> tickets{};
  // What the architecture lets the vCPU have missed.
  u64 base_changed = 0;                       ///< step
  u64 flushed_all = 0;                        ///< step of the last flush of everything
  std::array<u64, 256> flushed_asid{};        ///< of what is not global
  std::unordered_map<u64, u64> flushed_page;  ///< by page and ASID, or 256 for all ASIDs
  u32 unseen = 0;                             ///< writers of tables that have made no barrier since

 private:
  template <class T>
  bool read(GuestPa pa, T& value);
  bool hit(u32 va, arm::Access access, bool privileged, u32 value);
  void check(u32 va, arm::Access access, bool privileged, u64 frame, bool global);
  bool may_be_old(u32 va, bool global) const;
  bool executes(u32 va, bool privileged);
  void know(u32 va, bool privileged, GuestPa frame, bool global);
  Tables tables();
  WalkPath path_;
  bool recording_ = false;
  /// What an engine knows code by (its jump cache).
  struct Known {
    u32 number;
    u64 frame;
    bool global;
  };
  std::unordered_map<u64, Known> known_;  ///< by page and privilege
};

class World final : private WriteWatch {
 public:
  World(Policy p, bool long_descriptors, u32 seed)
      : policy(p),
        long_format(long_descriptors),
        random_(seed),
        ram(std::move(*GuestRam::create(GuestPa(k_ram), 1u << 20))),
        frames(ram) {
    ram.set_write_watch(this);
    for (u32 k = 0; k < k_vcpus; ++k) cpus.push_back(std::make_unique<Cpu>(*this, frames, k, policy));
    fill_tables();
    for (auto& cpu : cpus) {
      cpu->s.cp15.sctlr = k_sctlr_m;
      cpu->s.cp15.dacr = 0x55555555;
      set_tables(*cpu);
      cpu->shadow.select(cpu->s);
    }
  }
  ~World() { ram.set_write_watch(nullptr); }

  u32 below(u32 n) { return static_cast<u32>(random_() % n); }
  bool one_in(u32 n) { return below(n) == 0; }
  /// One of 81; usually one of six.
  u32 any_va() {
    const u32 m = one_in(4) ? below(std::size(k_mibs)) : below(2), p = one_in(4) ? below(std::size(k_pages)) : below(3);
    return k_mibs[m] << 20 | k_pages[p] << 12;
  }
  GuestPa frame(u32 k) const { return GuestPa(k_ram + (k << 12)); }
  bool is_table(GuestPa pa) const { return (pa.value - k_ram) >> 12 < k_table_frames; }

  void fill_tables();
  void set_tables(Cpu& cpu);
  void step();
  /// What others do between a vCPU's walk and what it makes of it.
  void interlude(Cpu& walker);
  /// vCPU or device `writer` wrote a table.
  void table_changed(u32 writer) {
    changed = now;
    for (u32 k = 0; k < k_vcpus; ++k)
      if (k != writer) cpus[k]->unseen |= 1u << writer;
  }

  const Policy policy;
  const bool long_format;
  std::mt19937 random_;
  GuestRam ram;
  FrameTable frames;
  std::vector<std::unique_ptr<Cpu>> cpus;
  u64 now = 1, changed = 0, hits = 0, old = 0;

 private:
  bool busy_ = false;  ///< in an interlude
  u64 descriptor(GuestPa at);
  GuestPa any_descriptor();
  void write(Cpu& cpu, GuestPa pa, u64 value);
  void device_write();
  void change_context(Cpu& cpu);
  void maintenance(Cpu& cpu);
  void update(Cpu& cpu);
  void hint(Cpu& cpu);
  void watched_written(GuestPa pa, u32 size) override {
    const u32 users = frames.table_users(pa);
    for (u32 k = 0; k < k_vcpus; ++k)
      if (users >> k & 1) {
        cpus[k]->mailbox.push_back({.kind = Request::Kind::DropDerived, .asid = Asid(), .pa = pa, .size = size});
        ++cpus[k]->posted;
      }
  }
};

// --- a vCPU

template <class T>
bool Cpu::read(GuestPa pa, T& value) {
  if (!world_.ram.contains(pa, sizeof(T))) return false;
  std::memcpy(&value, world_.ram.host(pa), sizeof(T));
  if (recording_) path_.add(pa);
  return true;
}

u64 Cpu::ask(u32 vcpu, const Request& request) {
  Cpu& other = *world_.cpus[vcpu];
  other.mailbox.push_back(request);
  return tickets[vcpu] = ++other.posted;
}
bool Cpu::has_served(u32 vcpu, u64 ticket) const {
  return world_.cpus[vcpu]->served >= ticket || !world_.cpus[vcpu]->awake;
}

void Cpu::serve() {
  const auto requests = std::exchange(mailbox, {});
  const u64 ticket = posted;
  for (const Request& r : requests) apply(r);
  served = ticket;
  unseen = 0;
}

Tables Cpu::tables() {
  const auto translate_code = [this](u32 va, arm::Translation& out) {
    return !arm::translate(s, *this, va, arm::Access::Execute, true, out);
  };
  return {SpaceKey::of(s, shadow.policy()), {s.cp15.ttbr0, s.cp15.ttbr1}, translate_code};
}

void Cpu::select() {
  if (shadow.kept_by_others({s.cp15.ttbr0, s.cp15.ttbr1})) shadow.keep_global(tables());
  shadow.select(s);
}

void Cpu::apply(const Request& r) {
  if (r.kind == Request::Kind::DropWrites) {
    if (shadow.drop_writes(r.pa) && world_.frames.table_users(r.pa)) wrote_unseen(r.pa);
    return;
  }
  const Tables now = tables();
  shadow.apply(r, &now);
  switch (r.kind) {
    case Request::Kind::FlushAll: flushed_all = world_.now; break;
    case Request::Kind::FlushAsid: flushed_asid[r.asid.value] = world_.now; break;
    case Request::Kind::FlushVa: flushed_page[u64{r.va >> 12} << 9 | r.asid.value] = world_.now; break;
    case Request::Kind::FlushVaAllAsids: flushed_page[u64{r.va >> 12} << 9 | 256] = world_.now; break;
    default: break;
  }
}

void Cpu::barrier() {
  for (bool again = true; again;) {
    again = false;
    for (u32 k = 0; k < k_vcpus; ++k) {
      if (tickets[k] == 0) continue;
      again = true;
      if (!has_served(k, tickets[k])) world_.cpus[k]->serve();
      tickets[k] = 0;
    }
  }
  for (auto& cpu : world_.cpus) cpu->unseen &= ~(1u << index_);
}

void Cpu::maintain(const Request& r, bool inner_shareable) {
  if (shadow.is_coherent()) serve();
  apply(r);
  if (!inner_shareable) return;
  for (u32 k = 0; k < k_vcpus; ++k) {
    if (k == index_) continue;
    if (shadow.needs_broadcast())
      ask(k, r);
    else
      tickets[k] = world_.cpus[k]->posted;
  }
}

bool Cpu::may_be_old(u32 va, bool global) const {
  if (shadow.is_coherent()) return unseen != 0;
  const auto page = [&](u32 asid) {
    const auto it = flushed_page.find(u64{va >> 12} << 9 | asid);
    return it == flushed_page.end() ? 0 : it->second;
  };
  const u32 asid = arm::current_asid(s).value;
  u64 flushed = std::max({flushed_all, page(asid), page(256)});
  if (!global) flushed = std::max(flushed, flushed_asid[asid]);
  return std::max(world_.changed, base_changed) >= flushed;
}

/// What was kept says that `va` is in `frame`.
void Cpu::check(u32 va, arm::Access access, bool privileged, u64 frame, bool global) {
  ++world_.hits;
  arm::Translation t;
  const arm::Fault fault = arm::translate(s, *this, va, access, privileged, t);
  if (!fault && t.pa.value >> 12 == frame) return;
  ++world_.old;
  ASSERT_TRUE(may_be_old(va, global)) << "step " << world_.now << ", vCPU " << index_ << ", address " << std::hex << va
                                      << ", kept " << frame << ", now " << (fault ? 0 : t.pa.value >> 12);
}

/// Through an entry, as generated code does it.
bool Cpu::hit(u32 va, arm::Access access, bool privileged, u32 value) {
  if (access == arm::Access::Execute) return executes(va, privileged);
  Space& space = shadow.current();
  const u32 page = va & ~k_page_mask;
  const u32 k = (va >> 12) % k_tlb_entries;
  const TlbEntry e = space.data[privileged][k];
  const bool write = access == arm::Access::Write;
  if ((write ? e.write_tag : e.read_tag) != page) return false;
  const GuestPa pa(k_ram + (e.host - reinterpret_cast<u64>(world_.ram.host(GuestPa(k_ram)))));
  check(va, access, privileged, pa.value >> 12, space.data_meta[privileged][k].global);
  if (write) {
    std::memcpy(world_.ram.host(pa + (va & k_page_mask)), &value, sizeof value);
    if (world_.is_table(pa)) world_.table_changed(index_);
  }
  return true;
}

/// Through the jump cache, or through an entry, which makes what is known of the page good again.
bool Cpu::executes(u32 va, bool privileged) {
  Space& space = shadow.current();
  const u32 k = (va >> 12) % k_exec_entries, number = shadow.exec_number(privileged, 1);
  if (shadow.numbers_wrapped()) known_.clear();
  const auto it = known_.find(u64{va >> 12} << 1 | u64{privileged});
  if (it != known_.end() && it->second.number == number) {
    check(va, arm::Access::Execute, privileged, it->second.frame, it->second.global);
    return true;
  }
  const u64 id = space.exec_of(privileged)[k];
  if (static_cast<u32>(id) != va >> 12) return false;
  const bool global = space.shares_code(privileged) || space.exec_meta[privileged][k].global;
  check(va, arm::Access::Execute, privileged, exec_frame(id).value >> 12, global);
  know(va, privileged, exec_frame(id), global);
  return true;
}

void Cpu::know(u32 va, bool privileged, GuestPa frame, bool global) {
  known_[u64{va >> 12} << 1 | u64{privileged}] = {shadow.exec_number(privileged, 1), frame.value >> 12, global};
}

bool Cpu::access(u32 va, arm::Access access, bool privileged, u32 value) {
  if (hit(va, access, privileged, value)) return true;
  arm::Translation t;
  auto answer = Shadow::Keep::WalkAgain;
  for (u32 tries = 0; tries < 3 && answer == Shadow::Keep::WalkAgain; ++tries) {
    path_.count = 0;
    recording_ = true;
    const arm::Fault fault = arm::translate(s, *this, va, access, privileged, t);
    recording_ = false;
    if (fault) return false;
    world_.interlude(*this);
    answer = shadow.may_keep(va, t, path_);
  }
  const GuestPa page(t.pa.value & ~u64{k_page_mask});
  if (!world_.ram.contains(page, k_page_size)) return false;
  const bool write = access == arm::Access::Write;
  if (answer == Shadow::Keep::Yes) {
    if (access == arm::Access::Execute) {
      shadow.fill_exec(va, t, privileged);
      know(va, privileged, t.pa, t.global);
    } else {
      shadow.fill_data(va, t, privileged, world_.ram.host(page), true);
    }
  }
  if (write) {
    std::memcpy(world_.ram.host(t.pa), &value, sizeof value);
    full_fence();
    if (world_.is_table(t.pa)) world_.table_changed(index_);
    if (world_.ram.marks(t.pa).load() & k_frame_table) shadow.table_written(t.pa, 4);
  }
  return true;
}

// --- the world

/// A random descriptor for the place `at`, by the kind of table that stands there.
u64 World::descriptor(GuestPa at) {
  const u32 k = static_cast<u32>((at.value - k_ram) >> 12);
  const u64 page = frame(below(k_frames)).value;
  if (one_in(4)) return 0;
  if (long_format) {  // frames 0-3 first level, 4-11 second, the rest third
    const u64 attributes = 1u << 10 | (below(16) << 4 & 0xc0) | (one_in(2) ? 1u << 11 : 0);
    if (k < 4) return one_in(8) ? k_ram | attributes | 1 : frame(4 + below(8)).value | 3;
    if (k < 12) return one_in(4) ? k_ram | attributes | 1 : frame(12 + below(6)).value | 3;
    return page | attributes | 3;
  }
  const u32 normal = 1u << 12 | 3u << 2;
  if (k < 12) {
    if (one_in(8)) return k_ram | 2 | normal | below(4) << 10 | below(2) << 17 | below(2) << 5;  // section
    if (one_in(16)) return k_ram | 2 | 1u << 18 | normal | 3u << 10;
    return frame(12 + below(6)).value | below(4) << 10 | below(2) << 5 | 1;
  }
  const u32 rights = below(4) << 4 | below(2) << 9 | below(2) << 11;
  if (one_in(8)) return (page & 0xffff0000) | 1 | 1u << 12 | 3u << 2 | rights;
  return page | 2 | 1u << 6 | 3u << 2 | rights;
}

/// The place of a descriptor that translates one of our addresses, or of any.
GuestPa World::any_descriptor() {
  const u32 va = any_va();
  if (one_in(16)) return frame(below(k_table_frames)) + (below(4096) & ~(long_format ? 7u : 3u));
  if (long_format) {
    if (one_in(4)) return frame(below(4)) + (va >> 30) * 8;
    if (one_in(3)) return frame(4 + below(8)) + (va >> 21 & 511) * 8;
    return frame(12 + below(6)) + (va >> 12 & 511) * 8;
  }
  if (one_in(3)) return frame(4 * below(3)) + (va >> 20) * 4;
  return frame(12 + below(6)) + (below(4) << 10) + (va >> 12 & 255) * 4;
}

void World::fill_tables() {
  for (u32 k = 0; k < k_table_frames; ++k)
    for (u32 at = 0; at < k_page_size; at += 8) {
      const u64 a = descriptor(frame(k) + at), b = descriptor(frame(k) + at);
      const u64 value = long_format ? a : (a & 0xffffffff) | b << 32;
      std::memcpy(ram.host(frame(k) + at), &value, sizeof value);
    }
  for (u32 k = 0; k < 4 && long_format; ++k) {  // the linear map: a block of 2 MiB behind each first-level entry
    const u64 table = frame(4 + k).value | 3, block = k_ram | 1u << 10 | 1;
    std::memcpy(ram.host(frame(k) + (k_linear >> 30) * 8), &table, sizeof table);
    for (u32 j = 4; j < 12; ++j) std::memcpy(ram.host(frame(j) + (k_linear >> 21 & 511) * 8), &block, sizeof block);
  }
  for (u32 k = 0; k < 3 && !long_format; ++k) {
    const u32 section = k_ram | 2 | 1u << 12 | 3u << 2 | 3u << 10;
    std::memcpy(ram.host(frame(4 * k) + (k_linear >> 20) * 4), &section, sizeof section);
  }
}

void World::set_tables(Cpu& cpu) {
  arm::Cp15State& c = cpu.s.cp15;
  if (long_format) {
    c.ttbcr = k_eae | (one_in(4) ? below(3) : 0) | (one_in(4) ? below(3) << 16 : 0);
    c.mair0 = 0xffffffff;
    c.mair1 = 0xffffffff;
    const u64 asid = u64{1 + below(3)} << 48;
    c.ttbr0 = frame(below(4)).value | asid;
    c.ttbr1 = frame(below(4)).value;
  } else {
    c.ttbcr = one_in(4) ? below(4) : 0;
    c.contextidr = 1 + below(3);
    c.ttbr0 = frame(4 * below(3)).value | 0x4a;
    c.ttbr1 = frame(4 * below(3)).value;
  }
}

void World::change_context(Cpu& cpu) {
  arm::Cp15State& c = cpu.s.cp15;
  switch (below(8)) {
    case 0: c.dacr = one_in(2) ? 0x55555555 : below(16) | 0x55555550; break;
    case 1: c.sctlr ^= k_sctlr_afe; break;
    case 2: c.sctlr ^= one_in(8) ? k_sctlr_m : 0; break;
    default: set_tables(cpu); break;
  }
  cpu.base_changed = now;
  cpu.select();
}

/// By a store of the guest, if the linear map is still there.
void World::write(Cpu& cpu, GuestPa pa, u64 value) {
  const u32 va = static_cast<u32>(pa.value - k_ram + k_linear);
  cpu.access(va, arm::Access::Write, true, static_cast<u32>(value));
  if (long_format) cpu.access(va + 4, arm::Access::Write, true, static_cast<u32>(value >> 32));
}

void World::device_write() {
  const GuestPa pa = any_descriptor();
  const u64 value = descriptor(pa);
  u8 bytes[8];
  std::memcpy(bytes, &value, sizeof bytes);
  ASSERT_TRUE(ram.write(pa, std::span(bytes, long_format ? 8 : 4)));
  table_changed(k_device);
}

void World::maintenance(Cpu& cpu) {
  const Request::Kind kinds[] = {Request::Kind::FlushAll, Request::Kind::FlushAsid, Request::Kind::FlushVa,
                                 Request::Kind::FlushVaAllAsids};
  const bool shared = one_in(2);
  const Asid asid(static_cast<u8>(1 + below(3)));
  const u64 before = now;
  cpu.maintain({.kind = kinds[below(4)], .asid = asid, .va = any_va(), .pa = GuestPa()}, shared);
  if (!one_in(3)) return;
  cpu.barrier();
  if (shared && changed <= before)  // device writes from before the operation are done
    for (auto& c : cpus) c->unseen &= ~(1u << k_device);
}

/// A change of one descriptor as a kernel makes it; afterwards no vCPU may use what was there.
void World::update(Cpu& cpu) {
  const u32 va = any_va();
  const GuestPa pa = any_descriptor();
  write(cpu, pa, descriptor(pa));
  cpu.barrier();
  ++now;
  cpu.maintain({.kind = Request::Kind::FlushVaAllAsids, .asid = Asid(), .va = va, .pa = GuestPa()}, true);
  cpu.barrier();
  ++now;
  for (auto& c : cpus)
    if (c->awake) c->access(va, static_cast<arm::Access>(below(3)), one_in(2));
}

void World::hint(Cpu& cpu) {
  cpu.shadow.hint(static_cast<TableHint>(below(4)), one_in(16) ? GuestPa(random_()) : frame(below(k_frames)));
}

void World::interlude(Cpu& walker) {
  Cpu& other = *cpus[below(k_vcpus)];
  if (busy_ || &other == &walker || !other.awake || !one_in(8)) return;
  busy_ = true;
  const GuestPa pa = any_descriptor();
  for (u32 k = below(3); k > 0; --k) write(other, pa, descriptor(pa));
  if (one_in(4)) other.awake = false;
  busy_ = false;
}

void World::step() {
  ++now;
  Cpu& cpu = *cpus[below(k_vcpus)];
  if (!cpu.awake) {
    if (!one_in(3)) return;
    cpu.awake = true;
    cpu.serve();
  }
  const u32 what = below(100);
  if (what < 70) {
    cpu.access(any_va(), static_cast<arm::Access>(below(3)), one_in(2), below(2) ? 0 : static_cast<u32>(random_()));
  } else if (what < 78) {
    const GuestPa pa = any_descriptor();
    write(cpu, pa, descriptor(pa));
  } else if (what < 79) {
    device_write();
  } else if (what < 83) {
    maintenance(cpu);
  } else if (what < 86) {
    cpu.barrier();
  } else if (what < 88) {
    change_context(cpu);
  } else if (what < 94) {
    cpu.serve();
  } else if (what < 95) {
    cpu.awake = false;
  } else if (what < 98) {
    update(cpu);
  } else if (what < 99) {  // a table is cleared
    const u32 k = long_format ? 12 + below(6) : below(k_table_frames);
    for (u32 at = 0; at < 128; at += 4) write(cpu, frame(k) + at, 0);
  } else {
    hint(cpu);
  }
}

// --- what each policy keeps

/// One vCPU with a table for the first MiB in which 64 entries map frames from 32 on.
class ShadowPolicy : public ::testing::Test {
 protected:
  static constexpr u32 k_table = 12;

  Cpu& start(Policy policy) {
    world = std::make_unique<World>(policy, false, 1);
    for (u32 k = 0; k < k_table_frames; ++k) std::memset(world->ram.host(world->frame(k)), 0, k_page_size);
    put(world->frame(0), static_cast<u32>(world->frame(k_table).value) | 1);
    for (u32 k = 0; k < 64; ++k) put(entry(k), page(k));
    put(world->frame(0) + (k_linear >> 20) * 4, k_ram | 2 | 1u << 12 | 3u << 2 | 3u << 10);
    Cpu& cpu = *world->cpus[0];
    cpu.s.cp15.ttbcr = 0;
    cpu.s.cp15.ttbr0 = world->frame(0).value;
    use_asid(1);
    for (u32 k = 0; k < 64; ++k) EXPECT_TRUE(cpu.access(va_of(k), arm::Access::Read, true));
    return cpu;
  }
  void use_asid(u32 asid) {
    world->cpus[0]->s.cp15.contextidr = asid;
    world->cpus[0]->shadow.select(world->cpus[0]->s);
  }
  u32 page(u32 k) const {
    return static_cast<u32>(world->frame(32 + k % 32).value) | 2 | 1u << 6 | 3u << 2 | 3u << 4 | 1u << 11;
  }
  GuestPa entry(u32 k) const { return world->frame(k_table) + (va_of(k) >> 12) * 4; }
  static u32 va_of(u32 k) { return (64 + k) << 12; }  // not where the TLB keeps the linear map
  void put(GuestPa pa, u32 value) { std::memcpy(world->ram.host(pa), &value, sizeof value); }
  void store(GuestPa pa, u32 value) {
    const u32 va = static_cast<u32>(pa.value - k_ram + k_linear);
    EXPECT_TRUE(world->cpus[0]->access(va, arm::Access::Write, true, value));
  }
  u32 kept() {
    Space& space = world->cpus[0]->shadow.current();
    u32 n = 0;
    for (u32 k = 0; k < 64; ++k) n += space.data[1][va_of(k) >> 12].read_tag == va_of(k);
    return n;
  }
  std::unique_ptr<World> world;
};

TEST_F(ShadowPolicy, OneDescriptorCostsOneEntry) {
  Cpu& cpu = start(Policy::Rmap);
  ASSERT_EQ(kept(), 64u);
  store(entry(5), page(6));
  EXPECT_EQ(cpu.counters.get(Counter::TableDrop), 1u);
  EXPECT_EQ(kept(), 63u);
  EXPECT_TRUE(cpu.access(va_of(5), arm::Access::Read, true));
  EXPECT_EQ(kept(), 64u);
}

TEST_F(ShadowPolicy, CodeThatSpacesShareGoesWithWhatOneOfThemDerivedItFrom) {
  Cpu& cpu = start(Policy::Rmap);
  const auto run = [&](u32 dacr, u32 va) {
    cpu.s.cp15.dacr = dacr;
    cpu.select();
    return cpu.access(va, arm::Access::Execute, true);
  };
  put(world->frame(0) + 4, static_cast<u32>(world->frame(k_table).value) | 0x400 | 1 << 5 | 1);  // 1 MiB: domain 1
  const auto global = [&](u32 k) { return page(k) & ~(1u << 11); };
  put(entry(5), global(5));
  put(world->frame(k_table) + 0x400, global(7));
  constexpr u32 k_both = 0x5555555d, k_not_one = 0x55555551;  // spaces that have nothing yet
  ASSERT_TRUE(run(k_not_one, va_of(5)));
  ASSERT_TRUE(run(k_both, va_of(5)));
  ASSERT_TRUE(run(k_both, 0x100000));  // from here on they have not the same code
  store(entry(5), global(6));
  cpu.barrier();
  ++world->now;
  EXPECT_TRUE(run(k_both, va_of(5)));  // (compares with the tables)
  EXPECT_TRUE(run(k_not_one, va_of(5)));
  EXPECT_FALSE(run(k_not_one, 0x100000));
}

TEST_F(ShadowPolicy, MaintenanceAndAsidsCostTheCoherentPoliciesNothing) {
  Cpu& cpu = start(Policy::Rmap);
  cpu.maintain({.kind = Request::Kind::FlushAll, .asid = Asid(), .pa = GuestPa()}, true);
  use_asid(2);
  EXPECT_EQ(kept(), 64u);
}

TEST_F(ShadowPolicy, AsidKeepsWhatIsNotNamed) {
  Cpu& cpu = start(Policy::Asid);
  cpu.maintain({.kind = Request::Kind::FlushVa, .asid = Asid(1), .va = va_of(3), .pa = GuestPa()}, false);
  EXPECT_EQ(kept(), 63u);
  use_asid(2);
  EXPECT_EQ(kept(), 0u);
  use_asid(1);
  EXPECT_EQ(kept(), 63u);
}

TEST_F(ShadowPolicy, FlushKeepsNothing) {
  Cpu& cpu = start(Policy::Flush);
  use_asid(2);
  use_asid(1);
  EXPECT_EQ(kept(), 0u);
  EXPECT_TRUE(cpu.access(va_of(0), arm::Access::Read, true));
  cpu.maintain({.kind = Request::Kind::FlushVa, .asid = Asid(3), .va = 0x9000, .pa = GuestPa()}, false);
  EXPECT_EQ(kept(), 0u);
}

TEST_F(ShadowPolicy, UnlinkedTableIsOneNoMore) {
  start(Policy::Rmap);
  EXPECT_TRUE(world->ram.marks(entry(0)) & k_frame_table);
  store(world->frame(0), 0);
  EXPECT_EQ(kept(), 0u);
  EXPECT_FALSE(world->ram.marks(entry(0)) & k_frame_table);
}

TEST_F(ShadowPolicy, TableThatIsWrittenMuchIsLetGo) {
  Cpu& cpu = start(Policy::Rmap);
  for (u32 k = 0; k < 40; ++k) store(entry(64 + k), 0);
  EXPECT_FALSE(world->ram.marks(entry(0)) & k_frame_table);
  EXPECT_LT(cpu.counters.get(Counter::TableWrite), 20u);
  EXPECT_TRUE(cpu.access(va_of(0), arm::Access::Read, true));
  EXPECT_TRUE(world->ram.marks(entry(0)) & k_frame_table);
  EXPECT_EQ(kept(), 1u);
}

TEST_F(ShadowPolicy, HintsSaySo) {
  Cpu& cpu = start(Policy::RmapHints);
  cpu.shadow.hint(TableHint::Allocated, entry(0));
  for (u32 k = 0; k < 40; ++k) store(entry(64 + k), 0);
  EXPECT_EQ(kept(), 64u);  // not taken for data
  cpu.shadow.hint(TableHint::BatchBegin, GuestPa());
  store(entry(0), page(1));
  store(entry(1), page(2));
  EXPECT_EQ(cpu.counters.get(Counter::TableWrite), 41u);  // the second is not caught
  cpu.shadow.hint(TableHint::BatchEnd, GuestPa());
  EXPECT_EQ(kept(), 0u);
  EXPECT_TRUE(cpu.access(va_of(1), arm::Access::Read, true));
  cpu.shadow.hint(TableHint::Freed, entry(0));
  EXPECT_FALSE(world->ram.marks(entry(0)) & k_frame_table);
  cpu.shadow.hint(TableHint::Freed, GuestPa(~u64{0}));  // sound
}

class ShadowCoherence : public ::testing::TestWithParam<std::tuple<Policy, bool>> {};

TEST_P(ShadowCoherence, NothingStaleIsUsedAfterMaintenance) {
  const auto [policy, long_format] = GetParam();
  const char* const given = std::getenv("ARMVISOR_SHADOW_STEPS");
  const u64 steps = given ? std::strtoull(given, nullptr, 10) : 250'000;
  u64 hits = 0, old = 0, done = 0, uncached = 0, derived = 0;
  for (u32 seed = 1; done < steps; ++seed) {  // tables wear out: most of a world's life is after its first changes
    World world(policy, long_format, seed);
    for (u32 k = 0; k < 4'000 && done < steps; ++k, ++done) {
      world.step();
      if (HasFatalFailure()) FAIL() << "seed " << seed;
    }
    hits += world.hits;
    old += world.old;
    for (auto& cpu : world.cpus) {
      uncached += cpu->counters.get(Counter::NotKept);
      derived += cpu->counters.get(Counter::TableDrop);
    }
  }
  // The test is worth something.
  EXPECT_GT(hits, steps / 10);
  if (is_coherent(policy)) {
    EXPECT_GT(uncached, steps / 1000);
    EXPECT_GT(derived, steps / 100);
  }
  if (policy == Policy::Asid && steps > 10'000) {
    EXPECT_GT(old, 0u);
  }
}

std::string case_name(const ::testing::TestParamInfo<std::tuple<Policy, bool>>& info) {
  const char* const names[] = {"Flush", "Asid", "Rmap", "RmapHints"};
  return std::string(names[static_cast<int>(std::get<0>(info.param))]) + (std::get<1>(info.param) ? "Long" : "Short");
}

INSTANTIATE_TEST_SUITE_P(Policies, ShadowCoherence,
                         ::testing::Combine(::testing::Values(Policy::Flush, Policy::Asid, Policy::Rmap,
                                                              Policy::RmapHints),
                                            ::testing::Bool()),
                         case_name);

}  // namespace
}  // namespace armvisor::mmu
