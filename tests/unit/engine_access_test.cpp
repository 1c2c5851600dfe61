// Alignment faults, and what reaches RAM and devices: each kind of load and store (access_rows.inc), at addresses
// within a page and across two, in each kind of memory, on each path that an engine has.
#include <algorithm>
#include <string>

#include "engine_machine.h"

namespace armvisor::engine::test {
namespace {

enum class Isa : u8 { A32, T32 };
enum class Direction : u8 { Load, Store };
enum class Kind : u8 { Up, Down, Exclusive };

struct Row {
  const char* text;
  u32 word;
  Isa isa;
  Direction direction;
  u32 bytes, element, alignment;
  Kind kind;
  bool load() const { return direction == Direction::Load; }
};

constexpr Row k_rows[] = {
#define ROW(text, word, isa, direction, bytes, element, alignment, kind) \
  {text, word, Isa::isa, Direction::direction, bytes, element, alignment, Kind::kind},
#include "access_rows.inc"
#undef ROW
};

/// A page of guest memory: what is there, and the type that the tables give it.
struct Memory {
  const char* name;
  enum : u8 { Ram, Rom, Device, Nothing } what;
  bool normal;
  u32 attributes;  ///< TEX, C and B of a small page
};
constexpr u32 k_normal = 1u << 6 | 1u << 3 | 1u << 2, k_device_type = 1u << 2, k_ordered = 0;
constexpr Memory k_memories[] = {
    {"RAM", Memory::Ram, true, k_normal},
    {"RAM as Device", Memory::Ram, false, k_device_type},
    {"Strongly-ordered RAM", Memory::Ram, false, k_ordered},
    {"ROM", Memory::Rom, true, k_normal},
    {"ROM as Device", Memory::Rom, false, k_device_type},
    {"device", Memory::Device, false, k_device_type},
    {"device as Normal", Memory::Device, true, k_normal},
    {"nothing", Memory::Nothing, false, 0},
};
constexpr u32 k_memory_count = std::size(k_memories);
const Memory &k_flat_ram = k_memories[2], &k_flat_rom = k_memories[4], &k_flat_device = k_memories[5];

constexpr u32 k_page = 0x1000, k_code = k_ram + 0x8000, k_l1 = k_ram + 0x10000, k_l2 = k_ram + 0x14000;
constexpr u32 k_frames = k_ram + 0x20000, k_pairs = 0x80000000;
constexpr u32 k_tlbiall = 0xee080f17;

/// The pages of an access, by index into k_memories, are side by side here.
constexpr u32 pair_at(u32 first, u32 second) { return k_pairs + (first * k_memory_count + second) * 2 * k_page; }

u8 pattern(u32 k) { return static_cast<u8>(0x91 + 37 * k); }

/// What one instruction did.
struct Outcome {
  enum : u8 { Done, Alignment, Translation, External, Other } what = Done;
  u32 far = 0;
  std::array<u32, 15> r{};
  std::array<u64, 32> d{};
  std::vector<u8> bytes;  ///< of the place accessed, afterwards
  std::vector<Port::Access> log;
};

const char* name_of(u8 what) {
  static constexpr const char* k_names[] = {"done", "alignment fault", "translation fault", "external abort", "other"};
  return k_names[what];
}

class World {
 public:
  World(const char* kind, const JitOptions& options) : m(1, {}, options, kind) {
    m.port.rom.resize(k_page);
    m.words(k_ram, {k_stop, k_stop, k_stop, k_stop, k_stop, k_stop, k_stop, k_stop});
    for (u32 mib = 0; mib < k_ram_size >> 20; ++mib)
      m.put32(k_l1 + 4 * ((k_ram >> 20) + mib), (k_ram + (mib << 20)) | 3u << 10 | 1u << 12 | 1u << 3 | 1u << 2 | 2);
    m.put32(k_l1 + 4 * (k_pairs >> 20), k_l2 | 1);
    for (u32 a = 0; a < k_memory_count; ++a)
      for (u32 b = 0; b < k_memory_count; ++b) {
        map(pair_at(a, b), k_memories[a], 0);
        map(pair_at(a, b) + k_page, k_memories[b], 1);
      }
    arm::CpuState& s = m.state();
    s.cp15.vbar = k_ram;
    s.cp15.ttbr0 = k_l1;
    s.cp15.dacr = 1;
    s.cp15.cpacr = 0xf00000;
    s.fpexc = 1u << 30;
  }

