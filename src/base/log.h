#pragma once
// Messages for the user on stderr. Thread-safe; no thread waits in write(2) for the reader of stderr (base/outlet.h).
#include <string_view>

namespace armvisor {
enum class LogLevel : int { Error = 0, Warn = 1, Info = 2, Debug = 3, Trace = 4 };
void set_log_level(LogLevel level);
LogLevel log_level();
/// A line of at most 2047 bytes, printf-style. Never waits: while nobody reads, lines are left out, and their number is
/// said later.
void log_line(LogLevel level, const char* format, ...) __attribute__((format(printf, 2, 3)));

/// "armvisor: TEXT" as a line, at any level; waits as print_text does.
void say(std::string_view text);
/// `text` as it is, however long: a report, a trace. Waits for the reader until give_up_messages().
void print_text(std::string_view text);

/// From now on nobody waits for the reader of stderr.
void give_up_messages();
/// Waits until all is written; after give_up_messages(), only as long as the reader goes on reading.
/// Whoever has something to say from now on does so by a new thread.
void renew_messages();
void drain_messages();
/// Gives what was said a second to be written. For a program that is about to be aborted. (async-signal-safe)
void settle_messages();
/// The same, and then "armvisor: TEXT" past the way of the others, which may be what failed. (async-signal-safe)
void say_last(std::string_view text);
}  // namespace armvisor
#define AV_LOG(level, ...)                                            \
  do {                                                                \
    if (::armvisor::LogLevel::level <= ::armvisor::log_level())       \
      ::armvisor::log_line(::armvisor::LogLevel::level, __VA_ARGS__); \
  } while (0)
