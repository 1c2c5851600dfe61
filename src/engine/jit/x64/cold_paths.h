#pragma once
// Code that stands behind the block, for what seldom happens. It is emitted when all of the block's own code is, with the
// dirty units where control came from, which the state of the registers by then does not show.
#include <cstring>
#include <type_traits>
#include <vector>

#include "engine/jit/x64/xmm_registers.h"

namespace armvisor::engine::jit {

class ColdPaths {
 public:
  explicit ColdPaths(const XmmRegisters& xmm) : xmm_(xmm) {}

  /// `emit` is called later. It is kept as bytes: what it captures must be trivial, and little.
  template <class F>
  void add(F emit) {
    list_.emplace_back(emit, xmm_.dirty_units());
  }
  void begin_block() {
    list_.clear();
    emitting_ = false;
  }
  void emit_all() {
    emitting_ = true;
    for (std::size_t k = 0; k < list_.size(); ++k) {
      const Path path = list_[k];  // which may add more
      dirty_ = path.dirty;
      path.emit(path.closure);
    }
  }
  /// In a cold path, the units that are dirty there; else null. What has stored them may clear them.
  std::vector<DirtyUnit>* dirty() { return emitting_ ? &dirty_ : nullptr; }

 private:
  struct Path {
    template <class F>
    Path(F f, std::vector<DirtyUnit> units)
        : emit([](const void* at) { (*static_cast<const F*>(at))(); }), dirty(std::move(units)) {
      static_assert(sizeof(F) <= sizeof closure && std::is_trivially_copyable_v<F>);
      std::memcpy(closure, &f, sizeof f);
    }
    void (*emit)(const void* at);
    alignas(8) std::byte closure[88];
    std::vector<DirtyUnit> dirty;  ///< where control comes from
  };

  const XmmRegisters& xmm_;
  std::vector<Path> list_;
  std::vector<DirtyUnit> dirty_;
  bool emitting_ = false;
};

}  // namespace armvisor::engine::jit
