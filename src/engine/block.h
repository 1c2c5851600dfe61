#pragma once
// Lowered blocks, shared by all vCPUs. A block is immutable once published but for its links, its exec_id, how often it
// was interpreted, and what the code cache keeps in it.
#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/types.h"
#include "engine/uop.h"
#include "frontend/translate.h"

namespace armvisor::engine {

struct Block;

namespace jit {
struct Reloc;
}

/// A direct exit. `target` is set when the target is known and cleared when it is invalidated.
struct Link {
  std::atomic<Block*> target{nullptr};
  Block* owner = nullptr;
  u32 pc = 0;
  // Generated code: where the displacement of the exit's jump is written, and its value while not linked.
  u8* patch = nullptr;
  s32 unlinked = 0;
  bool same_page = false;  ///< target lies in the owner's page: its translation needs no check
};

/// Where a guest instruction begins among the uops, for precise exceptions.
struct InsnMark {
  u16 first_uop;
  s16 offset;  ///< from the block's pc
  u8 bytes;
  u8 it;  ///< ITSTATE of the instruction
};

/// In a block's key, beside frontend::Context's bits: its accesses go by way of a host-MMU window.
inline constexpr u32 k_key_window = 1u << 31;
/// Instead of a Views::window: a window is to be made first; no entry is to be made without C++.
inline constexpr u64 k_window_wanted = 1, k_no_window_ready = ~u64{0};

/// Likewise: the block depends on the bits Context::k_fp_key of its key. Other blocks have zeros there.
inline constexpr u32 k_key_fp = 1u << 30;
/// What is equal in the keys of all blocks that could serve a context.
constexpr u32 base_key(u32 key) { return key & ~(k_key_fp | frontend::Context::k_fp_key); }

/// Of a block that was translated for the context of `key`.
constexpr u32 block_key(u32 key, bool fp) { return fp ? key | k_key_fp : base_key(key); }

inline constexpr u32 k_stays_interpreted = ~u32{0};  ///< Block::cold_runs of blocks that are not to be compiled, or are

inline constexpr u64 k_dead_block = ~u64{0} - 1;  ///< equals no entry of the execute-side TLB
inline constexpr GuestPa k_no_page{~u64{0}};

// What the parts of the code cache (engine/code) keep in a block. Each is its part's alone, under the cache's lock; only
// a search reads IndexHook without.

class IndexHook {
  friend class BlockIndex;
  std::atomic<Block*> next_{nullptr};  ///< of the same hash; of a dead block, what that was
};

class FamilyHook {
  friend class CopyFamilies;
  Block *older_ = nullptr, *newer_ = nullptr;  ///< a ring: behind the oldest comes the newest
  Block* next_family_ = nullptr;               ///< of the newest: that of another family of the same hash
  u8 count_ = 0;                               ///< of the newest: how many there are
};

class PageHook {
  friend class PageIndex;
  u32 places_[2] = {0, 0};  ///< in the lists of the first and of the second page
};

class ColdHook {
  friend class ColdList;
  Block *colder_ = nullptr, *warmer_ = nullptr;  ///< neighbours
  u32 runs_seen_ = 0;                            ///< Block::cold_runs, when the list was last looked through
};

class LinkHook {
  friend class BlockLinks;
  std::vector<Link*> incoming_;  ///< that lead here
};

class DeathHook {
 public:
  bool has_come() const { return epoch_ != 0; }
  u64 epoch() const { return epoch_; }

 private:
  friend class DeadBlocks;
  u64 epoch_ = 0;  ///< in which the block died; 0: it lives
};

struct alignas(64) Block {
  Block() = default;
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // From a pool, like its tables: there are hundreds of thousands. The C library is slow where it has to align, and
  // asks the host for each page.
  static void* operator new(std::size_t size);
  static void operator delete(void* block);

  // What a search looks at, in one line of the host's cache.
  u32 pc = 0;
  u32 key = 0;  ///< frontend::Context::key(), and k_key_window
  /// What the execute-side TLB must hold for pc's page if this block is what pc means: mmu::exec_id, or k_dead_block.
  std::atomic<u64> exec_id{k_dead_block};
  const void* host = nullptr;  ///< generated code, executable address; see jit/compiler.h
  /// Where indirect branches find it: `linked`, or when the block is dead or not compiled what leads to the dispatcher.
  std::atomic<const void*> indirect{nullptr};
  GuestPa pa;
  GuestPa second_page = k_no_page;  ///< frame of the second page of a block that straddles two
  IndexHook index;
  /// Where other generated code enters it, which vouches for pc's page only: `host`, but for a block that straddles two
  /// pages code that looks at the second page first.
  const void* linked = nullptr;
  u64 second_id = 0;  ///< of such a block: what the execute-side TLB must hold for the second page, mmu::exec_id
  u16 insn_count = 0;
  u16 before = 0;  ///< bytes of a region that lie before pc
  u32 bytes = 0;   ///< from pc - before
  u32 host_size = 0;
  u32 code_count = 0, link_count = 0, mark_count = 0;
  /// Interpreted at first: how often it may still run so. At 0 the dispatcher has it compiled.
  std::atomic<u32> cold_runs{k_stays_interpreted};
  std::atomic<bool> offered{false};    ///< to the background compiler
  std::atomic<bool> no_region{false};  ///< none is to be tried here (again)
  bool compiled = false;
  bool region = false;  ///< compiled from several blocks (region.h)

  PageHook page;
  FamilyHook family;
  ColdHook cold;
  LinkHook linking;
  DeathHook death;

  // In one piece of memory, which begins with `code`.
  Uop* code = nullptr;
  Link* links = nullptr;
  InsnMark* marks = nullptr;
  u8* patch_base = nullptr;  ///< where `host` can be written
  /// Of a compiled block that can be moved (jit/reloc.h); its copies have the same.
  std::shared_ptr<const std::vector<jit::Reloc>> relocs;
  std::unique_ptr<Block> twin;  ///< with --verify: the interpreted form of a compiled block

  /// Once: room for so many of each, and they are made.
  void make_tables(u32 uops, u32 exits, u32 insns);
  std::size_t tables_size() const {
    return code_count * sizeof(Uop) + link_count * sizeof(Link) + mark_count * sizeof(InsnMark);
  }
  bool may_get_hot() const { return cold_runs.load(std::memory_order_relaxed) != k_stays_interpreted; }
  /// Has been interpreted as often as it may.
  bool is_hot() const { return cold_runs.load(std::memory_order_relaxed) == 0; }
  /// It is a translation for the context of `wanted`, a key without k_key_fp.
  bool serves(u32 wanted) const { return key == (wanted | k_key_fp) || key == base_key(wanted); }
  /// Backend::move() can copy it to another virtual address.
  bool can_move() const { return relocs != nullptr; }
  /// Can only be where it is, so it counts as no copy of the others of its bytes.
  bool is_fixed() const { return region || straddles(); }
  bool straddles() const { return second_page != k_no_page; }
  const InsnMark& mark_of(const Uop* at) const {
    const auto uop = static_cast<u32>(at - code);
    u32 k = mark_count - 1;
    while (k > 0 && marks[k].first_uop > uop) --k;
    return marks[k];
  }
  u64 footprint() const { return sizeof(Block) + tables_size() + host_size + 16; }
};

}  // namespace armvisor::engine
