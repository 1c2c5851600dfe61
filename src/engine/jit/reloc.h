#pragma once
// What of a compiled block depends on where the block is. Whoever emits such a field declares it here; everything else
// in a block is the same wherever it lies, so a block is moved by copying it and making these fields anew (move.h).
// A field names what it stands for by number or by offset, so what it holds follows from the block and from here; only
// a guest address is what the field says.
#include <cstring>
#include <vector>

#include "base/types.h"

namespace armvisor::engine {
struct Block;
}

namespace armvisor::engine::jit {

struct Reloc {
  enum class Kind : u8 {
    // In generated code: `at` is an offset into it.
    Pc,          ///< a guest address that keeps its distance from Block::pc
    Stub,        ///< code at `of` from the start of the code memory, as a jump or call names it
    ExecEntry,   ///< 32 bits: offset of the entry for the page of link `of` in Space::exec
    Heat,        ///< 32 bits: offset of the counter for the target of link `of` in the context
    Uop,         ///< 64 bits: address of uop `of`
    Link,        ///< 64 bits: address of link `of`
    SecondPage,  ///< 64 bits: address of Block::second_id
    // In the block's tables: `at` is the number of a uop, whose imm or disp is such an address as Pc.
    UopImm,
    UopDisp,
  };
  u32 at;
  u16 of;
  Kind kind;
  bool in_code() const { return kind < Kind::UopImm; }
  bool operator==(const Reloc&) const = default;
};
using Relocs = std::vector<Reloc>;

/// What a field holds that neither a host's instructions nor their place have a part in: kinds ExecEntry to SecondPage.
u64 value_of(const Reloc& reloc, const Block& block);

/// A field of plain bytes.
template <class T>
T read_field(const u8* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <class T>
void write_field(u8* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

}  // namespace armvisor::engine::jit
