// Litmus tests of the guest's memory model (ARM DDI 0406C A3.8; names as in "A Tutorial Introduction to the ARM and
// POWER Relaxed Memory Models", Maranget, Sarkar, Sewell): what the architecture forbids must never be seen, what it
// allows is counted and printed.
#include <cstdio>
#include <string>
#include <string_view>

#include "engine_threads.h"

namespace armvisor::engine::test {
namespace {

// x and y are words of their own in each round, 0 at first. An operation of a vCPU is one of
//   x=1    store                       a=x    load; a to d are registers, each of one vCPU
//   x=1@a  store of a value, and       b=x@a  load from an address, that depends on a
//   a:x=1  swap by LDREX and STREX     |      the barrier that is tried, or none
struct Litmus {
  std::vector<std::string_view> vcpus;
  std::vector<std::string_view> forbidden;  ///< any of these: registers, and x and y at the end
};
enum class Barrier { None, Dmb, Dsb };
enum class Access { Plain, Exclusive };  ///< LDR and STR, or LDREX, and LDREX and STREX until that succeeds

constexpr u32 k_rounds = 2048, k_rounds_between_meetings = 32, k_stride = 64;
constexpr u32 k_code = k_ram + 0x10000, k_table = k_ram + 0x4000, k_meeting = k_ram + 0x20000;
constexpr u32 k_x = k_ram + 0x100000, k_y = k_x + k_rounds * k_stride, k_results = k_y + k_rounds * k_stride;
// Registers of guest code: R0 and R1 are the addresses of x and y, R2 that of the results, R4 to R7 are a to d.
constexpr u32 k_value = 8, k_status = 10, k_round = 11, k_meet = 12, k_left = 13, k_count = 3, k_scratch = 14;
constexpr u32 k_clrex = 0xf57ff01f;

bool is_register(char c) { return c >= 'a' && c <= 'd'; }
u32 register_of(char c) { return 4 + static_cast<u32>(c - 'a'); }
u32 base_of(char c) { return c == 'x' ? 0 : 1; }

/// Splits at spaces.
std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

class Program {
 public:
  Program(u32 self, u32 count, std::string_view text, Barrier barrier, Access access)
      : a_(k_code + self * 0x1000), barrier_(barrier), access_(access) {
    const u32 chunk = a_.here();
    meet(a_, self, count, k_meet, k_round);
    a_.mov(k_count, k_rounds_between_meetings);
    const u32 round = a_.here();
    for (const std::string_view word : words_of(text)) operation(word);
    for (const char c : text)
      if (is_register(c)) a_.str(register_of(c), 2, 4 * static_cast<u32>(c - 'a'));
    for (u32 n = 0; n < 3; ++n) a_.add(n, n, k_stride);
    a_.subs(k_count, k_count, 1);
    a_.branch(round, a_.k_not_equal);
    a_.subs(k_left, k_left, 1);
    a_.branch(chunk, a_.k_not_equal);
    a_.word(k_stop);
  }
  const std::vector<u32>& words() const { return a_.words(); }

 private:
  void operation(std::string_view word) {
    if (word == "|") return barrier();
    const std::size_t at = word.find('@');
    const char depends = at == word.npos ? 0 : word[at + 1];
    word = word.substr(0, at);
    if (word.size() > 2 && word[1] == ':') return swap(register_of(word[0]), base_of(word[2]), number(word[4]));
    if (!is_register(word[0])) return store(word[0], number(word[2]), depends);
    load(register_of(word[0]), word.back(), depends);
  }
  static u32 number(char c) { return static_cast<u32>(c - '0'); }

  void barrier() {
    if (barrier_ == Barrier::Dmb) a_.word(k_dmb);
    if (barrier_ == Barrier::Dsb) a_.word(a_.k_dsb);
  }
  /// Rd = value that depends on `depends`, without changing it.
  void value(u32 rd, u32 value, char depends) {
    a_.mov(rd, value);
    if (!depends) return;
    zero(depends);
    a_.word(0xe0800000 | rd << 16 | rd << 12 | k_scratch);  // add rd, rd, scratch
  }
  void zero(char depends) {  // eor scratch, rn, rn
    a_.word(0xe0200000 | register_of(depends) << 16 | k_scratch << 12 | register_of(depends));
  }
  void store(char place, u32 v, char depends) {
    const u32 n = base_of(place);
    value(k_value, v, depends);
    if (access_ == Access::Plain) return a_.str(k_value, n);
    const u32 again = a_.here();
    a_.word(0xe1900f9f | n << 16 | k_scratch << 12);  // ldrex scratch, [rn]
    store_exclusive(n, again);
  }
  void store_exclusive(u32 n, u32 again) {
    a_.word(0xe1800f90 | n << 16 | k_status << 12 | k_value);  // strex status, value, [rn]
    a_.word(0xe3500000 | k_status << 16);                      // cmp status, #0
    a_.branch(again, a_.k_not_equal);
  }
  void load(u32 rt, char place, char depends) {
    u32 n = base_of(place);
    if (depends) {
      zero(depends);
      a_.word(0xe0800000 | n << 16 | k_scratch << 12 | k_scratch);  // add scratch, rn, scratch
      n = k_scratch;
    }
    if (access_ == Access::Plain) return a_.ldr(rt, n);
    a_.word(0xe1900f9f | n << 16 | rt << 12);  // ldrex rt, [rn]
    a_.word(k_clrex);
  }
  void swap(u32 rt, u32 n, u32 v) {
    a_.mov(k_value, v);
    const u32 again = a_.here();
    a_.word(0xe1900f9f | n << 16 | rt << 12);  // ldrex rt, [rn]
    store_exclusive(n, again);
  }

