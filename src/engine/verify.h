#pragma once
// What the vCPUs of a machine share for --verify; see verify.cpp.
#include <atomic>
#include <mutex>

#include "base/types.h"

namespace armvisor::engine {

struct Verifier {
  Verifier() = default;
  Verifier(const Verifier&) = delete;
  ~Verifier();  ///< says on stderr what was compared

  std::mutex turn;  ///< held while a vCPU runs a block, twice
  std::atomic<u64> agreed{0}, differed{0}, raced{0}, cut{0};
};

}  // namespace armvisor::engine
