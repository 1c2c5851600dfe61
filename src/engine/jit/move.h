#pragma once
// Code that is known at one virtual address is moved to another instead of being translated again: programs that are
// loaded at random addresses, as Linux does by default, run the same frames at other addresses each time. What has to
// change is what the block declares (reloc.h).
#include <memory>
#include <string>

#include "engine/block.h"
#include "engine/jit/code_generator.h"

namespace armvisor::engine::jit {

/// A copy of `from`, which has relocations, for `pc`, whose generated code will stand at `exec` and can be written at
/// `rw`. The two addresses are at the same place in their pages.
std::unique_ptr<Block> move(const CodeGenerator& generator, const Block& from, u32 pc, u8* rw, const u8* exec);

/// Empty, or the first difference between two blocks of the same pc, which have relocations and are not linked: they
/// must be equal but for the places of their code and tables.
std::string difference(const CodeGenerator& generator, const Block& a, const Block& b);

}  // namespace armvisor::engine::jit