  vmm::A32Assembler a_;
  const Barrier barrier_;
  const Access access_;
};

/// vCPUs in Normal, shareable memory; user and privileged code in turn.
class World {
 public:
  explicit World(u32 vcpus) : m_(vcpus) {
    m_.words(k_ram, {k_stop, k_stop, k_stop, k_stop, k_stop, k_stop, k_stop, k_stop});
    for (u32 mib = k_ram >> 20; mib < (k_ram + k_ram_size) >> 20; ++mib)
      m_.put32(k_table + 4 * mib, mib << 20 | 0x11c0e);  // TEX 1, C, B, S; all may write
    for (u32 k = 0; k < vcpus; ++k) {
      arm::CpuState& s = m_.state(k);
      s.cp15.vbar = k_ram;
      s.cp15.ttbr0 = k_table;
      s.cp15.dacr = 1;
      s.cp15.sctlr |= 1;
      // User code is stopped by the Undefined Instruction that its HVC is.
      arm::set_cpsr(s, (k % 2 ? arm::k_mode_usr : arm::k_mode_svc) | arm::k_psr_a | arm::k_psr_i | arm::k_psr_f);
      s.r[0] = k_x;
    }
  }

 protected:
  Machine m_;
};

/// One litmus test with one barrier and one kind of access.
class Run : World {
 public:
  Run(const Litmus& litmus, Barrier barrier, Access access)
      : World(static_cast<u32>(litmus.vcpus.size())), litmus_(litmus), count_(static_cast<u32>(litmus.vcpus.size())) {
    std::vector<u32> starts;
    for (u32 k = 0; k < count_; ++k) {
      starts.push_back(k_code + k * 0x1000);
      emit(m_, starts.back(), Program(k, count_, litmus.vcpus[k], barrier, access).words());
      prepare(k);
    }
    run_on_threads(m_, starts);
  }

  /// Rounds in which a forbidden outcome was seen.
  u32 seen() {
    u32 n = 0;
    for (u32 round = 0; round < k_rounds; ++round)
      for (const std::string_view outcome : litmus_.forbidden) n += is(outcome, round);
    return n;
  }

 private:
  static constexpr u32 results(u32 vcpu) { return k_results + vcpu * k_rounds * k_stride; }

  void prepare(u32 k) {
    arm::CpuState& s = m_.state(k);
    s.r[1] = k_y;
    s.r[2] = results(k);
    s.r[k_meet] = k_meeting;
    s.r[k_left] = k_rounds / k_rounds_between_meetings;
    s.r[k_round] = 0;
  }

  bool is(std::string_view outcome, u32 round) {
    for (const std::string_view word : words_of(outcome))
      if (value(word[0], round) != static_cast<u32>(word[2] - '0')) return false;
    return true;
  }
  u32 value(char what, u32 round) {
    const u32 at = round * k_stride;
    if (!is_register(what)) return m_.get32((what == 'x' ? k_x : k_y) + at);
    for (u32 k = 0; k < count_; ++k)
      if (litmus_.vcpus[k].find(what) != std::string_view::npos)
        return m_.get32(results(k) + at + 4 * static_cast<u32>(what - 'a'));
    ADD_FAILURE() << "no vCPU has the register " << what;
    return 0;
  }

