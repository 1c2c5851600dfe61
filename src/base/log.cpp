#include "base/log.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <string>

namespace armvisor {
namespace {
std::atomic<LogLevel> g_level{LogLevel::Warn};
}

void set_log_level(LogLevel level) { g_level.store(level, std::memory_order_relaxed); }
LogLevel log_level() { return g_level.load(std::memory_order_relaxed); }

void log_line(LogLevel level, const char* format, ...) {
  static constexpr const char* k_names[] = {"error", "warning", "info", "debug", "trace"};
  char text[2048];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  std::fprintf(stderr, "armvisor: %s: %s\n", k_names[static_cast<int>(level)], text);
}
}  // namespace armvisor
