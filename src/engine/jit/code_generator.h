#pragma once
// What is written anew for each instruction set of a host: the code shared by all blocks, the code of one block, and the
// fields in it that change. All else about compiled code is the Compiler's and knows no instruction set: where code
// lies, what is linked to what, when a block is copied or freed. docs/engine/code-generator.md says what another
// generator has to provide.
//
// Code is written at one address and executed at another (code_memory.h): "rw" and "exec" below.
#include <memory>
#include <span>

#include "engine/block.h"
#include "engine/engine.h"
#include "engine/jit/reloc.h"
#include "engine/jit/window_sites.h"
#include "ir/ir.h"

namespace armvisor::engine::jit {

/// Offsets in the code of a block; a size of 0 says that there was not enough room.
struct Emitted {
  std::size_t size = 0;
  std::size_t linked_entry = 0;  ///< where links and indirect branches enter, which vouch for the first page only
  std::size_t window_table = 0;  ///< see CodeGenerator::watch_window(); 0: there is none
};

/// Makes code, for one thread at a time.
class BlockEmitter {
 public:
  virtual ~BlockEmitter() = default;
  /// Emits `block` at the start of `rw`. `out` has its tables (side_tables.h): each Link with `same_page` gets `patch`,
  /// the 4-byte aligned place of the 32 bits by which its exit jumps, and `unlinked`, what they are while it is not
  /// linked. `relocs` gets all that depends on where the block is; those fields have no value yet, but for guest
  /// addresses, which are those of `block`. The latter are complete if jit::can_move.
  virtual Emitted emit(std::span<u8> rw, const ir::Block& block, Block& out, Relocs& relocs) = 0;
};

class CodeGenerator {
 public:
  /// What C++ must know of the code that all blocks share, by offset.
  struct Shared {
    std::size_t size = 0;
    std::size_t lookup = 0;  ///< leaves with Leave::Lookup; Context's PC is the next instruction
    std::size_t miss = 0;    ///< likewise, for a jump whose target is where generated code passes it
  };

  virtual ~CodeGenerator() = default;

  /// Blocks may use host-MMU windows: code in [exec, exec + size) may fault there. Called before emit_shared(), or not
  /// at all. False: this host has none.
  virtual bool start_windows(const u8* /*exec*/, std::size_t /*size*/) { return false; }
  /// Once: the shared code, at `rw`, which is the start of the code memory and stays there.
  virtual Shared emit_shared(std::span<u8> rw, const u8* exec) = 0;
  /// (any thread)
  virtual std::unique_ptr<BlockEmitter> make_emitter(const WindowSites& sites) const = 0;

  /// (any thread) `code` is the code of `block`, emitted, or copied from a block whose pc was `by` less: writes the
  /// fields `relocs`, for a block that is executed at block.host.
  virtual void place(u8* code, const Relocs& relocs, const Block& block, u32 by) const = 0;
  /// (any thread) The bits at Link::patch, executed at `exec`, by which the exit jumps to `target`. They are stored while
  /// other threads run through them.
  virtual s32 jump(const u8* exec, const void* target) const = 0;
  /// (any thread) Code in [exec, exec + size) has been written.
  virtual void flush(const u8* exec, std::size_t size) const = 0;

  /// Runs from `code` on. Afterwards the guest's state is in the context, with nothing of it left in the host.
  virtual Leave run(Context* context, const void* code) const = 0;

  // Of a generator that has started windows.
  /// Blocks with k_key_window that this thread runs from now on use the window at `base`.
  virtual void use_window(u64 /*base*/) const {}
  /// The block whose code is in [exec, exec + size) has a table of its accesses at `table`; null: none any more.
  virtual void watch_window(const u8* /*exec*/, std::size_t /*size*/, const u8* /*table*/) {}
};

/// The one for this host.
std::unique_ptr<CodeGenerator> make_code_generator(const JitOptions& options);

}  // namespace armvisor::engine::jit
