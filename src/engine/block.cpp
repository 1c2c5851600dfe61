#include "engine/block.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <mutex>
#include <new>
#include <type_traits>

#include "base/adaptive_mutex.h"
#include "base/assert.h"

namespace armvisor::engine {
namespace {

/// Room for blocks and their tables, of all machines of the process. What is given back is used again, for the same
/// size, and stays with the process.
class Pool {
 public:
  void* take(std::size_t size) {
    const std::size_t units = units_of(size);
    if (units > k_most_units) return allocate(units * k_unit);
    const std::lock_guard guard(lock_);
    Room*& free = free_[units];
    if (!free && left_ < units) refill();
    if (!free) return cut(units);
    Room* const room = free;
    free = room->next;
    return room;
  }
  void give(void* room, std::size_t size) {
    const std::size_t units = units_of(size);
    if (units > k_most_units) return std::free(room);
    const std::lock_guard guard(lock_);
    free_[units] = new (room) Room{free_[units]};
  }

 private:
  struct Room {
    Room* next;
  };
  static constexpr std::size_t k_unit = alignof(Block), k_most_units = 64, k_chunk_units = (1u << 20) / k_unit;

  static std::size_t units_of(std::size_t size) { return std::max<std::size_t>(1, (size + k_unit - 1) / k_unit); }
  static std::byte* allocate(std::size_t size) {
    void* const bytes = std::aligned_alloc(k_unit, size);
    if (!bytes) throw std::bad_alloc();
    return static_cast<std::byte*>(bytes);
  }
  std::byte* cut(std::size_t units) {
    left_ -= units;
    return chunk_ + left_ * k_unit;
  }
  void refill() {
    if (left_ != 0) {
      const std::size_t units = left_;
      free_[units] = new (cut(units)) Room{free_[units]};
    }
    chunk_ = allocate(k_chunk_units * k_unit);
    left_ = k_chunk_units;
  }

  AdaptiveMutex lock_;
  std::array<Room*, k_most_units + 1> free_{};
  std::byte* chunk_ = nullptr;  ///< what was not given out yet: units from its beginning
  std::size_t left_ = 0;
};

Pool& pool() {
  static Pool* const the_pool = new Pool;  // outlives every machine
  return *the_pool;
}

// (AddressSanitizer is to see each block go.)
#ifdef __SANITIZE_ADDRESS__
constexpr bool k_pooled = false;
#else
constexpr bool k_pooled = true;
#endif

void* take(std::size_t size) {
  return k_pooled ? pool().take(size) : ::operator new(size, std::align_val_t(alignof(Block)));
}

void give(void* room, std::size_t size) {
  if (k_pooled)
    pool().give(room, size);
  else
    ::operator delete(room, std::align_val_t(alignof(Block)));
}

}  // namespace

static_assert(alignof(Uop) >= alignof(Link) && alignof(Link) >= alignof(InsnMark));
static_assert(std::is_trivially_destructible_v<Uop> && std::is_trivially_destructible_v<Link>);

void Block::make_tables(u32 uops, u32 exits, u32 insns) {
  code_count = uops, link_count = exits, mark_count = insns;
  auto* at = static_cast<std::byte*>(take(tables_size()));
  const auto make = [&at]<class T>(T*& table, u32 count) {
    table = reinterpret_cast<T*>(at);
    for (u32 k = 0; k < count; ++k) new (table + k) T;
    at += count * sizeof(T);
  };
  make(code, uops);
  make(links, exits);
  make(marks, insns);
}

Block::~Block() {
  if (code) give(code, tables_size());
}

void* Block::operator new(std::size_t size) {
  AV_ASSERT(size == sizeof(Block));
  return take(size);
}

void Block::operator delete(void* block) {
  if (block) give(block, sizeof(Block));
}

}  // namespace armvisor::engine
