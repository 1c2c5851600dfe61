#pragma once
// Code that is known at one virtual address is moved to another instead of being translated again: programs that are
// loaded at random addresses, as Linux does by default, run the same frames at other addresses each time.
//
// What has to change is found by comparison, not told by the code generator. When the same bytes are translated for a
// second address, everything in which the two blocks differ must be explained by where they are: by the program
// counter, by the place of the generated code or by that of the block's tables. That is the block's recipe. The third
// translation must come to the same recipe; only then are further ones made by it. A block that differs in any other
// way is translated each time.
#include <memory>
#include <vector>

#include "engine/block.h"

namespace armvisor::engine::jit {

struct Recipe {
  enum class Kind : u8 {
    Pc,       ///< 32 bits that move with the program counter
    Outside,  ///< displacement from the block's code to code that stays where it is
    Uop,      ///< 64-bit address of one of the block's uops, of one of its links
    Link,
  };
  struct Fix {
    u32 at;
    Kind kind;
    bool operator==(const Fix&) const = default;
  };
  std::vector<Fix> code;   ///< by offset into the generated code
  std::vector<u32> imms;   ///< uops whose imm moves
  std::vector<u32> disps;  ///< uops whose disp moves
  bool usable = false;     ///< the differences are explained
  bool confirmed = false;  ///< by a further translation
  bool operator==(const Recipe& o) const { return code == o.code && imms == o.imms && disps == o.disps; }
};

/// Code that all blocks refer to: [begin, end).
struct FixedCode {
  const u8 *begin, *end;
};

/// How `b` differs from `a`, which was made from the same bytes under the same key for another address.
std::shared_ptr<const Recipe> compare(const Block& a, const Block& b, const FixedCode& fixed);

/// A copy of `from` for `pc`, whose generated code will stand at `exec` and can be written at `rw`.
std::unique_ptr<Block> move(const Block& from, u32 pc, u8* rw, const u8* exec);

}  // namespace armvisor::engine::jit
