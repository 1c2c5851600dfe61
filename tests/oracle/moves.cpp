// moves: blocks of random instructions of every table line, and of sequences of them, compiled for one address and
// moved to others, must be what is compiled of the translation for those. Exit status 0 when all are.
//   --count N   blocks per line (default 60)     --sequences N   blocks of 2 to 24 instructions (default 2000)
//   --seed S    --jit LIST   choices of the compiling engine
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "engine/backend.h"
#include "engine/jit/jit.h"
#include "ir/passes/sink_compare.h"
#include "oracle/generate.h"

namespace armvisor::oracle {
namespace {

struct Options {
  u64 count = 60, sequences = 2000, seed = 1;
  std::string jit;
};

class Moves {
 public:
  explicit Moves(const Options& options) : options_(options), random_(options.seed) {
    engine::JitOptions jit;
    if (const auto status = engine::parse_jit_options(options.jit, jit); !status) fail(status.error().message);
    auto backend = engine::jit::make_backend(jit);
    if (!backend) fail(backend.error().message);
    backend_ = std::move(*backend);
  }

  int run() {
    for (const auto& e : frontend::encodings())
      for (u64 k = 0; k < options_.count; ++k) check(generate(e, e.simd && k % 2 == 1, random_));
    for (u64 k = 0; k < options_.sequences; ++k)
      check(generate_sequence(k % 2 != 0, 2 + static_cast<u32>(random_() % 23), random_));
    for (u64 k = 0; k < options_.sequences; ++k) check(generate_loop(k % 2 != 0, random_, Mix::All).code);
    std::printf("%llu blocks moved as translated, %llu cannot move, %llu FAILED\n", n(moved_), n(fixed_), n(failed_));
    return failed_ == 0 && fixed_ != 0 && moved_ > 10 * fixed_ ? 0 : 1;
  }

 private:
  static unsigned long long n(u64 v) { return v; }
  [[noreturn]] static void fail(const std::string& message) {
    std::fprintf(stderr, "moves: %s\n", message.c_str());
    std::exit(2);
  }

  /// The context of most programs and kernels, now with one, now with another choice.
  frontend::Context context_for(const Case& c) {
    frontend::Context context;
    context.thumb = c.isa != frontend::Isa::A32;
    context.privileged = random_() % 2 != 0;
    context.vfp_enabled = context.vfp_accessible = context.simd_enabled = true;
    context.fp_default = random_() % 4 != 0;
    context.big_endian = random_() % 8 == 0;
    context.align_strict = random_() % 8 == 0;
    context.debug_events = random_() % 64 == 0;  // such a block stays where it is
    return context;
  }

  bool translate(const Case& c, const frontend::Context& context, u32 pc, ir::Block& block) {
    if (!frontend::translate(context, pc, c.code, {.max_insns = 64}, block)) return false;
    ir::sink_compares(block);
    return true;
  }

  void check(const Case& c) {
    const frontend::Context context = context_for(c);
    // The block lies in one page. Thumb code begins at any halfword.
    const u32 room = (0x1000 - static_cast<u32>(c.code.size())) & ~3u;
    const u32 offset =
        (static_cast<u32>(random_()) % room & ~3u) + (context.thumb ? static_cast<u32>(random_()) % 2 * 2 : 0);
    const u32 pc = (static_cast<u32>(random_()) & ~0xfffu) + offset;
    ir::Block here;
    if (!translate(c, context, pc, here)) return;
    const auto block = backend_->make(here, engine::block_key(context.key(), here.fp));
    if (!block || !block->compiled) fail("no room for a block");
    if (block->can_move())
      for (u32 k = 0; k < 2; ++k) check_at(c, context, *block, (static_cast<u32>(random_()) & ~0xfffu) + offset);
    else
      ++fixed_;
    backend_->release(*block);
  }

  void check_at(const Case& c, const frontend::Context& context, const engine::Block& block, u32 pc) {
    ir::Block there;
    translate(c, context, pc, there);
    const std::string found = backend_->check_move(block, there);
    if (found.empty()) {
      ++moved_;
    } else if (failed_++ < 3) {
      std::printf("moved from %08x to %08x differs: %s\n%s", block.pc, pc, found.c_str(), ir::print(there).c_str());
    }
  }

  const Options options_;
  Random random_;
  std::unique_ptr<engine::Backend> backend_;
  u64 moved_ = 0, fixed_ = 0, failed_ = 0;
};

bool parse(int argc, char** argv, Options& o) {
  for (int k = 1; k + 1 < argc; k += 2) {
    const std::string name = argv[k];
    if (name == "--count")
      o.count = std::strtoull(argv[k + 1], nullptr, 0);
    else if (name == "--sequences")
      o.sequences = std::strtoull(argv[k + 1], nullptr, 0);
    else if (name == "--seed")
      o.seed = std::strtoull(argv[k + 1], nullptr, 0);
    else if (name == "--jit")
      o.jit = argv[k + 1];
    else
      return false;
  }
  return argc % 2 == 1;
}

}  // namespace
}  // namespace armvisor::oracle

int main(int argc, char** argv) {
  armvisor::oracle::Options options;
  if (!armvisor::oracle::parse(argc, argv, options)) {
    std::fprintf(stderr, "usage: oracle_moves [--count N] [--sequences N] [--seed S] [--jit LIST]\n");
    return 2;
  }
  return armvisor::oracle::Moves(options).run();
}
