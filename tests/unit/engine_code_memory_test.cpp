// Memory for generated code: pieces never overlap, nothing is lost, and a request fails only when no hole is as long.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "engine/jit/code_memory.h"

namespace armvisor::engine::jit {
namespace {

constexpr std::size_t k_size = 2 << 20, k_grain = 64;

/// What is taken, by address; every hole is between.
struct Model {
  std::size_t longest_hole() const {
    std::size_t at = 0, longest = 0;
    for (const auto& [begin, length] : taken) {
      longest = std::max(longest, begin - at);
      at = begin + length;
    }
    return std::max(longest, k_size - at);
  }
  bool is_free(std::size_t begin, std::size_t length) const {
    const auto next = taken.lower_bound(begin);
    if (next != taken.end() && next->first < begin + length) return false;
    if (next == taken.begin()) return true;
    const auto before = std::prev(next);
    return before->first + before->second <= begin;
  }

  std::map<std::size_t, std::size_t> taken;
};

TEST(CodeMemory, GivesWhatIsFreeAndAllOfIt) {
  auto memory = CodeMemory::create(k_size);
  ASSERT_TRUE(memory);
  std::mt19937 random(1);
  const auto up_to = [&](std::size_t n) { return random() % n; };
  Model model;
  u32 refused = 0;
  for (u32 step = 0; step < 40'000; ++step) {
    // By turns it fills up and is thinned out, so that there are many small holes.
    const bool take = step / 4'000 % 2 == 0 ? up_to(8) != 0 : up_to(3) == 0;
    if (take) {
      const std::size_t wanted = 1 + up_to(up_to(20) == 0 ? 40'000 : 600), most = up_to(2) ? 8192 : 0;
      std::size_t size = wanted;
      u8* const at = memory->allocate(size, most);
      if (!at) {
        ++refused;
        ASSERT_LT(model.longest_hole(), CodeMemory::rounded(wanted));
        continue;
      }
      const auto begin = static_cast<std::size_t>(at - memory->rw());
      ASSERT_EQ(begin % k_grain, 0u);
      ASSERT_GE(size, wanted);
      ASSERT_LE(size, std::max(CodeMemory::rounded(wanted), CodeMemory::rounded(most)));
      ASSERT_LE(begin + size, k_size);
      ASSERT_TRUE(model.is_free(begin, size));
      model.taken[begin] = size;
    } else if (!model.taken.empty()) {
      auto it = model.taken.lower_bound(up_to(k_size));
      if (it == model.taken.end()) it = model.taken.begin();
      memory->release(memory->rw() + it->first, it->second);
      model.taken.erase(it);
    }
  }
  EXPECT_GT(refused, 100u);  // it was full at times
  std::size_t used = 0;
  for (const auto& piece : model.taken) used += piece.second;
  EXPECT_EQ(memory->used(), used);

  for (const auto& [begin, length] : model.taken) memory->release(memory->rw() + begin, length);
  std::size_t all = k_size;
  EXPECT_EQ(memory->allocate(all, 0), memory->rw());  // its holes have become one again
}

}  // namespace
}  // namespace armvisor::engine::jit
