#pragma once
// What a thread does, which says which system calls it may make (calls.inc).
#include "base/types.h"

namespace armvisor {

namespace sandbox_detail {
enum Place : u32 {
#define KIND(name, text, what) name,
#define DUTY(name, text, what) name,
#include "base/sandbox/thread_kinds.inc"
#undef DUTY
#undef KIND
};
}  // namespace sandbox_detail

/// A kind, with the duties that come on top of it: a bit each.
enum class ThreadKind : u32 {
#define KIND(name, text, what) name = 1u << sandbox_detail::name,
#define DUTY(name, text, what) name = 1u << sandbox_detail::name,
#include "base/sandbox/thread_kinds.inc"
#undef DUTY
#undef KIND
};

constexpr ThreadKind operator|(ThreadKind a, ThreadKind b) {
  return static_cast<ThreadKind>(static_cast<u32>(a) | static_cast<u32>(b));
}
/// Whether they have something in common.
constexpr bool operator&(ThreadKind a, ThreadKind b) { return (static_cast<u32>(a) & static_cast<u32>(b)) != 0; }

}  // namespace armvisor
