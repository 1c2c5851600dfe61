#pragma once
// The side tables of compiled blocks: one uop for each IR instruction, for services and precise exceptions, and links.
#include <memory>

#include "engine/block.h"
#include "engine/jit/reloc.h"
#include "ir/ir.h"

namespace armvisor::engine::jit {

/// Where the emitter keeps temp t in memory, and one slot more for a constant operand of a helper.
u32 temp_offset(u32 temp);
/// Where the execute-side table has the page of `pc`, in bytes, and where the context counts how hot `pc` is.
u32 exec_entry_offset(u32 pc);
u32 heat_offset(u32 pc);
inline constexpr u32 k_constant_temp = 0;

/// Null when the block has more temps than the context has room for. Block::code has a uop for each IR instruction that
/// needs one, in order; code[0] lets the interpreter, should it come here, hand the block back to the dispatcher. The
/// others have the block in the place of the handler. `relocs` gets what in the uops moves with the block.
std::unique_ptr<Block> make_tables(const ir::Block& block, u32 key, Relocs& relocs);
inline void set_block(Uop& uop, const Block& block) { uop.handler = &block; }
inline Block* block_of(const Uop& uop) { return static_cast<Block*>(const_cast<void*>(uop.handler)); }
/// A service may be called for the instruction, or the block left at it.
bool needs_uop(const ir::Inst& i);

/// The instruction at `index` is a WriteCpsr with ExitSync behind it. That exit has a link too, for the case that only
/// CPSR.I changed.
bool write_cpsr_links(const ir::Block& block, u32 index);
/// The instruction is an exit with a link. Block::links has them in order.
bool has_link(const ir::Block& block, u32 index);

/// True when no exit continues inside an IT block, so that direct exits may be linked.
bool exits_may_link(const ir::Block& block);
/// Some of its bytes are on another page than its pc.
bool straddles(const ir::Block& block);
/// What is made of `block` can be copied to another virtual address. Not so: a region; a block of two pages, each of
/// which may be anywhere; one that uses a window, whose accesses are chosen by their addresses (window_sites.h); one
/// that looks for debug events, which are at addresses; one with a branch to an absolute address, which may come to be
/// on its page or leave it.
bool can_move(const ir::Block& block, u32 key);

}  // namespace armvisor::engine::jit
