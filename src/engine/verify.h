#pragma once
// What the vCPUs of a machine share for --verify; see verify.cpp.
#include <atomic>
#include <mutex>
#include <span>

#include "base/types.h"
#include "frontend/translate.h"

namespace armvisor::engine {

class Backend;
struct Block;

struct Verifier {
  Verifier() = default;
  Verifier(const Verifier&) = delete;
  ~Verifier();  ///< says on stderr what was compared

  /// (any thread) `block`, which can be moved, was made of `bytes` for `context`. Moved to another address it must be
  /// what is made of the translation for that address: that it is not is our own mistake.
  void check_move(Backend& backend, const Block& block, const frontend::Context& context, std::span<const u8> bytes);

  std::mutex turn;  ///< held while a vCPU runs a block, twice
  std::atomic<u64> agreed{0}, differed{0}, raced{0}, cut{0}, moves{0};
};

}  // namespace armvisor::engine
