// The code generator for x86-64.
#include "base/assert.h"
#include "engine/jit/code_generator.h"
#include "engine/jit/x64/emitter.h"
#include "engine/jit/x64/window_faults.h"

namespace armvisor::engine::jit {
namespace {

constexpr u32 k_mxcsr_default = 0x1f80, k_mxcsr_flags = 0x3f;

/// FPSCR.NZCV of a comparison: less N, equal Z and C, greater C, unordered C and V (A2.7.5). LAHF: CF 1, PF 4, ZF 64.
u32 fpscr_of_host_flags(u8 host) {
  if (host & 4) return 0x30000000;
  if (host & 64) return 0x60000000;
  return host & 1 ? 0x80000000 : 0x20000000;
}

/// Moves what generated code keeps of FPSCR there. Of the host's sticky flags (A2.7.3), MXCSR IE, ZE, OE, UE, PE are
/// IOC, DZC, OFC, UFC, IXC. DE has no counterpart outside flush-to-zero mode, in which generated code does no
/// arithmetic.
void fold_fp_flags(Context& c) {
  if (c.scratch.compared != 0) {
    c.guest.fpscr_nzcv = fpscr_of_host_flags(c.scratch.compared);
    c.scratch.compared = 0;
  }
  const u32 f = c.scratch.mxcsr & k_mxcsr_flags;
  if (f == 0) return;
  c.guest.fpscr_flags |= (f & 1) | (f >> 1 & 0x1e);
  c.scratch.mxcsr = k_mxcsr_default;
}

template <ServiceFunction F>
u64 with_fp_flags(Context* c, u64 a, u64 b, u64 d) {
  fold_fp_flags(*c);
  return F(c, a, b, d);
}

class X64Generator final : public CodeGenerator {
 public:
  explicit X64Generator(const JitOptions& options) : options_(options) {}

  bool start_windows(const u8* exec, std::size_t size) override {
    windows_ = WindowFaults::available() && faults_.create(exec, size);
    return windows_;
  }

  Shared emit_shared(std::span<u8> rw, const u8* exec) override {
    Services services = k_services;
    services[static_cast<std::size_t>(Service::Helper)] = with_fp_flags<service_helper>;
    services[static_cast<std::size_t>(Service::Trap)] = with_fp_flags<service_trap>;
    const StubOptions stub_options{.count_traps = options_.count_traps,
                                   .inline_exceptions = options_.inline_exceptions,
                                   .windows = windows_};
    stubs_ = emit_stubs(rw, stub_options, services);
    stubs_at_ = exec;
    enter_ = reinterpret_cast<Stubs::Enter>(reinterpret_cast<u64>(exec + stubs_.enter));
    return {.size = stubs_.size, .lookup = stubs_.lookup, .miss = stubs_.miss};
  }

  std::unique_ptr<BlockEmitter> make_emitter(const WindowSites& sites) const override {
    return std::make_unique<Emitter>(stubs_, HostFeatures::get(), options_, sites);
  }

  void place(u8* code, const Relocs& relocs, const Block& block, u32 by) const override {
    for (const Reloc& r : relocs) {
      u8* const at = code + r.at;
      switch (r.kind) {
        case Reloc::Kind::Pc: write_field(at, read_field<u32>(at) + by); break;
        case Reloc::Kind::Stub: write_field(at, jump(static_cast<const u8*>(block.host) + r.at, stubs_at_ + r.of)); break;
        case Reloc::Kind::ExecEntry:
        case Reloc::Kind::Heat: write_field(at, static_cast<u32>(value_of(r, block))); break;
        case Reloc::Kind::Uop:
        case Reloc::Kind::Link:
        case Reloc::Kind::SecondPage: write_field(at, value_of(r, block)); break;
        case Reloc::Kind::UopImm:
        case Reloc::Kind::UopDisp: break;
      }
    }
  }

  /// The displacement from behind the field.
  s32 jump(const u8* exec, const void* target) const override {
    return static_cast<s32>(static_cast<const u8*>(target) - (exec + 4));
  }

  void flush(const u8*, std::size_t) const override {}  // x86-64 sees to it

  Leave run(Context* context, const void* code) const override {
    const WindowFaults::Scope scope(windows_ ? &faults_ : nullptr);
    const Leave why = static_cast<Leave>(enter_(context, code));
    fold_fp_flags(*context);
    return why;
  }

  void use_window(u64 base) const override { set_window_base(base); }
  void watch_window(const u8* exec, std::size_t size, const u8* table) override { faults_.set(exec, size, table); }

 private:
  const JitOptions options_;
  Stubs stubs_;
  const u8* stubs_at_ = nullptr;
  Stubs::Enter enter_ = nullptr;
  bool windows_ = false;
  WindowFaults faults_;
};

}  // namespace

std::unique_ptr<CodeGenerator> make_code_generator(const JitOptions& options) {
  return std::make_unique<X64Generator>(options);
}

}  // namespace armvisor::engine::jit

bool armvisor::engine::jit_available() { return true; }
bool armvisor::engine::windows_available() { return jit::WindowFaults::available(); }
