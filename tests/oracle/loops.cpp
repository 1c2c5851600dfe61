// loops: runs random loops on the compiling engine, which makes regions of them after their first round, and on the
// interpreter, and compares registers, flags, memory and exceptions. Exit status 0 when all agree.
//   --count N   loops (default 2000)     --states N  further states in which each runs (default 8)     --seed S
//   --jit LIST  choices of the compiling engine (default hot=1,warm=0)     --show N  failing cases printed (default 3)
//   --random-jit N  that many times, with sets of choices by chance (random_jit.h), which are printed
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "oracle/compare.h"
#include "oracle/generate.h"
#include "oracle/subject.h"
#include "random_jit.h"

namespace armvisor::oracle {
namespace {

struct Options {
  u64 count = 2000, states = 8, seed = 1, show = 3, random_jit = 0;
  std::string jit = "hot=1,warm=0";
};

engine::JitOptions jit_options(const std::string& list) {
  engine::JitOptions options;
  if (const auto status = engine::parse_jit_options(list, options); !status) {
    std::fprintf(stderr, "loops: %s\n", status.error().message.c_str());
    std::exit(2);
  }
  return options;
}

class Loops {
 public:
  explicit Loops(const Options& options)
      : options_(options), random_(options.seed), compiled_("jit", jit_options(options.jit)), interpreted_("interp") {
    for (u32 k = 0x100000; k < k_system - k_ram_base; ++k)
      compiled_.ram(k_ram_base)[k] = interpreted_.ram(k_ram_base)[k] = static_cast<u8>(random_());
  }

  int run() {
    for (u64 k = 0; k < options_.count; ++k) {
      const auto [c, counter] = generate_loop(k % 2 != 0, random_, k % 4 >= 2 ? Mix::Simd : Mix::All);
      lay(c);
      run_case(c);
      for (u64 n = 0; n < options_.states; ++n) {
        Case varied = vary(c, random_);
        varied.initial.r[counter] = 2 + static_cast<u32>(random_() % 6);
        run_case(varied);
      }
    }
    std::printf("%llu loops compared equal, %llu raised alike, %llu FAILED\n", static_cast<unsigned long long>(ended_),
                static_cast<unsigned long long>(raised_), static_cast<unsigned long long>(failed_));
    return failed_ == 0 && ended_ > options_.count && raised_ > options_.count / 20 ? 0 : 1;
  }

 private:
  void lay(const Case& c) {
    u8 code[k_code_size];
    std::memset(code, 0, sizeof code);
    std::memcpy(code, c.code.data(), c.code.size());
    compiled_.write_code(k_code, code, sizeof code);
    interpreted_.write_code(k_code, code, sizeof code);
  }

  void run_case(const Case& c) {
    // Pointers to nowhere come, too: aborts in the midst of a loop are what is to be exact.
    Case at = c;
    if (random_() % 4 == 0)
      for (u32& r : at.initial.r)
        if (r - k_data < k_data_size && random_() % 2) r = k_ram_base - 8 * static_cast<u32>(random_() % 8);
    const u32 stop = k_code + static_cast<u32>(c.code.size());
    const bool thumb = c.isa != frontend::Isa::A32;
    const Result theirs = interpreted_.run(at, stop, thumb), ours = compiled_.run(at, stop, thumb);
    if (overwritten(c)) return make_equal(c);
    std::string text;
    const MachineState &a = ours.state, &b = theirs.state;
    if (ours.outcome != theirs.outcome) text = "    outcomes differ\n";
    if (a.r != b.r || a.cpsr != b.cpsr || a.spsr != b.spsr || a.fpscr != b.fpscr || a.d != b.d) {
      for (u32 n = 0; n < 16; ++n) note(text, "r" + std::to_string(n), a.r[n], b.r[n]);
      note(text, "cpsr", a.cpsr, b.cpsr);
      note(text, "spsr", a.spsr, b.spsr);
      note(text, "fpscr", a.fpscr, b.fpscr);
      for (u32 n = 0; n < 32; ++n) note(text, "d" + std::to_string(n), a.d[n], b.d[n]);
    }
    if (std::memcmp(compiled_.ram(k_ram_base), interpreted_.ram(k_ram_base), k_system - k_ram_base) != 0) {
      text += "    memory differs\n";
      make_equal(c);
    }
    if (text.empty()) {
      ++(ours.outcome == Outcome::Normal ? ended_ : raised_);
      return;
    }
    if (failed_++ < options_.show)
      std::printf("%s    %s, %s\n%s", describe(at).c_str(), outcome_name(ours.outcome), outcome_name(theirs.outcome),
                  text.c_str());
  }

  /// A loop that wrote over itself may go on with the old instructions: it made no ISB (A3.5.4).
  bool overwritten(const Case& c) {
    const auto changed = [&c](Subject& s) { return std::memcmp(s.ram(k_code), c.code.data(), c.code.size()) != 0; };
    return changed(compiled_) || changed(interpreted_);
  }

  void make_equal(const Case& c) {
    lay(c);
    for (u32 p = k_ram_base; p < k_system; p += 0x1000)
      if (std::memcmp(compiled_.ram(p), interpreted_.ram(p), 0x1000) != 0)
        compiled_.write_code(p, interpreted_.ram(p), 0x1000);
  }

  static void note(std::string& text, const std::string& name, u64 a, u64 b) {
    char line[96];
    std::snprintf(line, sizeof line, "    %-6s compiled %llx, interpreted %llx\n", name.c_str(),
                  static_cast<unsigned long long>(a), static_cast<unsigned long long>(b));
    if (a != b) text += line;
  }

  Options options_;
  Random random_;
  Subject compiled_, interpreted_;
  u64 ended_ = 0, raised_ = 0, failed_ = 0;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int k = 1; k < argc; k += 2) {
    const std::string arg = argv[k];
    const char* const value = k + 1 < argc ? argv[k + 1] : "";
    if (arg == "--count")
      o.count = std::strtoull(value, nullptr, 0);
    else if (arg == "--states")
      o.states = std::strtoull(value, nullptr, 0);
    else if (arg == "--seed")
      o.seed = std::strtoull(value, nullptr, 0);
    else if (arg == "--show")
      o.show = std::strtoull(value, nullptr, 0);
    else if (arg == "--jit")
      o.jit = value;
    else if (arg == "--random-jit")
      o.random_jit = std::strtoull(value, nullptr, 0);
    else {
      std::fprintf(stderr, "loops: expected --count, --states, --seed, --show, --jit or --random-jit, found %s\n",
                   arg.c_str());
      std::exit(2);
    }
  }
  return o;
}

int run(Options options) {
  if (options.random_jit == 0) return Loops(options).run();
  int status = 0;
  for (u64 k = 0; k < options.random_jit; ++k, ++options.seed) {
    options.jit = engine::test::random_jit_list(options.seed);
    std::printf("--seed %llu --jit %s\n", static_cast<unsigned long long>(options.seed), options.jit.c_str());
    std::fflush(stdout);
    status |= Loops(options).run();
  }
  return status;
}

}  // namespace
}  // namespace armvisor::oracle

int main(int argc, char** argv) { return armvisor::oracle::run(armvisor::oracle::parse(argc, argv)); }
