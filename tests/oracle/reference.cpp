#include "oracle/reference.h"

#include <unicorn/unicorn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace armvisor::oracle {
namespace {

// Exception numbers of the reference.
enum : u32 { k_udef = 1, k_swi = 2, k_prefetch_abort = 3, k_data_abort = 4 };

void check(uc_err e, const char* what) {
  if (e == UC_ERR_OK) return;
  std::fprintf(stderr, "oracle: unicorn: %s: %s\n", what, uc_strerror(e));
  std::exit(2);
}

}  // namespace

struct Reference::Engine {
  static bool on_unmapped(uc_engine*, int type, u64 address, int, std::int64_t, void* user) {
    Engine& engine = *static_cast<Engine*>(user);
    engine.abort_address = static_cast<u32>(address);
    engine.abort_write = type == UC_MEM_WRITE_UNMAPPED;
    return false;
  }

  uc_engine* uc = nullptr;
  u32 exception = 0;
  u32 abort_address = 0;
  bool abort_write = false;
};

void Reference::Free::operator()(u8* p) const { std::free(p); }

static void on_interrupt(uc_engine* uc, u32 number, void* user) {
  *static_cast<u32*>(user) = number;
  uc_emu_stop(uc);
}

Reference::Reference() : engine_(std::make_unique<Engine>()) {
  ram_.reset(static_cast<u8*>(std::aligned_alloc(4096, k_ram_size)));
  std::memset(ram_.get(), 0, k_ram_size);
  uc_engine*& uc = engine_->uc;
  check(uc_open(UC_ARCH_ARM, UC_MODE_ARM, &uc), "open");
  check(uc_ctl_set_cpu_model(uc, UC_CPU_ARM_CORTEX_A15), "set the model");
  check(uc_mem_map_ptr(uc, k_ram_base, k_ram_size, UC_PROT_ALL, ram_.get()), "map RAM");
  uc_hook hook{};
  check(uc_hook_add(uc, &hook, UC_HOOK_INTR, reinterpret_cast<void*>(on_interrupt), &engine_->exception, 1, 0), "hook");
  check(uc_hook_add(uc, &hook, UC_HOOK_MEM_READ_UNMAPPED | UC_HOOK_MEM_WRITE_UNMAPPED,
                    reinterpret_cast<void*>(Engine::on_unmapped), engine_.get(), 1, 0),
        "hook unmapped memory");
}

Reference::~Reference() { uc_close(engine_->uc); }

Result Reference::run(const Case& c, bool new_code) {
  uc_engine* uc = engine_->uc;
  MachineState s = c.initial;
  u32 cpacr = 0x00f00000, fpexc = 1u << 30;
  u32 privileged =
      (s.cpsr & ~(arm::k_psr_mode | arm::k_psr_t | arm::k_psr_it_low | arm::k_psr_it_high)) | arm::k_mode_svc;
  uc_reg_write(uc, UC_ARM_REG_CPSR, &privileged);
  uc_reg_write(uc, UC_ARM_REG_C1_C0_2, &cpacr);
  uc_reg_write(uc, UC_ARM_REG_FPEXC, &fpexc);
  uc_reg_write(uc, UC_ARM_REG_FPSCR, &s.fpscr);
  for (int n = 0; n < 32; ++n) uc_reg_write(uc, UC_ARM_REG_D0 + n, &s.d[static_cast<std::size_t>(n)]);
  uc_reg_write(uc, UC_ARM_REG_CPSR, &s.cpsr);
  uc_reg_write(uc, UC_ARM_REG_SPSR, &s.spsr);
  for (int n = 0; n < 13; ++n) uc_reg_write(uc, UC_ARM_REG_R0 + n, &s.r[static_cast<std::size_t>(n)]);
  uc_reg_write(uc, UC_ARM_REG_SP, &s.r[13]);
  uc_reg_write(uc, UC_ARM_REG_LR, &s.r[14]);

  engine_->exception = 0;
  const u64 begin = s.r[15] | ((s.cpsr & arm::k_psr_t) ? 1 : 0);
  if (new_code) uc_ctl_remove_cache(uc, k_code, k_code + k_code_size);
  // Both ends are needed: a count alone runs on behind an instruction that its IT block skips. A sequence goes straight
  // on; it needs no count, which would have the reference translate it anew each time.
  const uc_err e = uc_emu_start(uc, begin, s.r[15] + c.code.size(), 0, c.sequence.empty() ? c.instructions : 0);

  Result result;
  result.abort_address = engine_->abort_address;
  result.abort_write = engine_->abort_write;
  MachineState& out = result.state;
  for (int n = 0; n < 13; ++n) uc_reg_read(uc, UC_ARM_REG_R0 + n, &out.r[static_cast<std::size_t>(n)]);
  uc_reg_read(uc, UC_ARM_REG_SP, &out.r[13]);
  uc_reg_read(uc, UC_ARM_REG_LR, &out.r[14]);
  uc_reg_read(uc, UC_ARM_REG_PC, &out.r[15]);
  uc_reg_read(uc, UC_ARM_REG_CPSR, &out.cpsr);
  uc_reg_read(uc, UC_ARM_REG_SPSR, &out.spsr);
  uc_reg_read(uc, UC_ARM_REG_FPSCR, &out.fpscr);
  for (int n = 0; n < 32; ++n) uc_reg_read(uc, UC_ARM_REG_D0 + n, &out.d[static_cast<std::size_t>(n)]);
  out.r[15] &= ~1u;
  switch (e) {
    case UC_ERR_READ_UNMAPPED:
    case UC_ERR_WRITE_UNMAPPED: result.outcome = Outcome::DataAbort; return result;
    case UC_ERR_INSN_INVALID:
    case UC_ERR_EXCEPTION: result.outcome = Outcome::Undefined; return result;
    default: break;
  }
  // What the reference raised at the instruction's target is none of the case's business.
  const u32 at = out.r[15] - s.r[15];
  if (engine_->exception == k_udef && at >= c.code.size()) engine_->exception = 0;
  switch (engine_->exception) {
    case 0: result.outcome = Outcome::Normal; break;
    case k_udef: result.outcome = Outcome::Undefined; break;
    case k_swi: result.outcome = Outcome::Svc; break;
    case k_prefetch_abort: result.outcome = Outcome::PrefetchAbort; break;
    case k_data_abort: result.outcome = Outcome::DataAbort; break;
    default: result.outcome = Outcome::Lost; break;
  }
  return result;
}

}  // namespace armvisor::oracle
