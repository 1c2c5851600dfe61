#include "base/log_once.h"

#include <cstdarg>
#include <cstdio>
#include <utility>

namespace armvisor {
namespace {

SaidOnce& said() {
  static SaidOnce s;
  return s;
}

}  // namespace

bool SaidOnce::first(LogLevel level, const std::string& text) {
  const std::lock_guard lock(mutex_);
  const auto at = texts_.find(text);
  if (at != texts_.end()) {
    ++at->second.repeats;
    return false;
  }
  if (texts_.size() == k_max_texts) {
    ++others_;
    return false;
  }
  texts_.emplace(text, Count{level});
  return true;
}

std::vector<SaidOnce::Repeat> SaidOnce::take_repeats() {
  const std::lock_guard lock(mutex_);
  std::vector<Repeat> result;
  for (auto& [text, count] : texts_)
    if (const u64 n = std::exchange(count.repeats, 0)) result.push_back({count.level, text, n});
  if (const u64 n = std::exchange(others_, 0))
    result.push_back({LogLevel::Warn, "other messages about the guest, not shown", n});
  return result;
}

void log_once(LogLevel level, const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (said().first(level, text)) log_line(level, "%s", text);
}

void log_repeats() {
  for (const SaidOnce::Repeat& r : said().take_repeats())
    log_line(r.level, "%llu more times: %s", static_cast<unsigned long long>(r.times), r.text.c_str());
}

}  // namespace armvisor
