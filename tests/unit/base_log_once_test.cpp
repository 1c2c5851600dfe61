#include <gtest/gtest.h>

#include "base/log_once.h"

namespace armvisor {
namespace {

TEST(SaidOnce, ATextIsNewOnceAndThenCounted) {
  SaidOnce s;
  EXPECT_TRUE(s.first(LogLevel::Warn, "a"));
  EXPECT_TRUE(s.first(LogLevel::Error, "b"));
  EXPECT_TRUE(s.take_repeats().empty()) << "nothing came again";
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(s.first(LogLevel::Warn, "a"));
  auto repeats = s.take_repeats();
  ASSERT_EQ(repeats.size(), 1u);
  EXPECT_EQ(repeats[0].text, "a");
  EXPECT_EQ(repeats[0].times, 3u);
  EXPECT_TRUE(s.take_repeats().empty()) << "told of";
  EXPECT_FALSE(s.first(LogLevel::Error, "b")) << "still known";
  repeats = s.take_repeats();
  ASSERT_EQ(repeats.size(), 1u);
  EXPECT_EQ(repeats[0].level, LogLevel::Error);
}

TEST(SaidOnce, AGuestThatVariesItsFaultsFillsABoundedTable) {
  SaidOnce s;
  std::size_t said = 0;
  for (int i = 0; i < 100000; ++i) said += s.first(LogLevel::Warn, "fault " + std::to_string(i));
  EXPECT_EQ(said, SaidOnce::k_max_texts);
  const auto repeats = s.take_repeats();
  ASSERT_EQ(repeats.size(), 1u);
  EXPECT_EQ(repeats[0].times, 100000 - SaidOnce::k_max_texts);
}

}  // namespace
}  // namespace armvisor
