#pragma once
// Messages for the user on stderr, by level. printf-style; thread-safe; one line each.
namespace armvisor {
enum class LogLevel : int { Error = 0, Warn = 1, Info = 2, Debug = 3, Trace = 4 };
void set_log_level(LogLevel level);
LogLevel log_level();
void log_line(LogLevel level, const char* format, ...) __attribute__((format(printf, 2, 3)));
}  // namespace armvisor
#define AV_LOG(level, ...)                                            \
  do {                                                                \
    if (::armvisor::LogLevel::level <= ::armvisor::log_level())       \
      ::armvisor::log_line(::armvisor::LogLevel::level, __VA_ARGS__); \
  } while (0)
