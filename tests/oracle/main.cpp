// oracle: runs random instructions of every table line on our engine and on Unicorn and compares registers, flags,
// memory and exceptions. Exit status 0 when all agree and every line that can be judged was.
//   --count N   cases per line (default 200; 0: none)      --seed S      --line NAME    only lines whose name starts so
//   --states N  further states in which each case runs (default 3)
//   --sequences N   runs of 2 to 24 instructions in each instruction set, too (default 2000)
//   --at-least N    fail when fewer instructions were compared
//   --show N    failing cases printed per line (default 3)        --refusals     list where only we are UNDEFINED
//   --jit LIST      choices of the compiling engine               --user         all of it in User mode
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "oracle/compare.h"
#include "oracle/generate.h"
#include "oracle/reference.h"
#include "oracle/refusals.h"
#include "oracle/subject.h"

namespace armvisor::oracle {
namespace {

struct Options {
  u64 count = 200, states = 3, seed = 1, show = 3, sequences = 2000, at_least = 0;
  std::string line;
  std::string jit = "warm=0";
  bool refusals = false, user = false;
};

engine::JitOptions jit_options(const std::string& list) {
  engine::JitOptions options;
  if (const auto status = engine::parse_jit_options(list, options); !status) {
    std::fprintf(stderr, "oracle: %s\n", status.error().message.c_str());
    std::exit(2);
  }
  return options;
}

/// Per table line.
struct Tally {
  u64 agreed = 0;    ///< compared and equal, executed by both
  u64 raised = 0;    ///< both raised the same exception
  u64 refused = 0;   ///< only we are UNDEFINED: UNPREDICTABLE operands (docs/engine/translation.md)
  u64 ill_bits = 0;  ///< only the reference is UNDEFINED: should-be bits
  u64 strict = 0;    ///< our alignment faults, which the reference does not have
  u64 failed = 0;
};

class Oracle {
 public:
  Oracle(const Options& options, const char* engine)
      : options_(options), random_(options.seed), subject_(engine, jit_options(options.jit)) {
    for (u32 k = 0; k < k_ram_size - 0x1000; ++k) {
      const u8 byte = k < 0x100000 ? 0 : static_cast<u8>(random_());
      reference_.ram(k_ram_base)[k] = byte;
      if (k < k_system - k_ram_base) subject_.ram(k_ram_base)[k] = byte;
    }
  }

  int run() {
    if (const std::string errors = file_errors(); !errors.empty()) {
      std::fprintf(stderr, "%s", errors.c_str());
      return 1;
    }
    for (const auto& e : frontend::encodings()) {
      if (options_.count == 0) break;
      if (!e.name.starts_with(options_.line)) continue;
      if (const auto reason = exclusion(e); !reason.empty()) {
        ++excluded_;
        continue;
      }
      run_line(e);
    }
    if (options_.line.empty()) {
      run_sequences(false);
      run_sequences(true);
    }
    std::printf("%llu instructions compared equal, %u lines, %u excluded, %u never executed, %u failing\n",
                static_cast<unsigned long long>(compared_), lines_, excluded_, uncovered_, failing_);
    if (compared_ < options_.at_least)
      std::printf("expected to compare %llu instructions at least\n",
                  static_cast<unsigned long long>(options_.at_least));
    return failing_ == 0 && uncovered_ == 0 && compared_ >= options_.at_least ? 0 : 1;
  }

 private:
  void run_line(const frontend::Encoding& e) {
    Tally tally;
    ++lines_;
    for (u64 k = 0; k < options_.count; ++k) run_cases(generate(e, e.simd && k % 2 == 1, random_), tally);
    const char* set = e.simd                        ? "simd"
                      : e.isa == frontend::Isa::A32 ? "a32"
                      : e.isa == frontend::Isa::T32 ? "t32"
                                                    : "t16";
    const bool uncovered = tally.agreed == 0 && !(always_raises(e) && tally.raised != 0);
    if (tally.failed != 0) ++failing_;
    if (uncovered) ++uncovered_;
    if (tally.failed != 0 || uncovered || tally.refused * 2 > options_.count * (options_.states + 1) ||
        !options_.line.empty())
      print(set, e.name, tally);
    std::fflush(stdout);
  }

