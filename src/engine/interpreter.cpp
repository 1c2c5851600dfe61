#include <sched.h>

#include <algorithm>

#include "base/assert.h"
#include "base/log_once.h"
#include "engine/jit/jit.h"
#include "engine/lower.h"
#include "engine/shared.h"
#include "engine/vcpu.h"

namespace armvisor::engine {

u32 count_host_cpus() {
  cpu_set_t cpus;
  return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? static_cast<u32>(CPU_COUNT(&cpus)) : 1;
}

void Shared::ask_writers(GuestPa pa, u32 asked) {
  for (u32 k = 0; k < vcpus.size(); ++k)
    if (asked >> k & 1) vcpus[k]->post({.kind = Request::Kind::DropWrites, .asid = Asid(), .pa = pa});
}

void Shared::reclaim_code() {
  const u64 now = code.epoch();
  for (const auto& vcpu : vcpus)
    if (vcpu->holder().quiet() < now) vcpu->request_attention();
  holders.reclaim(code);
}

bool Shared::has_spare_cpu() const {
  if (backend->compiles_aside() == Backend::Aside::Always || host_cpus > config.vcpus) return true;
  u32 running = 0;
  for (const auto& vcpu : vcpus) running += vcpu->is_running();
  return running < host_cpus;
}

namespace {

class TranslatingEngine final : public Engine, private WriteWatch {
 public:
  TranslatingEngine(const EngineConfig& config, std::unique_ptr<Backend> backend)
      : shared_(config, std::move(backend)) {
    AV_ASSERT(config.vcpus >= 1 && config.vcpus <= k_max_vcpus);
    if (config.verify) shared_.verifier = std::make_unique<Verifier>();
    for (u32 k = 0; k < config.vcpus; ++k) shared_.vcpus.push_back(std::make_unique<InterpreterVcpu>(shared_, k));
    shared_.ram.set_write_watch(this);
    if (compiles_aside()) shared_.background = BackgroundCompiler::create(shared_);
  }
  ~TranslatingEngine() override { shared_.ram.set_write_watch(nullptr); }

  Vcpu& vcpu(u32 index) override { return *shared_.vcpus[index]; }
  u32 vcpu_count() const override { return static_cast<u32>(shared_.vcpus.size()); }

  void rom_changed(GuestPa pa, u64 size) override {
    shared_.code.invalidate(pa, size);
    for (const auto& vcpu : shared_.vcpus) vcpu->post({.kind = Request::Kind::Forget, .asid = Asid(), .pa = GuestPa()});
  }

  measure::Snapshot stats() const override {
    measure::Snapshot s;
    shared_.code.stats(s);
    s[measure::MachineCounter::HostCapacity] = shared_.backend->capacity();
    const double ns_per_tick = shared_.tick_scale.ns_per_tick();
    for (const auto& vcpu : shared_.vcpus) {
      measure::VcpuSnapshot& v = s.vcpus.emplace_back();
      for (u32 k = 0; k < measure::k_counters; ++k)
        v.counters[k] = vcpu->counters().get(static_cast<measure::Counter>(k));
      v.cpu_ns = vcpu->clock().cpu_ns();
      const auto ticks = vcpu->clock().read();
      for (u32 k = 0; k < measure::k_vcpu_times; ++k)
        v.ns[k] = static_cast<u64>(static_cast<double>(ticks[k]) * ns_per_tick);
    }
    return s;
  }

 private:
  bool compiles_aside() const {
    using Aside = Backend::Aside;
    const Aside when = shared_.backend->compiles_aside();
    const bool may = shared_.backend->cold_runs() != 0 && !shared_.config.translator && !shared_.config.trace;
    return may && (when == Aside::Always || (when == Aside::WithCpu && shared_.host_cpus > 1));
  }

  void watched_written(GuestPa pa, u32 size) override {
    shared_.code.written(pa, size);
    const u32 users = shared_.frames.table_users(pa);
    for (u32 k = 0; k < shared_.vcpus.size(); ++k)
      if (users >> k & 1)
        shared_.vcpus[k]->post({.kind = Request::Kind::DropDerived, .asid = Asid(), .pa = pa, .size = size});
  }

  Shared shared_;
};

}  // namespace

class InterpreterBackend final : public Backend {
 public:
  std::unique_ptr<Block> make(const ir::Block& block, u32 key) override { return lower(block, key); }
  Leave execute(Context* context, Block* block) override { return engine::execute(context, block); }
};

Result<MmuPolicy> parse_mmu_policy(std::string_view name) {
  constexpr std::pair<std::string_view, MmuPolicy> k_names[] = {
#define MMU_POLICY(value, text, help) {text, MmuPolicy::value},
#include "mmu/policies.inc"
#undef MMU_POLICY
  };
  std::string names;
  for (const auto& [text, policy] : k_names) {
    if (name == text) return policy;
    names += (names.empty() ? "" : ", ") + std::string(text);
  }
  return Error{ErrorKind::BadArguments,
               "--mmu: expected one of " + names + ", found '" + std::string(name) + "'; give one of these"};
}

std::unique_ptr<Backend> make_interpreter_backend() { return std::make_unique<InterpreterBackend>(); }

std::unique_ptr<Engine> make_interpreter(const EngineConfig& config) {
  return std::make_unique<TranslatingEngine>(config, make_interpreter_backend());
}

Result<std::unique_ptr<Engine>> make_jit(const EngineConfig& config, const JitOptions& given) {
  JitOptions options = given;
  if (config.verify) {  // regions have no interpreted form, windows no TLB that could be made never to hit
    options.regions = options.windows = options.windows_at_once = false;
    options.warm = 0;
  }
  AV_TRY_ASSIGN(std::unique_ptr<Backend> backend, jit::make_backend(options));
  return std::unique_ptr<Engine>(std::make_unique<TranslatingEngine>(config, std::move(backend)));
}

Result<std::unique_ptr<Engine>> make_engine(std::string_view name, const EngineConfig& config,
                                            const JitOptions& options) {
  if (name == "interp") return make_interpreter(config);
  if (name == "jit") return make_jit(config, options);
  if (name == "auto") {
    auto jit = make_jit(config, options);
    if (jit || config.verify) return jit;
    AV_LOG_ONCE(Warn, "guest code is interpreted: %s", jit.error().message.c_str());
    return make_interpreter(config);
  }
  return Error{ErrorKind::BadArguments, "unknown engine '" + std::string(name) + "'; use interp, jit or auto"};
}

}  // namespace armvisor::engine
