#include "engine/block.h"

#include <cstdlib>
#include <mutex>
#include <new>
#include <type_traits>

#include "base/adaptive_mutex.h"
#include "base/assert.h"

namespace armvisor::engine {
namespace {

/// Room for blocks of all machines of the process. What is given back is used again and stays with the process.
class BlockPool {
 public:
  void* take() {
    const std::lock_guard guard(lock_);
    if (!free_) refill();
    Room* const room = free_;
    free_ = room->next;
    return room;
  }
  void give(void* block) {
    const std::lock_guard guard(lock_);
    free_ = new (block) Room{free_};
  }

 private:
  struct Room {
    Room* next;
  };
  static constexpr std::size_t k_at_once = 256;

  void refill() {
    auto* const bytes = static_cast<std::byte*>(std::aligned_alloc(alignof(Block), k_at_once * sizeof(Block)));
    if (!bytes) throw std::bad_alloc();
    for (std::size_t k = k_at_once; k-- > 0;) free_ = new (bytes + k * sizeof(Block)) Room{free_};
  }

  AdaptiveMutex lock_;
  Room* free_ = nullptr;
};

BlockPool& pool() {
  static BlockPool* const the_pool = new BlockPool;  // outlives every machine
  return *the_pool;
}

}  // namespace

// (AddressSanitizer is to see each block go.)
#ifdef __SANITIZE_ADDRESS__
constexpr bool k_pooled = false;
#else
constexpr bool k_pooled = true;
#endif

static_assert(alignof(Uop) >= alignof(Link) && alignof(Link) >= alignof(InsnMark));
static_assert(std::is_trivially_destructible_v<Uop> && std::is_trivially_destructible_v<Link>);

void Block::make_tables(u32 uops, u32 exits, u32 insns) {
  code_count = uops, link_count = exits, mark_count = insns;
  tables =
      std::make_unique_for_overwrite<std::byte[]>(uops * sizeof(Uop) + exits * sizeof(Link) + insns * sizeof(InsnMark));
  std::byte* at = tables.get();
  const auto make = [&at]<class T>(T*& table, u32 count) {
    table = reinterpret_cast<T*>(at);
    for (u32 k = 0; k < count; ++k) new (table + k) T;
    at += count * sizeof(T);
  };
  make(code, uops);
  make(links, exits);
  make(marks, insns);
}

void* Block::operator new(std::size_t size) {
  AV_ASSERT(size == sizeof(Block));
  return k_pooled ? pool().take() : ::operator new(size, std::align_val_t(alignof(Block)));
}

void Block::operator delete(void* block) {
  if (!block) return;
  if (k_pooled)
    pool().give(block);
  else
    ::operator delete(block, std::align_val_t(alignof(Block)));
}

}  // namespace armvisor::engine