  static bool always_raises(const frontend::Encoding& e) { return e.name == "UDF" || e.name == "SVC"; }

  void run_sequences(bool thumb) {
    Tally tally;
    for (u64 k = 0; k < options_.sequences; ++k)
      run_cases(generate_sequence(thumb, 2 + static_cast<u32>(random_() % 23), random_), tally);
    if (tally.failed != 0) ++failing_;
    print("sequences", thumb ? "thumb" : "a32", tally);
  }

  static void print(const char* set, std::string_view name, const Tally& tally) {
    const auto n = [](u64 v) { return static_cast<unsigned long long>(v); };
    std::printf("%s %.*s: %llu agreed, %llu raised alike, %llu refused, %llu should-be, %llu strict, %llu FAILED\n",
                set, static_cast<int>(name.size()), name.data(), n(tally.agreed), n(tally.raised), n(tally.refused),
                n(tally.ill_bits), n(tally.strict), n(tally.failed));
  }

  /// Puts the code where it runs; true when it is not that of the last run.
  bool lay(const Case& c) {
    reset_code();
    u8 code[k_code_size];
    for (u32 k = 0; k < sizeof code; k += 4)
      std::memcpy(code + k, c.isa == frontend::Isa::A32 ? "\xf0\x00\xf0\xe7" : "\x00\xbe\x00\xbe", 4);
    std::memcpy(code, c.code.data(), c.code.size());
    const bool same = std::memcmp(reference_.ram(k_code), code, sizeof code) == 0 &&
                      std::memcmp(subject_.ram(k_code), code, sizeof code) == 0;
    if (same) return false;
    std::memcpy(reference_.ram(k_code), code, sizeof code);
    subject_.write_code(k_code, code, sizeof code);
    return true;
  }

  /// Clears what earlier cases stored around the code, for PC-relative loads.
  void reset_code() {
    constexpr u32 k_around = 0x1400;
    for (const u32 at : {k_code - k_around, k_code + k_code_size}) {
      static constexpr u8 k_zeros[k_around] = {};
      if (std::memcmp(reference_.ram(at), k_zeros, k_around) != 0) std::memset(reference_.ram(at), 0, k_around);
      if (std::memcmp(subject_.ram(at), k_zeros, k_around) != 0) subject_.write_code(at, k_zeros, k_around);
    }
  }

  /// Words that are valid as PC and as CPSR, where RFE will find them.
  void lay_return_states(const Case& c) {
    for (u32 n = 0; n < 15; ++n) {
      const u32 base = c.initial.r[n];
      if (base < k_data + 64 || base >= k_data + k_data_size - 64) continue;
      for (u32 k = 0; k < 8; ++k) {
        static constexpr u32 k_modes[] = {arm::k_mode_usr, arm::k_mode_svc, arm::k_mode_irq, arm::k_mode_sys};
        const u32 word = (static_cast<u32>(random_()) & 0xf80f01e0u) | k_modes[random_() % 4];
        std::memcpy(reference_.ram(base) - 16 + k * 4, &word, 4);
        std::memcpy(subject_.ram(base) - 16 + k * 4, &word, 4);
      }
    }
  }

  /// A case and its variations: to translate code takes longer than to run it.
  void run_cases(Case c, Tally& tally) {
    if (options_.user) c.initial.cpsr = (c.initial.cpsr & ~arm::k_psr_mode) | arm::k_mode_usr;
    run_case(c, tally);
    for (u64 k = 0; k < options_.states; ++k) run_case(vary(c, random_), tally);
  }

