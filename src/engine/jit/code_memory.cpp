#include "engine/jit/code_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace armvisor::engine::jit {
namespace {

Error no_memory(std::size_t size) {
  return {ErrorKind::HostResource, "cannot map " + std::to_string(size >> 20) + " MiB for generated code: " +
                                       std::strerror(errno) + "; use --engine interp, or raise the memory limit"};
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

u8* CodeMemory::allocate(std::size_t& size, std::size_t most) {
  size = rounded(size);
  auto it = free_.lower_bound(next_);
  for (std::size_t tried = 0; tried <= free_.size(); ++tried, ++it) {
    if (it == free_.end()) it = free_.begin();
    if (it == free_.end()) return nullptr;
    if (it->second < size) continue;
    size = std::clamp(it->second, size, std::max(size, rounded(most)));
    const std::size_t at = it->first, left = it->second - size;
    free_.erase(it);
    if (left != 0) free_[at + size] = left;
    next_ = at + size;
    used_ += size;
    return rw_.data() + at;
  }
  return nullptr;
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
      at = before->first;
      size += before->second;
    }
  }
  free_[at] = size;
  if (at < next_ && next_ <= at + size) next_ = at;  // what the next search is to begin with is part of it
}

}  // namespace armvisor::engine::jit
