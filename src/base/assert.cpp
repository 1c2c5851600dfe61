#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

#include "base/log.h"

namespace armvisor {
void assertion_failed(const char* what, const char* file, int line) {
  char text[1024];
  std::snprintf(text, sizeof text, "internal error: %s (%s:%d)", what, file, line);
  say_last(text);
  std::abort();
}
}  // namespace armvisor
