// Host-MMU windows of several vCPUs against the interpreter: one vCPU remaps pages and sections that the others are
// using, and writes the code in them, with the maintenance that the architecture asks for (ARM DDI 0406C B3.10.5,
// A3.5.4). Then all say what they find, and the same program on the interpreter has found the same.
#include <array>
#include <cstddef>
#include <random>

#include "engine_threads.h"

namespace armvisor::engine::test {
namespace {

constexpr u32 k_l1 = k_ram + 0x10000, k_l2 = k_ram + 0x14000, k_sync = k_ram + 0x15000, k_code = k_ram + 0x20000;
constexpr u32 k_frames = k_ram + 0x100000, k_frame_count = 6, k_pages = 0x80000000, k_page_count = 8;
constexpr u32 k_section_page = 0x3000;                                      ///< in the first MiB, which is a section
constexpr u32 k_sections[] = {k_ram + 0x400000, k_ram + 0x500000};          ///< what that is mapped to
constexpr u32 k_commands = k_ram + 0x600000, k_results = k_ram + 0x700000;  ///< 1 MiB of results for each vCPU
constexpr u32 k_vcpus = 3, k_rounds = 400, k_commands_per_round = 2, k_places = k_page_count + 1;
// Of each page: a word, a word for each vCPU to write, one that is written while others change things and is not
// compared, and code.
constexpr u32 k_word = 0x40, k_own = 0x200, k_scratch = 0x600, k_function = 0x800;
constexpr u32 k_normal = 1u << 12 | 1u << 3 | 1u << 2 | 1u << 16;  ///< sections: TEX 1, C, B, S
// Registers of guest code: R0, R1, R9, R11 and R14 are for the moment.
constexpr u32 k_value = 4, k_at = 5, k_command = 6, k_touches = 7, k_result = 8, k_round = 10, k_sync_at = 12;

constexpr u32 frame(u32 n) { return k_frames + n * 0x1000; }
constexpr u32 place(u32 n) { return n < k_page_count ? k_pages + n * 0x1000 : k_section_page; }
constexpr u32 results(u32 vcpu) { return k_results + vcpu * 0x100000; }
constexpr u32 small_page(u32 pa, u32 ap) {
  return pa | (ap & 3) << 4 | (ap >> 2) << 9 | 1u << 10 | 1u << 6 | 1u << 3 | 1u << 2 | 2;
}
constexpr u32 section(u32 pa, u32 ap) { return pa | (ap & 3) << 10 | (ap >> 2) << 15 | k_normal | 2; }
constexpr u32 movw_r0(u32 value) { return 0xe3000000 | (value & 0xf000) << 4 | (value & 0xfff); }

/// What vCPU 0 does: it stores `value` at `address`, and tells all vCPUs in one of these ways.
enum Tell : u32 { k_by_address, k_by_address_all_asids, k_by_asid, k_all, k_code_by_address, k_all_code, k_ways };
struct Command {
  u32 tell, address, value, argument;
};

class Program {
 public:
  explicit Program(u32 vcpu) : a_(k_code + vcpu * 0x4000), vcpu_(vcpu) {
    const u32 round = a_.here();
    a_.add(k_round, k_round, 1);
    vcpu == 0 ? change() : touch();
    look();
    a_.word(k_dmb);
    if (vcpu == 0)
      for (u32 k = 1; k < k_vcpus; ++k) wait_for(a_, k_sync_at, 64 * k, k_round);
    else
      a_.str(k_round, k_sync_at, 64 * vcpu);
    a_.mov(0, k_rounds);
    a_.word(0xe1500000 | k_round << 16);  // cmp round, r0
    a_.branch(round, a_.k_not_equal);
    a_.word(k_stop);
  }
  const std::vector<u32>& words() const { return a_.words(); }

 private:
  void change() {
    for (u32 n = 0; n < k_commands_per_round; ++n) {
      a_.ldr(1, k_command, offsetof(Command, address));
      a_.ldr(0, k_command, offsetof(Command, value));
      a_.str(0, 1);
      a_.ldr(0, k_command, offsetof(Command, argument));
      a_.ldr(1, k_command, offsetof(Command, tell));
      a_.word(a_.k_dsb);
      for (u32 way = 0; way < k_ways; ++way) {
        a_.word(0xe3510000 | way);  // cmp r1, #way
        const u32 next = a_.forward(a_.k_not_equal);
        tell(way);
        a_.land(next);
      }
      a_.word(a_.k_dsb);
      a_.word(a_.k_isb);
      a_.add(k_command, k_command, sizeof(Command));
    }
    a_.str(k_round, k_sync_at);
  }
  /// With R0.
  void tell(u32 way) {
    switch (way) {
      case k_by_address: return a_.mcr(0, 0, 8, 3, 1);            // TLBIMVAIS
      case k_by_address_all_asids: return a_.mcr(0, 0, 8, 3, 3);  // TLBIMVAAIS
      case k_by_asid: return a_.mcr(0, 0, 8, 3, 2);               // TLBIASIDIS
      case k_all: return a_.mcr(0, 0, 8, 3, 0);                   // TLBIALLIS
      case k_code_by_address: a_.mcr(0, 0, 7, 5, 1); break;       // ICIMVAU
      default: a_.mcr(0, 0, 7, 1, 0);                             // ICIALLUIS
    }
    a_.mcr(0, 0, 7, 1, 6);  // BPIALLIS
  }