  void run_case(const Case& c, Tally& tally) {
    if (c.sequence.empty() && (owner_of(c) != c.encoding || exclusion(c) != nullptr)) return;
    if (c.encoding->name.starts_with("RFE")) lay_return_states(c);
    const bool new_code = lay(c);
    share_system();
    const Result theirs = reference_.run(c, new_code);
    const bool thumb = (theirs.state.cpsr & arm::k_psr_t) != 0;
    const u32 stop = theirs.state.r[15] & (thumb ? ~1u : ~3u);  // as differences() compares it
    const bool loops = theirs.outcome == Outcome::Normal && stop - k_code < c.code.size();
    const bool lands_in_data = stop - k_data < k_data_size;
    if (loops || lands_in_data || stop - k_system < k_ram_base + k_ram_size - k_system) return restore();
    const bool lands = theirs.outcome == Outcome::Normal;
    const Result ours = subject_.run(c, lands ? stop : 0, thumb);
    judge(c, ours, theirs, tally);
  }

  void judge(const Case& c, const Result& ours, const Result& theirs, Tally& tally) {
    const bool should_be = c.encoding->pattern.find('-') != std::string_view::npos;
    if (theirs.outcome == Outcome::Undefined && ours.outcome != Outcome::Undefined && should_be) {
      ++tally.ill_bits;
      return restore();
    }
    const Executed last = executed_at(c, ours.state.r[15], ours.state.cpsr);
    // The reference may have executed what we refuse, and be undefined where that led it.
    const bool elsewhere = c.sequence.empty() && theirs.state.r[15] != ours.state.r[15];
    if (ours.outcome == Outcome::Undefined && (theirs.outcome != Outcome::Undefined || elsewhere)) {
      if (options_.refusals) std::printf("refused %s", describe(c).c_str());
      if (!is_refused(last))
        return fail(c, "    only ours is undefined, and refusals.inc does not say so: " + name_of(last), tally);
      ++tally.refused;
      return restore();
    }
    if (ours.alignment_fault && ours.entry.dfar % alignment_asked(last) != 0) {
      ++tally.strict;
      return restore();
    }
    if (ours.alignment_fault && theirs.outcome != Outcome::DataAbort)
      return fail(c, "    only ours faults on alignment, and alignments.inc does not say so: " + name_of(last), tally);
    if (const char* const text = lenience(c, ours)) return fail(c, text, tally);
    std::string text = differences(c, ours, theirs);
    const bool memory = std::memcmp(reference_.ram(k_data), subject_.ram(k_data), k_data_size) != 0;
    if (memory && !may_have_stored_some(c, last, ours, theirs))
      text += "    memory differs" + first_difference() + "\n";
    if (memory) restore();
    if (text.empty()) {
      compared_ += executed_of(c, ours);
      ++(ours.outcome == Outcome::Normal ? tally.agreed : tally.raised);
      return;
    }
    fail(c, text, tally);
  }

  void fail(const Case& c, const std::string& text, Tally& tally) {
    if (tally.failed++ < options_.show) std::printf("%s%s", describe(c).c_str(), text.c_str());
    restore();
  }

  /// After an abort some of the stores of one instruction may have been done (A3.5.3).
  static bool may_have_stored_some(const Case& c, const Executed& last, const Result& ours, const Result& theirs) {
    if (ours.outcome != Outcome::DataAbort) return false;
    if (reference_goes_on(c, ours, theirs)) return true;
    for (const char* const multiple : {"STM", "STRD", "PUSH", "SRS", "VST", "VPUSH"})
      if (last.encoding->name.starts_with(multiple)) return true;
    return false;
  }

  static std::string name_of(const Executed& e) { return std::string(e.encoding->name) + "\n"; }

