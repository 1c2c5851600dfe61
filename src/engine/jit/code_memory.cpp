#include "engine/jit/code_memory.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>

#include "base/host_error.h"

namespace armvisor::engine::jit {
namespace {

Error no_memory(std::size_t size) {
  return host_error(fmt::format("generated code: expected to map {} MiB", size >> 20), errno, "use --engine interp");
}

}  // namespace

Result<CodeMemory> CodeMemory::create(std::size_t size) {
  CodeMemory m;
  constexpr int k_flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
  void* const rw = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, k_flags, -1, 0);
  if (rw == MAP_FAILED) return no_memory(size);
  m.rw_ = Mapping(rw, size);
  // A shared mapping remapped from size 0 is there twice; perf takes it for a JIT's, as it would not a memfd.
  void* const rx = ::mremap(rw, 0, size, MREMAP_MAYMOVE);
  if (rx == MAP_FAILED) return no_memory(size);
  m.rx_ = Mapping(rx, size);
  if (::mprotect(rx, size, PROT_READ | PROT_EXEC) != 0) return no_memory(size);
  m.free_[0] = size;
  return m;
}

void CodeMemory::clear() {
  ::madvise(rw_.data(), rw_.size(), MADV_REMOVE);
  free_.clear();
  free_[0] = rw_.size();
  used_ = next_ = 0;
}

Result<CodeMemory> KeptCodeMemory::take(std::size_t size) {
  const std::lock_guard guard(mutex_);
  std::optional<CodeMemory> memory;
  memory.swap(kept_);
  if (!memory || memory->size() != size) return CodeMemory::create(size);
  return *std::move(memory);
}

void KeptCodeMemory::give_back(CodeMemory memory) {
  memory.clear();
  const std::lock_guard guard(mutex_);
  kept_.emplace(std::move(memory));
}

u8* CodeMemory::allocate(std::size_t& size, std::size_t most) {
  size = rounded(size);
  if (free_.empty()) return nullptr;
  const auto last = std::prev(free_.end());
  auto it = free_.lower_bound(next_);
  for (u32 tried = 0; tried < k_tries && free_.size() > 1; ++tried, ++it) {
    if (it == free_.end() || it == last) it = free_.begin();
    next_ = it->first + it->second;
    if (it->second >= size) return take(it, size, most);
  }
  if (last->second >= size) return take(last, size, most);
  it = std::find_if(free_.begin(), free_.end(), [size](const auto& hole) { return hole.second >= size; });
  return it != free_.end() ? take(it, size, most) : nullptr;
}

u8* CodeMemory::take(Holes::iterator hole, std::size_t& size, std::size_t most) {
  const auto [at, length] = *hole;
  size = std::clamp(length, size, std::max(size, rounded(most)));
  const auto next = free_.erase(hole);
  if (size != length) free_.emplace_hint(next, at + size, length - size);
  used_ += size;
  return rw_.data() + at;
}

void CodeMemory::release(u8* rw, std::size_t size) {
  size = rounded(size);
  used_ -= size;
  std::size_t at = static_cast<std::size_t>(rw - rw_.data());
  auto next = free_.upper_bound(at);
  if (next != free_.end() && next->first == at + size) {
    size += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == at) {
      before->second += size;
      return;
    }
  }
  free_.emplace_hint(next, at, size);
}

}  // namespace armvisor::engine::jit
