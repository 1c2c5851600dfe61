#pragma once
// The engine whose vCPUs translate guest code to IR and have a back end run it: interpreted or compiled.
#include <memory>

#include "engine/backend.h"
#include "engine/engine.h"

namespace armvisor::engine {

std::unique_ptr<Engine> make_translating_engine(const EngineConfig& config, std::unique_ptr<Backend> backend);

}  // namespace armvisor::engine
