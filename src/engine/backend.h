#pragma once
// How blocks are made and run: the part of an engine that differs between interpreting IR and compiling it. The
// dispatcher, memory, system registers and the code cache are the same for all.
#include <memory>
#include <string>

#include "base/assert.h"
#include "engine/block.h"
#include "engine/uop.h"
#include "ir/ir.h"

namespace armvisor::engine {

struct Context;

class Backend {
 public:
  virtual ~Backend() = default;
  /// (any thread) Null when the block uses more temps than the context has room for; not compiled when there is no room
  /// for code, and then null if it is a region.
  virtual std::unique_ptr<Block> make(const ir::Block& block, u32 key) = 0;
  /// How often a block is interpreted before it is compiled, if that comes first; 0: blocks are made at once.
  virtual u32 cold_runs() const { return 0; }
  /// Like make(), for the first `runs` runs.
  virtual std::unique_ptr<Block> make_cold(const ir::Block&, u32, u32) { AV_UNREACHABLE(); }
  /// `known`, which can_move(), copied to `pc`; null when there is no room for code.
  virtual std::unique_ptr<Block> move(const Block&, u32) { AV_UNREACHABLE(); }
  /// Empty, or how `block` moved to `elsewhere.pc` differs from what is made of `elsewhere`, which was translated there
  /// from the same bytes. For tests and --verify.
  virtual std::string check_move(const Block&, const ir::Block&) { return {}; }
  /// Runs from `block` on until something needs the dispatcher.
  virtual Leave execute(Context* context, Block* block) = 0;

  /// Goes on behind the instruction that left with Leave::Emulate.
  virtual Leave resume(Context*) { AV_UNREACHABLE(); }

  // Called with the code cache's lock held.
  virtual void link(Link&, const Block&) {}  ///< Link::target has been set
  virtual void unlink(Link&) {}              ///< Link::target has been cleared
  virtual void retire(Block&) {}             ///< the block is dead
  virtual void release(Block&) {}            ///< no vCPU can be in the block any more
  /// Dispatch::instructions is of all of them.
  virtual bool counts_instructions() const { return true; }
  /// vCPUs that spin are to give their host CPU away, if there are fewer of these.
  virtual bool yields_spinners() const { return true; }
  /// When another thread than the vCPUs' makes blocks: if the host has a CPU for it, or always.
  enum class Aside : u8 { Never, WithCpu, Always };
  virtual Aside compiles_aside() const { return Aside::Never; }
  /// How often a loop runs before it is compiled as a whole.
  virtual u32 hot() const { return 0; }

  // Host-MMU windows (windows.cpp).
  enum class Windows : u8 { Off, On, AtOnce };
  virtual Windows windows() const { return Windows::Off; }
  /// Blocks with k_key_window that this thread runs from now on use the window at `base`.
  virtual void use_window(u64) {}
  /// (any thread) The instruction at `pc` missed where no window can help. True: blocks with it must go, and those made
  /// next will not use a window for it.
  virtual bool avoid_window(u32) { return false; }

  /// There is no room for more code: some should be invalidated.
  virtual bool over_limit() const { return false; }
  virtual u64 capacity() const { return 0; }  ///< bytes of host code
};

std::unique_ptr<Backend> make_interpreter_backend();

}  // namespace armvisor::engine
