#pragma once
// The compiling back end, for hosts that have a code generator.
#include "engine/backend.h"
#include "engine/engine.h"

namespace armvisor::engine::jit {

Result<std::unique_ptr<Backend>> make_backend(const JitOptions& options);

}  // namespace armvisor::engine::jit
