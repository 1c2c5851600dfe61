#include "oracle/subject.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "memory/guest_ram.h"

namespace armvisor::oracle {
namespace {

constexpr u32 k_table = k_system + 0x4000;  ///< first-level translation table, 16 KiB
constexpr u32 k_hvc = 0xe1400070, k_udf_arm = 0xe7f000f0;
constexpr u16 k_bkpt_thumb = 0xbe00;  ///< unconditional inside IT blocks, too

/// Milliseconds after which a case has run away. The host may have other things to do.
constexpr u64 k_patience = 2000;

/// Catches the exception vectors, which consist of HVC instructions.
class Catcher final : public engine::MachinePort {
 public:
  bool mmio_read(GuestPa, u32, u64&) override { return false; }
  bool mmio_write(GuestPa, u32, u64) override { return false; }
  const u8* rom_page(GuestPa) override { return nullptr; }
  bool hypercall(arm::CpuState& s, u32, bool, u32 comment) override {
    state = s;
    vector = comment;
    caught = true;
    vcpu->kick();
    return true;
  }
  u64 counter() override { return 0; }
  void timer_changed(u32, const arm::CpuState&, bool) override {}
  void send_event() override {}

  engine::Vcpu* vcpu = nullptr;
  arm::CpuState state;
  u32 vector = 0;
  bool caught = false;
};

}  // namespace

struct Subject::World {
  GuestRam ram;
  Catcher port;
  std::unique_ptr<engine::Engine> engine;
  engine::Vcpu* vcpu = nullptr;
  std::array<u32, 4096> table{};
  std::atomic<u64> running_since{0};  ///< milliseconds; 0: idle
  std::atomic<bool> stopping{false};
  std::thread watchdog;

  explicit World(GuestRam r) : ram(std::move(r)) {}

  static u64 now() {
    using namespace std::chrono;
    return static_cast<u64>(duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count());
  }

  /// A case that runs away is kicked out.
  void watch() {
    while (!stopping) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      const u64 since = running_since;
      if (since != 0 && now() - since > k_patience) vcpu->kick();
    }
  }

  void write_vectors() {
    u32 words[8];
    for (u32 k = 0; k < 8; ++k) words[k] = k_hvc | k;
    if (std::memcmp(ram.host(GuestPa(k_system)), words, sizeof words) != 0) write(k_system, words, sizeof words);
  }

  /// True: the case had stored in our translation table, which is as it was again.
  bool restore_table() {
    if (std::memcmp(ram.host(GuestPa(k_table)), table.data(), sizeof table) == 0) return false;
    write(k_table, table.data(), sizeof table);
    return true;
  }

  void write(u32 address, const void* bytes, std::size_t size) {
    if (!ram.write(GuestPa(address), {static_cast<const u8*>(bytes), size})) std::abort();
  }
};

Subject::Subject(const char* engine, const engine::JitOptions& options) {
  auto ram = GuestRam::create(GuestPa(k_ram_base), k_ram_size);
  if (!ram) {
    std::fprintf(stderr, "oracle: %s\n", ram.error().message.c_str());
    std::exit(2);
  }
  world_ = std::make_unique<World>(std::move(*ram));
  World& w = *world_;
  engine::EngineConfig config;
  config.ram = &w.ram;
  config.port = &w.port;
  w.engine = std::move(*engine::make_engine(engine, config, options));
  w.vcpu = &w.engine->vcpu(0);
  w.port.vcpu = w.vcpu;
  w.write_vectors();
  // A flat map of RAM as Normal memory, readable and writable by all: with the MMU off, memory would be
  // Strongly-ordered and misaligned accesses would fault.
  for (u32 mib = k_ram_base >> 20; mib < (k_ram_base + k_ram_size) >> 20; ++mib) {
    const u32 section = mib << 20 | 0x1c0e;  // TEX 1, C, B; AP 3; domain 0
    w.table[mib] = section;
  }
  w.restore_table();
  w.watchdog = std::thread([&w] { w.watch(); });
}

Subject::~Subject() {
  world_->stopping = true;
  world_->watchdog.join();
}

