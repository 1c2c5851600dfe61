#include <algorithm>

#include "base/assert.h"
#include "engine/shared.h"
#include "engine/vcpu.h"

namespace armvisor::engine {

void Shared::reclaim_code() {
  u64 quiet = code.epoch();
  for (const auto& vcpu : vcpus) {
    const u64 epoch = vcpu->quiet_epoch();
    if (epoch < quiet) vcpu->request_attention();
    quiet = std::min(quiet, epoch);
  }
  code.reclaim(quiet);
}

namespace {

class InterpreterEngine final : public Engine, private CodeWatch {
 public:
  explicit InterpreterEngine(const EngineConfig& config) : shared_(config) {
    AV_ASSERT(config.vcpus >= 1 && config.vcpus <= k_max_vcpus);
    for (u32 k = 0; k < config.vcpus; ++k) shared_.vcpus.push_back(std::make_unique<InterpreterVcpu>(shared_, k));
    shared_.ram.set_code_watch(this);
  }
  ~InterpreterEngine() override { shared_.ram.set_code_watch(nullptr); }

  Vcpu& vcpu(u32 index) override { return *shared_.vcpus[index]; }
  u32 vcpu_count() const override { return static_cast<u32>(shared_.vcpus.size()); }

  void rom_changed(GuestPa pa, u64 size) override {
    shared_.code.invalidate(pa, size);
    for (const auto& vcpu : shared_.vcpus)
      vcpu->post({.kind = Request::Kind::FlushAll, .asid = Asid(), .pa = GuestPa()});
  }

  EngineStats stats() const override {
    EngineStats s;
    s.blocks_translated = shared_.code.blocks_published();
    s.invalidations = shared_.code.blocks_killed();
    for (const auto& vcpu : shared_.vcpus) {
      s.guest_instructions += vcpu->instructions();
      s.tlb_refills += vcpu->refills();
    }
    return s;
  }

 private:
  void code_written(GuestPa pa, u32 size) override { shared_.code.written(pa, size); }

  Shared shared_;
};

}  // namespace

std::unique_ptr<Engine> make_interpreter(const EngineConfig& config) {
  return std::make_unique<InterpreterEngine>(config);
}

}  // namespace armvisor::engine