  static u32 frame(const Memory& memory, u32 second) {
    if (memory.what == Memory::Ram) return k_frames + second * k_page;
    return memory.what == Memory::Rom ? k_rom : k_device;
  }

  u8& byte(const Memory& memory, u32 second, u32 offset) {
    if (memory.what == Memory::Ram) return m.ram.host(GuestPa(frame(memory, second)))[offset];
    return memory.what == Memory::Rom ? m.port.rom[offset] : m.port.registers[k_device + offset];
  }

  void set_sctlr(bool mmu, bool strict) {
    u32& sctlr = m.state().cp15.sctlr;
    sctlr = (sctlr & ~3u) | u32{mmu} | u32{strict} << 1;
  }
  void flush() {
    m.words(k_code, {k_tlbiall, k_stop});
    arm::set_cpsr(m.state(), k_masked | arm::k_mode_svc);
    m.run(k_code);
  }

  /// Runs the instruction of `row` so that its lowest address is `va`. Where it was put it may run many times.
  Outcome run(const Row& row, u32 code, u32 va, bool big, u32 mode) {
    arm::CpuState& s = m.state();
    arm::set_cpsr(s, k_masked | mode | (big ? arm::k_psr_e : 0) | (row.isa == Isa::T32 ? arm::k_psr_t : 0));
    for (u32 n = 0; n < 15; ++n) s.r[n] = n * 0x10203041 + 0x89abcdef;
    for (u32 n = 0; n < 32; ++n) s.d[n] = n * 0x0123456789abcdefull + 0xf0e1d2c3b4a59687;
    s.r[1] = row.kind == Kind::Down ? va + row.bytes : va;
    Outcome out;
    m.port.log = &out.log;
    m.run(code);
    m.port.log = nullptr;
    if (s.mode() == arm::k_mode_abt) {
      static constexpr u32 k_status = 0x40f;
      const u32 status = s.cp15.dfsr & k_status;
      out.what = status == 1   ? Outcome::Alignment
                 : status == 7 ? Outcome::Translation
                 : status == 8 ? Outcome::External
                               : Outcome::Other;
      out.far = s.cp15.dfar;
    } else if (s.mode() != (mode == arm::k_mode_usr ? arm::k_mode_und : mode)) {
      out.what = Outcome::Other;  // user code cannot make hypercalls: it ends by an Undefined Instruction exception
    }
    for (u32 n = 0; n < 13; ++n) out.r[n] = s.r[n];
    out.d = s.d;
    return out;
  }

  void put(const Row& row, u32 code) {
    if (row.isa == Isa::A32)
      m.words(code, {row.word, k_stop});
    else
      m.words(code, {row.word << 16 | row.word >> 16, 0x8000f7e0});
  }

  Machine m;