u8* Subject::ram(u32 address) { return world_->ram.host(GuestPa(address)); }

void Subject::write_code(u32 address, const void* bytes, std::size_t size) { world_->write(address, bytes, size); }

static arm::CpuState initial_state(const MachineState& in) {
  arm::CpuState s = arm::reset_state(0, 1);
  s.cp15.vbar = k_system;
  s.cp15.sctlr |= 1;  // M
  s.cp15.ttbr0 = k_table;
  s.cp15.dacr = 1;
  s.cp15.cpacr = 0x00f00000;
  s.fpexc = 1u << 30;
  arm::set_cpsr(s, in.cpsr);
  arm::set_fpscr(s, in.fpscr);
  s.r = in.r;
  s.d = in.d;
  s.bank_spsr[static_cast<u32>(arm::bank_of(in.cpsr))] = in.spsr;
  return s;
}

/// The program's state at the exception that ended it.
static MachineState interrupted_state(const arm::CpuState& s, u32 vector) {
  MachineState out;
  const u32 psr = arm::spsr(s), mode = psr & arm::k_psr_mode;
  const bool thumb = (psr & arm::k_psr_t) != 0;
  for (u32 n = 0; n < 15; ++n) out.r[n] = arm::read_mode_reg(s, mode, n);
  const u32 lr = s.r[14];
  switch (vector) {
    case 1: out.r[15] = lr - (thumb ? 2 : 4); break;
    case 3: out.r[15] = lr - 4; break;
    case 4: out.r[15] = lr - 8; break;
    default: out.r[15] = lr; break;
  }
  out.cpsr = psr;
  out.spsr = s.bank_spsr[static_cast<u32>(arm::bank_of(mode))];
  out.fpscr = arm::fpscr(s);
  out.d = s.d;
  return out;
}

static ExceptionEntry entry_of(const arm::CpuState& s, u32 vector) {
  return {vector, arm::cpsr(s), arm::spsr(s), s.r[14], s.cp15.dfsr, s.cp15.dfar, s.cp15.ifsr, s.cp15.ifar};
}

Result Subject::run(const Case& c, u32 stop, bool stop_thumb) {
  World& w = *world_;
  const bool stop_in_ram = stop >= k_ram_base && stop - k_ram_base < k_ram_size - 4;
  u32 kept = 0;
  bool lays_stop = false;
  if (stop_in_ram) {
    std::memcpy(&kept, ram(stop), 4);
    const u32 size = stop_thumb ? 2 : 4;
    const void* const end = stop_thumb ? static_cast<const void*>(&k_bkpt_thumb) : &k_udf_arm;
    lays_stop = std::memcmp(&kept, end, size) != 0;
    if (lays_stop) w.write(stop, end, size);
  }
  w.write_vectors();
  w.vcpu->state() = initial_state(c.initial);
  w.vcpu->state_changed();
  w.port.caught = false;
  w.running_since = World::now();
  const u64 limit = World::now() + 2 * k_patience;
  while (!w.port.caught && World::now() < limit) (void)w.vcpu->run();
  w.running_since = 0;
  if (lays_stop) w.write(stop, &kept, stop_thumb ? 2 : 4);

  Result result;
  if (!w.port.caught) return result;
  result.state = interrupted_state(w.port.state, w.port.vector);
  result.entry = entry_of(w.port.state, w.port.vector);
  result.table_overwritten = w.restore_table();
  w.write_vectors();
  const bool reached = result.state.r[15] - c.initial.r[15] >= c.code.size();
  switch (w.port.vector) {
    case 1: result.outcome = reached ? Outcome::Normal : Outcome::Undefined; break;
    case 2: result.outcome = Outcome::Svc; break;
    case 3: result.outcome = reached ? Outcome::Normal : Outcome::PrefetchAbort; break;
    case 4:
      result.outcome = Outcome::DataAbort;
      result.alignment_fault = (w.port.state.cp15.dfsr & 0x40f) == 1;
      break;
    default: break;
  }
  return result;
}

}  // namespace armvisor::oracle