  /// What the files say of the one instruction of `c` and ours did not do; null: nothing.
  static const char* lenience(const Case& c, const Result& ours) {
    if (!c.sequence.empty() || ours.outcome == Outcome::Undefined || ours.outcome == Outcome::Lost) return nullptr;
    const Executed e = executed(c);
    if (!is_selected(e)) return nullptr;
    if (is_refused(e)) return "    ours is not undefined, though refusals.inc says so\n";
    const bool plain = e.encoding->simd && e.encoding->pattern.find('n') != std::string_view::npos;
    if (!plain || ours.outcome != Outcome::Normal) return nullptr;
    frontend::Inst inst;
    inst.encoding = e.encoding;
    inst.raw = e.word;
    const u32 address = inst('n') < 15 ? c.initial.r[inst('n')] : 0;
    return address % alignment_asked(e) ? "    ours does not fault on alignment, though alignments.inc says so\n"
                                        : nullptr;
  }

  /// The instructions of `c` that `ours` got to: in a sequence an exception leaves some out.
  static u64 executed_of(const Case& c, const Result& ours) {
    if (ours.outcome == Outcome::Normal || c.sequence.empty()) return c.instructions;
    u64 n = 0;
    for (u32 at = c.initial.r[15]; at <= ours.state.r[15] && n < c.sequence.size(); ++n)
      at += c.sequence[n].isa == frontend::Isa::T16 ? 2 : 4;
    return n;
  }

  std::string first_difference() {
    const u8 *a = subject_.ram(k_data), *b = reference_.ram(k_data);
    for (u32 k = 0; k < k_data_size; ++k) {
      if (a[k] == b[k]) continue;
      char text[80];
      std::snprintf(text, sizeof text, " at %x: ours %02x, reference %02x", k_data + k, a[k], b[k]);
      return text;
    }
    return {};
  }

  /// Loads may see our vectors and table, which each case finds intact: the reference has them, too.
  void share_system() {
    constexpr u32 k_size = k_ram_base + k_ram_size - k_system;
    if (std::memcmp(reference_.ram(k_system), subject_.ram(k_system), k_size) != 0)
      std::memcpy(reference_.ram(k_system), subject_.ram(k_system), k_size);
  }

  /// Makes our memory the reference's again, wherever the two stored.
  void restore() {
    constexpr u32 k_page = 0x1000;
    for (u32 at = k_ram_base; at < k_system; at += k_page)
      if (std::memcmp(subject_.ram(at), reference_.ram(at), k_page) != 0)
        subject_.write_code(at, reference_.ram(at), k_page);
  }

  Options options_;
  Random random_;
  Reference reference_;
  Subject subject_;
  u64 compared_ = 0;
  u32 lines_ = 0, excluded_ = 0, uncovered_ = 0, failing_ = 0;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int k = 1; k < argc; ++k) {
    const std::string arg = argv[k];
    if (arg == "--refusals") {
      o.refusals = true;
      continue;
    }
    if (arg == "--user") {
      o.user = true;
      continue;
    }
    if (k + 1 == argc) {
      std::fprintf(
          stderr,
          "oracle: %s: expected --count, --states, --sequences, --at-least, --seed, --show, --line or --jit with a "
          "value\n",
          arg.c_str());
      std::exit(2);
    }
    const char* value = argv[++k];
    if (arg == "--count") o.count = std::strtoull(value, nullptr, 0);
    if (arg == "--at-least") o.at_least = std::strtoull(value, nullptr, 0);
    if (arg == "--seed") o.seed = std::strtoull(value, nullptr, 0);
    if (arg == "--states") o.states = std::strtoull(value, nullptr, 0);
    if (arg == "--sequences") o.sequences = std::strtoull(value, nullptr, 0);
    if (arg == "--show") o.show = std::strtoull(value, nullptr, 0);
    if (arg == "--line") o.line = value;
    if (arg == "--jit") o.jit = value;
  }
  return o;
}

}  // namespace
}  // namespace armvisor::oracle

int main(int argc, char** argv) {
  const char* const engine = std::getenv("ARMVISOR_TEST_ENGINE");  // CTest runs the comparison with each
  return armvisor::oracle::Oracle(armvisor::oracle::parse(argc, argv), engine ? engine : "interp").run();
}
