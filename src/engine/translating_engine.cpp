#include "engine/translating_engine.h"

#include "base/assert.h"
#include "engine/shared.h"
#include "engine/vcpu.h"

namespace armvisor::engine {
namespace {

class TranslatingEngine final : public Engine, private WriteWatch {
 public:
  TranslatingEngine(const EngineConfig& config, std::unique_ptr<Backend> backend)
      : shared_(config, std::move(backend)) {
    AV_ASSERT(config.vcpus >= 1 && config.vcpus <= k_max_vcpus);
    if (config.verify) shared_.verifier = std::make_unique<Verifier>();
    for (u32 k = 0; k < config.vcpus; ++k) vcpus_.push_back(std::make_unique<TranslatingVcpu>(shared_, k));
    shared_.ram.set_write_watch(this);
    if (compiles_aside()) shared_.background = BackgroundCompiler::create(shared_);
  }
  ~TranslatingEngine() override {
    shared_.ram.set_write_watch(nullptr);
    shared_.background.reset();  // it asks the vCPUs
  }

  Vcpu& vcpu(u32 index) override { return *vcpus_[index]; }
  u32 vcpu_count() const override { return static_cast<u32>(vcpus_.size()); }

  void rom_changed(GuestPa pa, u64 size) override {
    shared_.code.invalidate(pa, size);
    for (Inbox* const inbox : shared_.inboxes)
      inbox->post({.kind = Request::Kind::Forget, .asid = Asid(), .pa = GuestPa()});
  }

  void set_debug_stops(arm::ExternalStops stops) override {
    shared_.stops.change(std::move(stops), [this](std::span<const u32> pages) { shared_.code.drop_pages(pages); });
  }

  void await_compiler() override {
    if (shared_.background) shared_.background->await_idle();
  }

  measure::Snapshot stats() const override {
    measure::Snapshot s;
    shared_.code.stats(s);
    if (shared_.background) shared_.background->stats(s);
    s[measure::MachineCounter::HostCapacity] = shared_.backend->capacity();
    const double ns_per_tick = shared_.tick_scale.ns_per_tick();
    for (const auto& vcpu : vcpus_) {
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
    for (u32 k = 0; k < vcpus_.size(); ++k)
      if (users >> k & 1)
        shared_.inboxes[k]->post({.kind = Request::Kind::DropDerived, .asid = Asid(), .pa = pa, .size = size});
  }

  Shared shared_;
  std::vector<std::unique_ptr<TranslatingVcpu>> vcpus_;
};

}  // namespace

std::unique_ptr<Engine> make_translating_engine(const EngineConfig& config, std::unique_ptr<Backend> backend) {
  return std::make_unique<TranslatingEngine>(config, std::move(backend));
}

}  // namespace armvisor::engine
