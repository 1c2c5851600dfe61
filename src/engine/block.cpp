#include "engine/block.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <mutex>
#include <new>
#include <type_traits>
#include <utility>

#include "base/adaptive_mutex.h"
#include "base/assert.h"
#include "base/fd.h"

namespace armvisor::engine {
namespace {

/// Room for blocks and their tables, of all machines of the process. What is given back is used again, for the same
/// size, and stays with the process. Beyond k_bytes, and for what is large, the C library serves.
class Pool {
 public:
  void* take(std::size_t size) {
    const std::size_t units = units_of(size);
    {
      const std::lock_guard guard(lock_);
      if (units <= k_most_units && free_[units]) return std::exchange(free_[units], free_[units]->next);
      if (units <= k_most_units && left_ >= units) return reserved_.data() + (left_ -= units) * k_unit;
    }
    void* const room = std::aligned_alloc(k_unit, units * k_unit);
    if (!room) throw std::bad_alloc();
    return room;
  }
  void give(void* room, std::size_t size) {
    const std::size_t offset = static_cast<std::size_t>(static_cast<std::byte*>(room) - begin());
    if (offset >= reserved_.size()) return std::free(room);
    const std::lock_guard guard(lock_);
    Room*& free = free_[units_of(size)];
    free = new (room) Room{free};
  }

 private:
  struct Room {
    Room* next;
  };
  static constexpr std::size_t k_unit = alignof(Block), k_most_units = 32, k_bytes = 256u << 20;

  static std::size_t units_of(std::size_t size) { return std::max<std::size_t>(1, (size + k_unit - 1) / k_unit); }
  std::byte* begin() const { return reinterpret_cast<std::byte*>(reserved_.data()); }
  static Mapping reserve() {
    void* const p =
        ::mmap(nullptr, k_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? Mapping() : Mapping(p, k_bytes);
  }

  AdaptiveMutex lock_;
  const Mapping reserved_ = reserve();
  std::size_t left_ = reserved_.size() / k_unit;  ///< units at its beginning that were not given out yet
  std::array<Room*, k_most_units + 1> free_{};
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
