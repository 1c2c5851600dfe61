// Engines and policies by the names that a user gives.
#include <fmt/core.h>

#include "base/log_once.h"
#include "engine/jit/code_memory.h"
#include "engine/jit/jit.h"
#include "engine/translating_engine.h"

namespace armvisor::engine {

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
               fmt::format("--mmu: expected one of {}, found '{}'; give one of these", names, name)};
}

std::shared_ptr<jit::KeptCodeMemory> keep_code_memory() { return std::make_shared<jit::KeptCodeMemory>(); }

std::unique_ptr<Engine> make_interpreter(const EngineConfig& config) {
  return make_translating_engine(config, make_interpreter_backend());
}

Result<std::unique_ptr<Engine>> make_jit(const EngineConfig& config, const JitOptions& given) {
  JitOptions options = given;
  if (config.verify) {  // regions have no interpreted form, windows no TLB that could be made never to hit
    options.regions = options.windows = options.windows_at_once = false;
    options.warm = 0;
  }
  AV_TRY_ASSIGN(std::unique_ptr<Backend> backend, jit::make_backend(options));
  return make_translating_engine(config, std::move(backend));
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
  return Error{ErrorKind::BadArguments, fmt::format("unknown engine '{}'; use interp, jit or auto", name)};
}

}  // namespace armvisor::engine