  const Litmus& litmus_;
  const u32 count_;
};

/// Two vCPUs that keep at one location, each with its program, until both have stopped.
class Duel : World {
 public:
  Duel(const vmm::A32Assembler& first, const vmm::A32Assembler& second) : World(2) {
    emit(m_, k_code, first.words());
    emit(m_, k_code + 0x1000, second.words());
    for (u32 k = 0; k < 2; ++k)
      for (u32 n = 2; n < 13; ++n) m_.reg(n, k) = 0;
    run_on_threads(m_, {k_code, k_code + 0x1000});
  }
  u32 reg(u32 n, u32 k) { return m_.reg(n, k); }
};

constexpr const char* k_barriers[] = {"no barrier", "DMB", "DSB"};
constexpr const char* k_accesses[] = {"LDR and STR", "exclusives"};

enum class Forbidden { Always, WithBarriers };

void try_all(const Litmus& litmus, Forbidden when) {
  const bool always = when == Forbidden::Always;
  for (const Access access : {Access::Plain, Access::Exclusive})
    for (const Barrier barrier : {Barrier::None, Barrier::Dmb, Barrier::Dsb}) {
      if (always && barrier != Barrier::None) continue;
      const u32 seen = Run(litmus, barrier, access).seen();
      const std::string what =
          std::string(k_accesses[static_cast<u32>(access)]) + ", " + k_barriers[static_cast<u32>(barrier)];
      if (always || barrier != Barrier::None)
        EXPECT_EQ(seen, 0u) << what;
      else
        std::printf("%s: allowed, seen in %u of %u rounds\n", what.c_str(), seen, k_rounds);
    }
}

TEST(EngineLitmus, MessagePassing) { try_all({{"x=1 | y=1", "a=y | b=x"}, {"a=1 b=0"}}, Forbidden::WithBarriers); }
TEST(EngineLitmus, MessagePassingWithAnAddressDependency) {
  try_all({{"x=1 | y=1", "a=y b=x@a"}, {"a=1 b=0"}}, Forbidden::WithBarriers);
}
TEST(EngineLitmus, StoreBuffering) { try_all({{"x=1 | a=y", "y=1 | b=x"}, {"a=0 b=0"}}, Forbidden::WithBarriers); }
TEST(EngineLitmus, LoadBuffering) { try_all({{"a=x | y=1", "b=y | x=1"}, {"a=1 b=1"}}, Forbidden::WithBarriers); }
TEST(EngineLitmus, LoadBufferingWithDataDependencies) {
  try_all({{"a=x y=1@a", "b=y x=1@b"}, {"a=1 b=1"}}, Forbidden::Always);
}
TEST(EngineLitmus, WriteToReadCausality) {
  try_all({{"x=1", "a=x | y=1", "b=y | c=x"}, {"a=1 b=1 c=0"}}, Forbidden::WithBarriers);
}
TEST(EngineLitmus, IndependentReadsOfIndependentWrites) {
  try_all({{"x=1", "y=1", "a=x | b=y", "c=y | d=x"}, {"a=1 b=0 c=1 d=0"}}, Forbidden::WithBarriers);
}
TEST(EngineLitmus, ReadAfterTheLaterWrite) {  // R
  try_all({{"x=1 | y=1", "y=2 | a=x"}, {"y=2 a=0"}}, Forbidden::WithBarriers);
}
TEST(EngineLitmus, WriteAfterTheMessage) {  // S
  try_all({{"x=2 | y=1", "a=y | x=1"}, {"a=1 x=2"}}, Forbidden::WithBarriers);
}
TEST(EngineLitmus, TwoWritesEach) {  // 2+2W
  try_all({{"x=1 | y=2", "y=1 | x=2"}, {"x=1 y=1"}}, Forbidden::WithBarriers);
}

// One location has one order of writes that all agree on (A3.8.1).
TEST(EngineLitmus, ReadsOfOneLocationGoForward) { try_all({{"x=1", "a=x b=x"}, {"a=1 b=0"}}, Forbidden::Always); }
TEST(EngineLitmus, WritesOfOneVcpuAreInOrder) {
  try_all({{"x=1 x=2", "a=x b=x"}, {"x=1", "x=0", "a=2 b=1", "a=2 b=0", "a=1 b=0"}}, Forbidden::Always);
}
TEST(EngineLitmus, AReadSeesItsOwnWriteOrALaterOne) {
  try_all({{"x=1 a=x", "x=2"}, {"a=0", "a=2 x=1"}}, Forbidden::Always);
}
TEST(EngineLitmus, AReadDoesNotSeeALaterWriteOfItsOwn) {
  try_all({{"a=x x=1", "x=2"}, {"a=1", "a=2 x=2"}}, Forbidden::Always);
}
TEST(EngineLitmus, ReadersAgreeOnTheOrderOfWrites) {
  try_all({{"x=1", "x=2", "a=x b=x", "c=x d=x"}, {"a=1 b=2 c=2 d=1", "a=2 b=1 c=1 d=2"}}, Forbidden::Always);
}

// A3.4, A3.5.3.
TEST(EngineLitmus, OneOfTwoSwapsIsFirst) {
  try_all({{"a:x=1", "b:x=2"}, {"a=0 b=0", "a=2 b=1", "a=0 x=1", "b=0 x=2"}}, Forbidden::Always);
}
TEST(EngineLitmus, AStoreIsNotLostUnderASwap) {
  try_all({{"a:x=1", "x=2"}, {"a=0 x=1", "a=2 x=2"}}, Forbidden::Always);
}

/// Writes a number in both words of [r0], one after the other up to `last`; the other vCPU compares the words.
void try_doublewords(Access access) {
  constexpr u32 k_last = 30000, k_torn = 8, k_turns = 9;
  vmm::A32Assembler writer(k_code), reader(k_code + 0x1000);
  writer.mov(3, k_last);
  const u32 next = writer.here();
  writer.add(4, 4, 1);
  writer.move(5, 4);
  if (access == Access::Exclusive) {
    const u32 again = writer.here();
    writer.word(0xe1b06f9f);  // ldrexd r6, r7, [r0]
    writer.word(0xe1a0af94);  // strexd r10, r4, r5, [r0]
    writer.word(0xe35a0000);  // cmp r10, #0
    writer.branch(again, writer.k_not_equal);
  } else {
    writer.word(0xe1c040f0);  // strd r4, r5, [r0]
  }
  writer.subs(3, 3, 1);
  writer.branch(next, writer.k_not_equal);
  writer.word(k_stop);

  reader.mov(3, k_last);
  const u32 again = reader.here();
  reader.word(access == Access::Exclusive ? 0xe1b04f9f : 0xe1c040d0);  // ldrexd or ldrd r4, r5, [r0]
  reader.word(0xe1540005);                                             // cmp r4, r5
  reader.word(0x12888001);                                             // addne torn, torn, #1
  reader.add(k_turns, k_turns, 1);
  reader.word(0xe31900ff);  // tst turns, #255
  reader.word(0x0320f001);  // yieldeq
  reader.word(0xe1540003);  // cmp r4, r3
  reader.branch(again, reader.k_not_equal);
  reader.word(k_stop);
  EXPECT_EQ(Duel(writer, reader).reg(k_torn, 1), 0u) << k_accesses[static_cast<u32>(access)];
}

// With LPAE, LDRD and STRD too are single-copy atomic (A3.5.3).
TEST(EngineLitmus, DoublewordsAreInOnePiece) {
  try_doublewords(Access::Plain);
  try_doublewords(Access::Exclusive);
}

// One vCPU stores numbers, each when the last one is gone, and then the last of all; the other swaps 0 for them and
// counts.
TEST(EngineLitmus, EveryStoreIsFoundByASwap) {
  constexpr u32 k_stores = 3000, k_found = 8;
  vmm::A32Assembler writer(k_code), taker(k_code + 0x1000);
  writer.mov(3, k_stores);
  const u32 next = writer.here();
  writer.str(3, 0);
  const u32 patiently = writer.here();
  writer.mov(9, 400);
  const u32 look = writer.here();
  writer.ldr(4, 0);
  writer.word(0xe3540000);  // cmp r4, #0
  const u32 gone = writer.forward(writer.k_equal);
  writer.subs(9, 9, 1);
  writer.branch(look, writer.k_not_equal);
  writer.word(k_yield);
  writer.branch(patiently);
  writer.land(gone);
  writer.subs(3, 3, 1);
  writer.branch(next, writer.k_not_equal);
  writer.mov(3, 0xffff);
  writer.str(3, 0);
  writer.word(k_stop);

  taker.mov(3, 0xffff);
  const u32 patiently_too = taker.here();
  taker.mov(9, 400);
  const u32 again = taker.here();
  taker.word(0xe1904f9f);  // ldrex r4, [r0]
  taker.word(0xe1805f96);  // strex r5, r6, [r0]
  taker.word(0xe3550000);  // cmp r5, #0
  taker.branch(again, taker.k_not_equal);
  taker.word(0xe1540003);  // cmp r4, r3
  const u32 out = taker.forward(taker.k_equal);
  taker.word(0xe3540000);  // cmp r4, #0
  taker.word(0x12888001);  // addne found, found, #1
  taker.subs(9, 9, 1);
  taker.branch(again, taker.k_not_equal);
  taker.word(k_yield);
  taker.branch(patiently_too);
  taker.land(out);
  taker.word(k_stop);
  EXPECT_EQ(Duel(writer, taker).reg(k_found, 1), k_stores);
}

}  // namespace
}  // namespace armvisor::engine::test