 private:
  static constexpr u32 k_masked = arm::k_psr_i | arm::k_psr_f | arm::k_psr_a;
  void map(u32 va, const Memory& memory, u32 second) {
    const u32 page = memory.what == Memory::Nothing ? 0 : frame(memory, second) | 3u << 4 | memory.attributes | 2;
    m.put32(k_l2 + 4 * (va >> 12 & 0xff), page);
  }
};

/// An access: where it begins in a page of `first`, which a page of `second` follows.
struct Place {
  const Memory *first, *second;
  u32 va;
  u32 in_first(const Row& row) const { return std::min(row.bytes, k_page - va % k_page); }
  bool across(const Row& row) const { return in_first(row) < row.bytes; }
};

/// What the architecture says of an access, and where it leaves a choice, the choices made here.
struct Expected {
  bool can[5] = {};  ///< by Outcome
  u32 far_first = 0, far_last = 0;
  std::vector<Port::Access> log;  ///< of the whole instruction, values aside
};

Expected expected(const Row& row, const Place& place, bool strict) {
  Expected e;
  const u32 va = place.va, in_first = place.in_first(row), end = va + row.bytes;
  const u32 asked = std::max(row.alignment, strict ? row.element : 1);
  e.far_first = e.far_last = va;
  if (va % asked != 0) {
    e.can[Outcome::Alignment] = true;
    return e;
  }
  const bool across = place.across(row), aligned = va % row.element == 0;
  for (u32 at = va; at < end; at += std::min(row.element, 4u)) {
    const Memory& memory = at - va < in_first ? *place.first : *place.second;
    if (memory.what == Memory::Device)
      e.log.push_back({World::frame(memory, 0) + at % k_page, std::min(row.element, 4u), !row.load(), 0});
  }
  if (row.kind == Kind::Exclusive && place.first->what != Memory::Ram) {
    e.log.clear();
    e.can[Outcome::External] = true;
    return e;
  }
  const auto may_be_unaligned = [&](const Memory& memory) {
    return memory.normal && (memory.what == Memory::Ram || (row.load() && memory.what == Memory::Rom));
  };
  const auto refuses_stores = [&](const Memory& memory) { return !row.load() && memory.what == Memory::Rom; };
  const u32 next = va + in_first;
  if (!aligned && (!may_be_unaligned(*place.first) || (across && !may_be_unaligned(*place.second)))) {
    // In memory that is not Normal; which of the bytes is named is not said.
    e.can[Outcome::Alignment] = !(may_be_unaligned(*place.first) && place.second->what == Memory::Nothing);
    e.can[Outcome::Translation] = across && place.second->what == Memory::Nothing;
    e.far_last = end - 1;
  } else if (refuses_stores(*place.first)) {
    // Both pages of a doubleword may be looked at before its first word is stored.
    e.can[Outcome::External] = true;
    e.can[Outcome::Translation] = across && place.second->what == Memory::Nothing;
    e.far_last = next;
  } else if (across && place.second->what == Memory::Nothing) {
    e.can[Outcome::Translation] = true;
    e.far_first = e.far_last = next;
  } else if (across && refuses_stores(*place.second)) {
    e.can[Outcome::External] = true;
    e.far_first = e.far_last = next;
  } else {
    e.can[Outcome::Done] = true;
  }
  return e;
}

class EngineAccess : public ::testing::Test {
 protected:
  static std::vector<std::string> paths() {
    const char* const engine = std::getenv("ARMVISOR_TEST_ENGINE");
    if (!engine || std::string_view(engine) != "jit") return {""};
    return {"", "no-inline-tlb", "no-group-accesses,no-xmm-cache", "no-windows", "windows-at-once"};
  }

  /// Puts the pattern where the access of `row` at `place` is.
  static void lay(World& w, const Row& row, const Place& place) {
    for (u32 k = 0; k < row.bytes; ++k)
      if (u8* const at = byte_at(w, row, place, k)) *at = pattern(k);
  }
  static u8* byte_at(World& w, const Row& row, const Place& place, u32 k) {
    const u32 in_first = place.in_first(row);
    const Memory& memory = k < in_first ? *place.first : *place.second;
    if (memory.what == Memory::Nothing) return nullptr;
    return &w.byte(memory, k < in_first ? 0 : 1, (place.va + k) % k_page);
  }

  /// The same at an aligned place in Normal memory, by the interpreter.
  Outcome plain(const Row& row, bool big) {
    const Place place{&k_memories[0], &k_memories[0], pair_at(0, 0) + 0x400};
    lay(reference, row, place);
    reference.put(row, k_code);
    Outcome out = reference.run(row, k_code, place.va, big, arm::k_mode_svc);
    EXPECT_EQ(out.what, Outcome::Done) << row.text;
    for (u32 k = 0; k < row.bytes; ++k) out.bytes.push_back(*byte_at(reference, row, place, k));
    return out;
  }

  /// Runs `row` at `place`: was it right?
  void check(World& w, const Row& row, const Place& place, bool strict, bool big, u32 mode, const Outcome& want) {
    Expected e = expected(row, place, strict);
    lay(w, row, place);
    Outcome got = w.run(row, k_code + 0x40, place.va, big, mode);
    const auto context = [&] {
      char text[200];
      std::snprintf(text, sizeof text, "%s %08x at %08x, %s then %s, SCTLR.A %d, big %d, mode %x: %s, FAR %08x",
                    row.text, row.word, place.va, place.first->name, place.second->name, strict, big, mode,
                    name_of(got.what), got.far);
      return std::string(text);
    };
    ++checked;
    ASSERT_TRUE(e.can[got.what]) << context();
    if (got.what != Outcome::Done) {
      ASSERT_TRUE(got.far >= e.far_first && got.far <= e.far_last) << context();
      ASSERT_EQ(got.r[1], row.kind == Kind::Down ? place.va + row.bytes : place.va) << context();
      ASSERT_LE(got.log.size(), e.log.size()) << context();
    } else {
      ASSERT_EQ(got.log.size(), e.log.size()) << context();
      const u32 moved = want.r[1] - (pair_at(0, 0) + 0x400);
      ASSERT_EQ(got.r[1] - place.va, moved) << context();
      got.r[1] = want.r[1];
      ASSERT_EQ(got.r, want.r) << context();
      ASSERT_EQ(got.d, want.d) << context();
      for (u32 k = 0; k < row.bytes; ++k)
        ASSERT_EQ(*byte_at(w, row, place, k), want.bytes[k]) << context() << " byte " << k;
    }
    for (std::size_t k = 0; k < got.log.size(); ++k) {
      Port::Access& access = e.log[k];
      for (u32 b = 0; b < access.size; ++b) {
        const u32 at = place.va + ((static_cast<u32>(access.pa) + b - place.va) & (k_page - 1));
        access.value |= u64{want.bytes[at - place.va]} << (8 * b);
      }
      ASSERT_EQ(got.log[k], access) << context() << " access " << k << ": " << got.log[k].size << " bytes at "
                                    << std::hex << got.log[k].pa << " of " << got.log[k].value;
    }
  }

