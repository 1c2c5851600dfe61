#pragma once
// What of a compiled block depends on where the block is. Whoever emits such a field declares it here; everything else
// in a block is the same wherever it lies, so a block is moved by copying it and making these fields anew (move.h).
#include <vector>

#include "base/types.h"

namespace armvisor::engine::jit {

struct Reloc {
  enum class Kind : u8 {
    // In generated code: `at` is an offset into it.
    Pc,         ///< 32 bits: a guest address that keeps its distance from Block::pc
    ExecEntry,  ///< 32 bits: offset of the entry for the page of link `of` in Space::exec
    Heat,       ///< 32 bits: offset of the counter for the target of link `of` in the context
    Stub,       ///< 32 bits: displacement from the byte behind it to code that is no part of the block
    Uop,        ///< 64 bits: address of uop `of`
    Link,       ///< 64 bits: address of link `of`
    // In the block's tables: `at` is the number of a uop, whose imm or disp is such an address as Pc.
    UopImm,
    UopDisp,
  };
  u32 at;
  u16 of;
  Kind kind;
  bool operator==(const Reloc&) const = default;
};
using Relocs = std::vector<Reloc>;

}  // namespace armvisor::engine::jit
