#pragma once
// Code that stands behind the block, for what seldom happens. It is emitted when all of the block's own code is, as of
// where control came from: at the instruction of then, and with the units that were dirty then, which the state of the
// registers by now does not show.
#include <cstring>
#include <type_traits>
#include <vector>

#include "engine/jit/x64/xmm_registers.h"

namespace armvisor::engine::jit {

class ColdPaths {
 public:
  ColdPaths(Position& at, const XmmRegisters& xmm) : at_(at), xmm_(xmm) {}

  /// `emit` is called later. It is kept as bytes: what it captures must be trivial, and little.
  template <class F>
  void add(F emit) {
    list_.emplace_back(emit, at_.index, xmm_.dirty_units());
  }
  void begin_block() {
    list_.clear();
    emitting_ = false;
  }
  void emit_all() {
    emitting_ = true;
    for (std::size_t k = 0; k < list_.size(); ++k) {
      const Path path = list_[k];  // which may add more
      at_.index = path.index;
      dirty_ = path.dirty;
      path.emit(path.closure);
    }
  }
  /// In a cold path, the units that are dirty there; else null. What has stored them may clear them.
  std::vector<DirtyUnit>* dirty() { return emitting_ ? &dirty_ : nullptr; }

 private:
  struct Path {
    template <class F>
    Path(F f, u32 from, std::vector<DirtyUnit> units)
        : emit([](const void* at) { (*static_cast<const F*>(at))(); }), index(from), dirty(std::move(units)) {
      static_assert(sizeof(F) <= sizeof closure && std::is_trivially_copyable_v<F>);
      std::memcpy(closure, &f, sizeof f);
    }
    void (*emit)(const void* at);
    alignas(8) std::byte closure[88];
    u32 index;  ///< Position::index where control comes from
    std::vector<DirtyUnit> dirty;
  };

  Position& at_;
  const XmmRegisters& xmm_;
  std::vector<Path> list_;
  std::vector<DirtyUnit> dirty_;
  bool emitting_ = false;
};

}  // namespace armvisor::engine::jit
