#pragma once
// Messages that a guest can cause: as often as it likes, so each is said once in the life of the process and counted
// from then on. A machine's reset is no new life: a guest may make one a hundred times a second.
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/types.h"

namespace armvisor {

/// Which messages were said, and how often they came again. (any thread)
class SaidOnce {
 public:
  /// How many different ones are kept; those beyond are only counted, all together.
  static constexpr std::size_t k_max_texts = 64;
  struct Repeat {
    LogLevel level;
    std::string text;
    u64 times;
  };

  /// Whether it is to be said now.
  bool first(LogLevel level, const std::string& text);
  /// What came again since it was said, or since the last call; in the order of the texts.
  std::vector<Repeat> take_repeats();

 private:
  struct Count {
    LogLevel level;
    u64 repeats = 0;
  };
  std::mutex mutex_;
  std::map<std::string, Count> texts_;
  u64 others_ = 0;
};

/// AV_LOG_ONCE says it through this.
void log_once(LogLevel level, const char* format, ...) __attribute__((format(printf, 2, 3)));
/// Says how often each message came again. At the end of a machine.
void log_repeats();

}  // namespace armvisor
#define AV_LOG_ONCE(level, ...)                                       \
  do {                                                                \
    if (::armvisor::LogLevel::level <= ::armvisor::log_level())       \
      ::armvisor::log_once(::armvisor::LogLevel::level, __VA_ARGS__); \
  } while (0)