  /// Twice: a miss, and where the TLB or a window serves it, a hit.
  void check_twice(World& w, const Row& row, const Place& place, bool strict, bool big, u32 mode, const Outcome& want) {
    check(w, row, place, strict, big, mode, want);
    if (!HasFatalFailure()) check(w, row, place, strict, big, mode, want);
  }

  /// Offsets in the first page that matter to an access of `bytes`.
  static std::vector<u32> offsets(u32 bytes) {
    std::vector<u32> out = {0x40, 0x41, 0x42, 0x43, 0x44, 0x46, 0x48, 0x4c, 0x50, 0x60};
    for (const u32 before : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 10u, 12u, 16u, 20u, 24u, 28u})
      if (before < bytes) out.push_back(k_page - before);
    return out;
  }

  World reference{"interp", {}};
  u64 checked = 0;
};

TEST_F(EngineAccess, AlignmentIsAskedOfElementsAndEachReachesADevice) {
  reference.set_sctlr(true, false);
  for (const std::string& path : paths()) {
    JitOptions options;
    ASSERT_TRUE(parse_jit_options(path, options));
    World w(nullptr, options);
    for (const Row& row : k_rows)
      for (const u32 variant : {0u, 1u, 2u, 3u}) {                      // plain, SCTLR.A, big-endian, User mode
        if (row.isa == Isa::T32 && variant != 0) continue;              // the same operations behind the decoder
        if (!path.empty() && (variant == 1 || variant == 2)) continue;  // one path each shows what these change
        const bool strict = variant == 1, big = variant == 2;
        const u32 mode = variant == 3 ? arm::k_mode_usr : arm::k_mode_svc;
        const Outcome want = plain(row, big);
        w.set_sctlr(true, strict);
        w.put(row, k_code + 0x40);
        for (const u32 offset : offsets(row.bytes)) {
          w.flush();
          for (u32 a = 0; a + 1 < k_memory_count; ++a)
            for (u32 b = 0; b < k_memory_count; ++b) {
              const Place place{&k_memories[a], &k_memories[b], pair_at(a, b) + offset};
              if (!place.across(row) && b != 0) continue;
              check_twice(w, row, place, strict, big, mode, want);
              if (HasFatalFailure()) FAIL() << "path: " << path;
            }
        }
      }
  }
  EXPECT_GT(checked, 200'000u);
}

TEST_F(EngineAccess, WithTheMmuOffAllMemoryIsStronglyOrdered) {
  reference.set_sctlr(true, false);
  for (const std::string& path : paths()) {
    JitOptions options;
    ASSERT_TRUE(parse_jit_options(path, options));
    World w(nullptr, options);
    w.set_sctlr(false, false);
    for (const Row& row : k_rows) {
      const Outcome want = plain(row, false);
      w.put(row, k_code + 0x40);
      for (const u32 offset : offsets(row.bytes))
        for (const Memory* memory : {&k_flat_ram, &k_flat_rom, &k_flat_device}) {
          const Place place{memory, memory, World::frame(*memory, 0) + offset};
          if (place.across(row) && memory->what != Memory::Ram) continue;
          w.flush();
          // SCTLR.A changes nothing: an access that is not aligned faults either way.
          check_twice(w, row, place, true, false, arm::k_mode_svc, want);
          if (HasFatalFailure()) FAIL() << "path: " << path;
        }
    }
  }
}

}  // namespace
}  // namespace armvisor::engine::test