  /// Uses all places until vCPU 0 has changed what it wanted to.
  void touch() {
    const u32 again = a_.here();
    std::vector<u32> outs;
    for (u32 n = 0; n < k_places; ++n) {
      a_.mov(k_at, place(n));
      a_.ldr(k_value, k_at, k_word);
      a_.str(k_round, k_at, k_scratch + 4 * vcpu_);
      call();
      a_.ldr(0, k_sync_at);
      a_.word(0xe1500000 | k_round);           // cmp r0, round
      outs.push_back(a_.forward(0xa0000000));  // bge
    }
    a_.add(k_touches, k_touches, 1);
    a_.word(0xe310000f | k_touches << 16);  // tst touches, #15
    a_.word(0x0320f001);                    // yieldeq
    a_.branch(again);
    for (const u32 out : outs) a_.land(out);
    a_.word(k_dmb);
    a_.word(a_.k_isb);
  }

  void look() {
    for (u32 n = 0; n < k_places; ++n) {
      a_.mov(k_at, place(n));
      a_.ldr(k_value, k_at, k_word);
      result(k_value);
      a_.mov(k_value, 0);
      a_.str(k_round, k_at, k_own + 4 * vcpu_);
      result(k_value);
      call();
      result(0);
    }
  }
  void result(u32 rt) { a_.word(0xe4800004 | k_result << 16 | rt << 12); }  // str rt, [result], #4
  void call() {
    a_.add(1, k_at, 0xb02);  // k_function
    a_.word(0xe28fb000);     // add r11, pc, #0: where a Prefetch Abort of the call returns to
    a_.blx(1);
  }

  vmm::A32Assembler a_;
  const u32 vcpu_;
};

class World {
 public:
  explicit World(const char* engine, const JitOptions& options = {}) : m(k_vcpus, {}, options, engine) {
    vectors();
    for (u32 mib = 0; mib < k_ram_size >> 20; ++mib)
      m.put32(k_l1 + 4 * ((k_ram >> 20) + mib), section(k_ram + (mib << 20), 3));
    m.put32(k_l1, section(k_sections[0], 3));
    m.put32(k_l1 + 4 * (k_pages >> 20), k_l2 | 1);
    for (u32 n = 0; n < k_page_count; ++n) m.put32(k_l2 + 4 * n, small_page(frame(n % k_frame_count), 3));
    for (u32 n = 0; n < k_frame_count; ++n) fill(frame(n), n);
    for (u32 n = 0; n < std::size(k_sections); ++n) fill(k_sections[n] + k_section_page, 100 + n);
    for (u32 k = 0; k < k_vcpus; ++k) prepare(k);
  }

  void run(const std::vector<Command>& commands) {
    for (u32 n = 0; n < commands.size(); ++n) {
      const Command& c = commands[n];
      m.words(k_commands + n * sizeof(Command), {c.tell, c.address, c.value, c.argument});
    }
    std::vector<u32> starts;
    for (u32 k = 0; k < k_vcpus; ++k) {
      starts.push_back(k_code + k * 0x4000);
      emit(m, starts.back(), Program(k).words());
    }
    run_on_threads(m, starts);
  }
  u64 seen(u32 vcpu, measure::Counter c) { return m.engine->stats().vcpus[vcpu].counters[static_cast<u32>(c)]; }

  Machine m;

