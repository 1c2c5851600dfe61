#pragma once
// Memory for generated code: one piece mapped twice, so that no address is ever writable and executable at once.
#include <map>
#include <mutex>
#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor::engine::jit {

class CodeMemory {
  static constexpr std::size_t k_grain = 64;

 public:
  static Result<CodeMemory> create(std::size_t size);

  /// What an allocation of `size` bytes takes.
  static std::size_t rounded(std::size_t size) { return (size + k_grain - 1) / k_grain * k_grain; }

  u8* rw() const { return rw_.data(); }
  const u8* to_exec(const u8* rw) const { return rx_.data() + (rw - rw_.data()); }
  u8* to_rw(const void* exec) const { return rw_.data() + (static_cast<const u8*>(exec) - rx_.data()); }

  /// `size` bytes, or where these are as many as `most`; null when there is no room. `size` becomes what it is. The
  /// caller has a lock.
  u8* allocate(std::size_t& size, std::size_t most);
  void release(u8* rw, std::size_t size);
  std::size_t used() const { return used_; }
  std::size_t size() const { return rw_.size(); }
  /// As when it was made: all of it is free, and the host has the memory back.
  void clear();

 private:
  using Holes = std::map<std::size_t, std::size_t>;  ///< offset -> length; neighbours are joined
  /// There are thousands of small holes: a search looks at so many, goes on there the next time, and takes of the last
  /// hole, which is what was never used at first, if none of them will do.
  static constexpr u32 k_tries = 16;

  u8* take(Holes::iterator hole, std::size_t& size, std::size_t most);

  Mapping rw_, rx_;
  Holes free_;
  std::size_t used_ = 0, next_ = 0;  ///< next_: where the next search begins
};

/// Keeps one between engines (engine.h). (any thread)
class KeptCodeMemory {
 public:
  /// The one that was kept, if it has that size, or a new one.
  Result<CodeMemory> take(std::size_t size);
  void give_back(CodeMemory memory);

 private:
  std::mutex mutex_;
  std::optional<CodeMemory> kept_;
};

}  // namespace armvisor::engine::jit
