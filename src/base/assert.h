#pragma once
// AV_ASSERT: what we did wrong. Never reachable by a guest or by bad input.
namespace armvisor {
[[noreturn]] void assertion_failed(const char* what, const char* file, int line);
}
#define AV_ASSERT(cond) \
  (__builtin_expect(!!(cond), 1) ? (void)0 : ::armvisor::assertion_failed(#cond, __FILE__, __LINE__))
#define AV_UNREACHABLE() ::armvisor::assertion_failed("unreachable", __FILE__, __LINE__)