 private:
  void fill(u32 pa, u32 number) {
    m.put32(pa + k_word, 0x1000 + number);
    m.words(pa + k_function, {movw_r0(0x2000 + number), 0xe12fff1e});  // bx lr
  }
  /// Aborts go on behind the access or the call, with the fault status as its result.
  void vectors() {
    m.words(k_ram, {k_stop, k_stop, k_stop, 0xea000003, 0xea000006, k_stop, k_stop, k_stop});
    m.words(k_ram + 0x20, {
                              0xee150f30,  // mrc r0, IFSR (c5, c0, 1)
                              0xe38004cd,  // orr r0, r0, #0xcd000000
                              0xe1a0e00b,  // mov lr, r11
                              0xe1b0f00e,  // movs pc, lr
                          });
    m.words(k_ram + 0x30, {
                              0xee154f10,  // mrc r4, DFSR (c5, c0, 0)
                              0xe38444ab,  // orr r4, r4, #0xab000000
                              0xe25ef004,  // subs pc, lr, #4
                          });
  }
  void prepare(u32 k) {
    arm::CpuState& s = m.state(k);
    s.cp15.vbar = k_ram;
    s.cp15.sctlr |= 1;
    s.cp15.ttbr0 = k_l1;
    s.cp15.dacr = 1;
    s.cp15.contextidr = 1;
    arm::set_cpsr(s, (k == 1 ? arm::k_mode_usr : arm::k_mode_svc) | arm::k_psr_i | arm::k_psr_f | arm::k_psr_a);
    s.r[k_round] = s.r[k_touches] = 0;
    s.r[k_result] = results(k);
    s.r[k_sync_at] = k_sync;
    s.r[k_command] = k_commands;
  }
};

/// Commands by chance, each with a maintenance that is enough for what it changes.
class Script {
 public:
  explicit Script(u32 seed) : random_(seed) {
    for (u32 n = 0; n < k_rounds * k_commands_per_round; ++n) commands_.push_back(below(4) == 0 ? code() : remap());
  }
  const std::vector<Command>& commands() const { return commands_; }

 private:
  u32 below(u32 n) { return static_cast<u32>(random_() % n); }

  Command remap() {
    const u32 n = below(k_places), ap = std::array{1u, 2u, 3u, 3u, 3u, 5u, 7u}[below(7)];
    u32 way = below(4);
    if (n == k_page_count) {
      if (way == k_by_asid) way = k_all;
      return {way, k_l1, section(k_sections[below(2)], ap), (below(256) << 12) | 1};
    }
    u32 descriptor = small_page(frame(below(k_frame_count)), ap) | (below(6) == 0 ? 1 : 0);  // XN
    const bool own = below(2) != 0;                                                          // of the ASID, not global
    if (own) descriptor |= 1u << 11;
    if (below(6) == 0) descriptor = 0;
    if (way == k_by_asid && global_[n]) way = k_by_address;  // TLBIASID leaves global ones
    global_[n] = descriptor != 0 && !own;
    return {way, k_l2 + 4 * n, descriptor, way == k_by_asid ? 1 : place(n) | 1};
  }
  Command code() {
    const u32 n = below(k_frame_count + 2);
    const u32 at = (n < k_frame_count ? frame(n) : k_sections[n - k_frame_count] + k_section_page) + k_function;
    return {below(2) ? k_code_by_address : k_all_code, at, movw_r0(below(0x10000)), at};
  }

  std::mt19937 random_;
  std::array<bool, k_page_count> global_ = {true, true, true, true, true, true, true, true};
  std::vector<Command> commands_;
};

class EngineWindowsSmp : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!windows_available()) GTEST_SKIP() << "this host does not let user code set the GS base";
  }
  static JitOptions windowed() {
    JitOptions options;
    options.windows_at_once = true;
    options.hot = 20;
    return options;
  }

  void try_script(u32 seed) {
    const Script script(seed);
    World plain("interp"), windows("jit", windowed());
    plain.run(script.commands());
    windows.run(script.commands());
    u32 aborts = 0;
    for (u32 k = 0; k < k_vcpus; ++k)
      for (u32 n = 0; n < k_rounds * k_places * 3; ++n) {
        const u32 expected = plain.m.get32(results(k) + 4 * n);
        aborts += expected >> 24 == 0xab || expected >> 24 == 0xcd;
        ASSERT_EQ(windows.m.get32(results(k) + 4 * n), expected)
            << "vCPU " << k << ", round " << n / (k_places * 3) << ", place " << n / 3 % k_places << ", "
            << std::array{"load", "store", "call"}[n % 3];
      }
    EXPECT_GT(aborts, 200u);
    EXPECT_LT(aborts, k_vcpus * k_rounds * k_places * 2);
    for (u32 n = 0; n < k_frame_count; ++n) compare(plain, windows, frame(n));
    for (const u32 at : k_sections) compare(plain, windows, at + k_section_page);
    EXPECT_GT(windows.seen(1, measure::Counter::WindowMap), 100u);
    if (!std::getenv("ARMVISOR_TEST_MMU")) {  // only the policy asid has a window of privileged code
      EXPECT_GT(windows.seen(2, measure::Counter::WindowMap), 100u);
    }
  }
  static void compare(World& plain, World& windows, u32 page) {
    for (u32 at = page; at < page + 0x1000; at += 4) {
      if (at - page >= k_scratch && at - page < k_scratch + 4 * k_vcpus) continue;
      ASSERT_EQ(windows.m.get32(at), plain.m.get32(at)) << std::hex << at;
    }
  }
};

TEST_F(EngineWindowsSmp, RemapsAndCodeOfAnotherVcpuAreSeenSeed1) { try_script(1); }
TEST_F(EngineWindowsSmp, RemapsAndCodeOfAnotherVcpuAreSeenSeed2) { try_script(2); }

}  // namespace
}  // namespace armvisor::engine::test
